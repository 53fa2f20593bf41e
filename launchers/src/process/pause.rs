//! Stops and continues everything that programs have started, when this process itself is stopped (Ctrl-Z).

use super::Signal;
use super::orphans::Leftover;
use rustix::process::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A gate that any number of threads may enter while it is open.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    inside: usize,
    is_closed: bool,
}

/// A thread inside a [`Gate`], until this is dropped.
#[derive(Debug)]
pub(super) struct Inside<'g>(&'g Gate);

impl Gate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the gate is open, and enters.
    pub(super) fn enter(&self) -> Inside<'_> {
        let open = self.changed.wait_while(self.lock(), |state| state.is_closed);
        open.unwrap_or_else(PoisonError::into_inner).inside += 1;
        Inside(self)
    }

    /// Closes the gate and waits until no thread is inside.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        drop(self.changed.wait_while(state, |state| state.inside > 0));
    }

    /// Opens the gate.
    pub(super) fn open(&self) {
        self.lock().is_closed = false;
        self.changed.notify_all();
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.inside -= 1;
        if state.is_closed {
            self.0.changed.notify_all();
        }
    }
}

/// Stops (SIGSTOP) or continues (SIGCONT) these processes and all their descendants, parents first.
///
/// Includes descendants in other sessions: external programs of a handler lead their own.
pub(super) fn signal_trees(roots: impl IntoIterator<Item = Pid>, signal: Signal) {
    let mut seen: BTreeSet<i32> = BTreeSet::new();
    let mut open: Vec<Pid> = roots.into_iter().collect();
    while let Some(pid) = open.pop() {
        if !seen.insert(pid.as_raw_nonzero().get()) {
            continue;
        }
        if let Some(process) = Leftover::open(pid) {
            // fails only if the process is gone, or belongs to another user
            process.signal(signal).ok();
        }
        // read after the stop: a stopped process starts no more children
        open.extend(children(pid));
    }
}

/// The children of a process; empty if the kernel does not list them.
fn children(pid: Pid) -> Vec<Pid> {
    let tasks = Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("task");
    let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let numbers: Vec<Pid> = lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .filter_map(Pid::from_raw)
        .collect();
    numbers
}
