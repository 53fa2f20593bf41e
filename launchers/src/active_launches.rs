//! The active launches of a container or pod launcher, and the containers or pods of ended ones.

use crate::port::LaunchId;
use crate::stop_request::StopRequest;
use pop_contract::{Blame, Exit, Failure};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Time to remove everything released when the launcher closes.
const CLOSING: Duration = Duration::from_secs(30);

/// The exit for an exit status. Shells, Docker and Kubernetes report 128 plus the signal that ended the program.
pub(crate) fn exit_of(code: i32) -> Exit {
    if (129..=159).contains(&code) { Exit::Signal(code - 128) } else { Exit::Code(code) }
}

/// Reason why a launch has not started yet: the last error that is being retried.
#[derive(Debug, Default)]
pub(crate) struct PendingReason(Mutex<Option<Failure>>);

impl PendingReason {
    /// Records an error; the last one counts.
    pub(crate) fn note(&self, failure: &Failure) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
    }

    /// The failure of a launch that is stopped now: the recorded error, or `cancelled`.
    pub(crate) fn stopped(&self, before: &str) -> Failure {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stopped = || Failure::new(Blame::Platform, "cancelled", format!("was stopped before {before}"));
        noted.unwrap_or_else(stopped)
    }
}

/// Active launches, and the containers or pods of ended ones until they are released.
#[derive(Debug)]
pub(crate) struct ActiveLaunches<Remains> {
    state: Mutex<State<Remains>>,
    /// Names of containers or pods that this process follows to their end.
    known: Mutex<HashSet<String>>,
    /// Removals of released objects that are in progress.
    leaving: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct State<Remains> {
    running: HashMap<LaunchId, watch::Sender<StopRequest>>,
    remains: HashMap<LaunchId, Remains>,
}

impl<Remains> Default for ActiveLaunches<Remains> {
    fn default() -> Self {
        let state = State { running: HashMap::new(), remains: HashMap::new() };
        Self { state: Mutex::new(state), known: Mutex::default(), leaving: Mutex::new(JoinSet::new()) }
    }
}

impl<Remains> ActiveLaunches<Remains> {
    fn state(&self) -> MutexGuard<'_, State<Remains>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a container or pod as followed by this process.
    pub(crate) fn know(&self, name: &str) {
        self.known().insert(name.to_owned());
    }

    /// Removes the mark: the state is unknown, so a sweep may remove the object.
    pub(crate) fn forget(&self, name: &str) {
        self.known().remove(name);
    }

    /// Whether this process follows the container or pod to its end.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.known().contains(name)
    }

    /// Begins to follow a launch; the receiver gets its stop requests.
    pub(crate) fn begin(&self, id: LaunchId) -> watch::Receiver<StopRequest> {
        let (sender, receiver) = watch::channel(StopRequest::None);
        self.state().running.insert(id, sender);
        receiver
    }

    /// Ends a launch; `remains` is its container or pod, which exists until the launch is released.
    pub(crate) fn end(&self, id: LaunchId, remains: Option<Remains>) {
        let mut state = self.state();
        state.running.remove(&id);
        if let Some(remains) = remains {
            state.remains.insert(id, remains);
        }
    }

    /// Requests a launch to stop.
    pub(crate) fn ask(&self, id: LaunchId, force: bool) {
        let stop = if force { StopRequest::Kill } else { StopRequest::Terminate };
        if let Some(sender) = self.state().running.get(&id) {
            sender.send_if_modified(|before| {
                let is_more = stop > *before;
                *before = stop.max(*before);
                is_more
            });
        }
    }

    /// Takes the container or pod of a launch.
    pub(crate) fn release(&self, id: LaunchId) -> Option<Remains> {
        self.state().remains.remove(&id)
    }

    /// Spawns a removal that [`close`](Self::close) waits for.
    pub(crate) fn leave(&self, doing: impl Future<Output = ()> + Send + 'static) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        while leaving.try_join_next().is_some() {}
        leaving.spawn(doing);
    }

    /// Waits, for a limited time, for all removals.
    pub(crate) async fn close(&self) {
        let mut leaving = std::mem::take(&mut *self.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        // unfinished removals are left to the next process
        timeout(CLOSING, async { while leaving.join_next().await.is_some() {} }).await.ok();
    }
}
