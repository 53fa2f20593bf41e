//! What a launcher of containers or pods has in hand: launches that it follows, and ended ones that it keeps.

use crate::port::LaunchId;
use pop_contract::{Blame, Exit, Failure};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long what was released may take to go when everything is over.
const CLOSING: Duration = Duration::from_secs(30);

/// What an exit status means. As shells, Docker and Kubernetes all have it: 128 and the signal that ended the program.
pub(crate) fn exit_of(code: i32) -> Exit {
    if (129..=159).contains(&code) { Exit::Signal(code - 128) } else { Exit::Code(code) }
}

/// Why a launch has not been started yet, as far as somebody has refused it; told if it is stopped meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Refusal(Mutex<Option<Failure>>);

impl Refusal {
    /// The last of them counts.
    pub(crate) fn note(&self, failure: &Failure) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
    }

    /// The failure of a launch that is stopped now: what it was waiting for, if that is known.
    pub(crate) fn stopped(&self, before: &str) -> Failure {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stopped = || Failure::new(Blame::Platform, "cancelled", format!("was stopped before {before}"));
        noted.unwrap_or_else(stopped)
    }
}

/// How far a launch is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    /// Not at all.
    Nothing,
    /// It is to end by itself, soon.
    Terminate,
    /// It is ended.
    Kill,
}

/// Launches that are followed, and for each that has ended what is kept of it until it is released.
#[derive(Debug)]
pub(crate) struct Followed<Kept> {
    state: Mutex<State<Kept>>,
    /// The names of what this process has launched or taken over, as long as it sees to their end itself.
    known: Mutex<HashSet<String>>,
    /// What was released and is on its way out.
    leaving: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct State<Kept> {
    running: HashMap<LaunchId, watch::Sender<Asked>>,
    kept: HashMap<LaunchId, Kept>,
}

impl<Kept> Default for Followed<Kept> {
    fn default() -> Self {
        let state = State { running: HashMap::new(), kept: HashMap::new() };
        Self { state: Mutex::new(state), known: Mutex::default(), leaving: Mutex::new(JoinSet::new()) }
    }
}

impl<Kept> Followed<Kept> {
    fn state(&self) -> MutexGuard<'_, State<Kept>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container or pod of this name is this process's own.
    pub(crate) fn know(&self, name: &str) {
        self.known().insert(name.to_owned());
    }

    /// This process cannot say what became of it: whoever looks for leftovers shall find it.
    pub(crate) fn forget(&self, name: &str) {
        self.known().remove(name);
    }

    /// Whether this process sees to its end itself.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.known().contains(name)
    }

    /// A launch is followed from now on; what it is asked is heard by the receiver.
    pub(crate) fn begin(&self, id: LaunchId) -> watch::Receiver<Asked> {
        let (sender, receiver) = watch::channel(Asked::Nothing);
        self.state().running.insert(id, sender);
        receiver
    }

    /// A launch is over; what is left of it is kept until it is released.
    pub(crate) fn end(&self, id: LaunchId, kept: Option<Kept>) {
        let mut state = self.state();
        state.running.remove(&id);
        if let Some(kept) = kept {
            state.kept.insert(id, kept);
        }
    }

    /// Asks a launch to end.
    pub(crate) fn ask(&self, id: LaunchId, force: bool) {
        let asked = if force { Asked::Kill } else { Asked::Terminate };
        if let Some(sender) = self.state().running.get(&id) {
            sender.send_if_modified(|before| {
                let is_more = asked > *before;
                *before = asked.max(*before);
                is_more
            });
        }
    }

    /// Takes out what was kept of a launch.
    pub(crate) fn release(&self, id: LaunchId) -> Option<Kept> {
        self.state().kept.remove(&id)
    }

    /// Does something that the end waits for.
    pub(crate) fn leave(&self, doing: impl Future<Output = ()> + Send + 'static) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        while leaving.try_join_next().is_some() {}
        leaving.spawn(doing);
    }

    /// Waits for everything that is on its way out, for a while.
    pub(crate) async fn close(&self) {
        let mut leaving = std::mem::take(&mut *self.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        // what takes longer is left to whoever comes next
        timeout(CLOSING, async { while leaving.join_next().await.is_some() {} }).await.ok();
    }
}
