//! The launches of a launcher from their announcement to their end.

use super::control::Control;
use super::pause::Gate;
use super::{Child, ChildEnd, SpawnError};
use crate::port::LaunchId;
use crate::stop_request::StopRequest;
use rustix::process::Pid;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The launches that have not ended.
///
/// *Guarantees.* A stop request reaches a launch from its announcement on, also if its program starts later. While the
/// gate is closed, no program starts and no end is collected, so each pid belongs to its program.
#[derive(Debug, Default)]
pub(super) struct Running {
    launches: Mutex<BTreeMap<LaunchId, Launch>>,
    announced: AtomicU64,
    /// Number of the last starts that had no other launch beside them; negative after [`Self::was_contended`].
    alone: AtomicI32,
    gate: Gate,
}

/// One launch. Another one with the same id may be announced before this one is removed.
#[derive(Debug)]
struct Launch {
    number: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The program has not started; the stop request that it gets then.
    Announced(StopRequest),
    Started(Arc<Control>),
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<LaunchId, Launch>> {
        self.launches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a launch. Returns the number with which it is removed.
    pub(super) fn announce(&self, id: LaunchId) -> u64 {
        let number = self.announced.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, Launch { number, state: State::Announced(StopRequest::None) });
        number
    }

    /// Notes a start. Whether programs run one after the other: this start and the last ones have no other launch beside
    /// them.
    pub(super) fn note_start(&self) -> bool {
        /// In runs of several programs at a time, hardly ever so many starts are alone in a row.
        const CHAIN: i32 = 8;
        let is_alone = self.lock().len() == 1;
        let before = self.alone.load(Ordering::Relaxed);
        let alone = if is_alone { before.saturating_add(1) } else { before.min(0) };
        self.alone.store(alone, Ordering::Relaxed);
        alone >= CHAIN
    }

    /// A program of a chain had to wait for its processor: the next programs are no chain.
    pub(super) fn was_contended(&self) {
        /// Rare enough that the waits of single programs do not count.
        const PAUSE: i32 = 200;
        self.alone.store(-PAUSE, Ordering::Relaxed);
    }

    /// Starts the program of a launch.
    pub(super) fn spawn(
        &self,
        id: LaunchId,
        spawn: impl FnOnce() -> Result<Child, SpawnError>,
    ) -> Result<Arc<Control>, SpawnError> {
        let _inside = self.gate.enter();
        // the kernel lists orphans beside the children of the main thread: such a child must be registered before
        // another launch looks for orphans
        let held = is_main_thread().then(|| self.lock());
        let child = spawn()?;
        let mut launches = held.unwrap_or_else(|| self.lock());
        let state = launches.get_mut(&id).map(|launch| &mut launch.state);
        let control = Arc::new(Control::of(child));
        if let Some(State::Announced(request)) = &state
            && *request > StopRequest::None
        {
            control.request_stop(*request);
        }
        if let Some(state) = state {
            *state = State::Started(Arc::clone(&control));
        }
        Ok(control)
    }

    /// Collects the end of a program that has ended.
    pub(super) fn collect(&self, program: &Child) -> io::Result<ChildEnd> {
        let _inside = self.gate.enter();
        program.wait()
    }

    /// Removes a launch, unless another one with its id has been announced.
    pub(super) fn remove(&self, id: LaunchId, number: u64) {
        let mut launches = self.lock();
        if launches.get(&id).is_some_and(|launch| launch.number == number) {
            launches.remove(&id);
        }
    }

    pub(super) fn request_stop(&self, id: LaunchId, force: bool) {
        let request = if force { StopRequest::Kill } else { StopRequest::Terminate };
        match self.lock().get_mut(&id).map(|launch| &mut launch.state) {
            Some(State::Announced(before)) => *before = request.max(*before),
            Some(State::Started(control)) => control.request_stop(request),
            None => {}
        }
    }

    /// Whether a program has ended and its launch has not, although nothing delays it.
    pub(super) fn is_an_end_coming(&self) -> bool {
        let is_coming = |control: &Arc<Control>| {
            control.child.has_ended() && !control.is_lingering.load(Ordering::Acquire)
        };
        started(&self.lock()).any(is_coming)
    }

    /// Whether a pid is that of a program.
    pub(super) fn has(&self, pid: i32) -> bool {
        started(&self.lock()).any(|control| control.pid() == pid)
    }

    /// The programs whose ends are not collected.
    pub(super) fn programs(&self) -> Vec<Pid> {
        let launches = self.lock();
        let running = started(&launches).filter(|control| !control.child.is_collected());
        running.filter_map(|control| Pid::from_raw(control.pid())).collect()
    }

    /// Adds a duration in which no program could run.
    pub(super) fn were_paused(&self, pause: Duration) {
        for control in started(&self.lock()) {
            control.was_paused(pause);
        }
    }

    /// Waits until no program is being started or collected, and lets none begin until the gate opens.
    pub(super) fn close_gate(&self) {
        self.gate.close();
    }

    pub(super) fn open_gate(&self) {
        self.gate.open();
    }
}

/// The launches whose programs have started.
fn started(launches: &BTreeMap<LaunchId, Launch>) -> impl Iterator<Item = &Arc<Control>> {
    launches.values().filter_map(|launch| match &launch.state {
        State::Announced(_) => None,
        State::Started(control) => Some(control),
    })
}

fn is_main_thread() -> bool {
    thread_local! {
        static IS_MAIN: bool = rustix::thread::gettid() == rustix::process::getpid();
    }
    IS_MAIN.with(|is_main| *is_main)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Environment, Spawn, spawn};
    use std::os::fd::AsFd as _;

    fn sleeper() -> Result<Child, SpawnError> {
        let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
        spawn(Spawn {
            program: c"/bin/sleep".into(),
            argv: vec![c"sleep".into(), c"60".into()],
            environment: Environment::default(),
            working_directory: None,
            stdin: None,
            stdout: null.as_fd(),
            stderr: null.as_fd(),
            socket: None,
            processors: None,
        })
    }

    #[test]
    fn a_stop_request_before_the_start_reaches_the_program() {
        let running = Running::default();
        let id = LaunchId(7);
        running.announce(id);
        running.request_stop(id, true);
        running.request_stop(id, false);
        let control = running.spawn(id, sleeper).unwrap();
        assert_eq!(control.stop_request(), StopRequest::Kill);
        assert!(!running.is_an_end_coming());
        assert!(running.has(control.pid()));
    }

    #[test]
    fn a_launch_that_is_repeated_stays_when_the_first_one_is_removed() {
        let running = Running::default();
        let id = LaunchId(7);
        let first = running.announce(id);
        let second = running.announce(id);
        let control = running.spawn(id, sleeper).unwrap();
        running.remove(id, first);
        running.request_stop(id, true);
        assert_eq!(control.stop_request(), StopRequest::Kill);
        running.remove(id, second);
        assert!(!running.has(control.pid()));
    }

    #[test]
    fn starts_without_another_launch_are_a_chain_after_some_of_them() {
        let running = Running::default();
        running.announce(LaunchId(1));
        assert!(!(0..7).any(|_| running.note_start()));
        assert!(running.note_start());
        let second = running.announce(LaunchId(2));
        assert!(!running.note_start());
        running.remove(LaunchId(2), second);
        assert!(!running.note_start());
        running.was_contended();
        assert!(!(0..200).any(|_| running.note_start()));
        assert_eq!((0..8).filter(|_| running.note_start()).count(), 1);
    }

    #[test]
    fn while_the_gate_is_closed_no_program_starts() {
        let running = Running::default();
        running.close_gate();
        std::thread::scope(|scope| {
            running.announce(LaunchId(1));
            let starting = scope.spawn(|| running.spawn(LaunchId(1), sleeper).unwrap().pid());
            assert_eq!(running.programs(), []);
            running.open_gate();
            let pid = starting.join().unwrap();
            assert_eq!(running.programs(), [Pid::from_raw(pid).unwrap()]);
        });
    }
}
