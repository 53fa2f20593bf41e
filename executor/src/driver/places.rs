//! The launches that wait for a place thread, and the threads.

use pop_launchers::PreparedLaunch;
use std::any::Any;
use std::collections::VecDeque;
use std::thread::JoinHandle;

/// The launches that wait for a thread, and the threads.
#[derive(Default)]
pub(super) struct Places {
    /// Launches to start. Empty when the lock is released, but for those that a thread is coming for.
    pub(super) waiting: VecDeque<Box<dyn PreparedLaunch>>,
    pub(super) threads: Vec<JoinHandle<()>>,
    /// Number of threads that wait and are not called.
    pub(super) idle: usize,
    /// Number of calls that no thread has answered. Any thread that has no work may answer.
    pub(super) calls: usize,
    /// Number of threads that were added and do not run yet.
    pub(super) starting: usize,
    /// Whether a program was started. The first one starts on the event loop: a run of one operation needs no thread.
    pub(super) has_begun: bool,
    pub(super) is_closed: bool,
    pub(super) panic: Option<Box<dyn Any + Send>>,
}
