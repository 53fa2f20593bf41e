//! The shared state of a running child and its follower: stop requests, pauses.

use super::Child;
use crate::stop_request::StopRequest;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Time within which a process must end after SIGKILL.
pub(super) const KILLED: Duration = Duration::from_secs(10);

/// A running child and the requests to stop it.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) child: Child,
    stop: AtomicU8,
    /// Pauses that the follower has not taken into account yet, in nanoseconds.
    paused: AtomicU64,
    /// Whether the program has ended and the launch waits for processes that it left behind.
    pub(super) is_lingering: AtomicBool,
    pub(super) notify: Notify,
}

impl Control {
    pub(super) fn of(child: Child) -> Self {
        Self {
            child,
            stop: AtomicU8::new(StopRequest::None as u8),
            paused: AtomicU64::new(0),
            is_lingering: AtomicBool::new(false),
            notify: Notify::new(),
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.pid().cast_signed()
    }

    pub(super) fn request_stop(&self, request: StopRequest) {
        self.stop.fetch_max(request as u8, Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// The most urgent stop request so far.
    pub(super) fn stop_request(&self) -> StopRequest {
        match self.stop.load(Ordering::Acquire) {
            0 => StopRequest::None,
            1 => StopRequest::Terminate,
            _ => StopRequest::Kill,
        }
    }

    /// Adds a duration in which the program could not run.
    pub(super) fn was_paused(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.paused.fetch_add(pause, Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// The pauses since the last call.
    pub(super) fn take_pauses(&self) -> Duration {
        Duration::from_nanos(self.paused.swap(0, Ordering::AcqRel))
    }
}
