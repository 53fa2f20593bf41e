//! The one loop: wait for what happens, step, record, report, act.
//!
//! *Guarantees.* The order of the last three is fixed, so an effect is never ahead of the journal and nobody is
//! told what the journal does not have. While there is no room for the journal nothing new begins and what runs goes
//! on; a journal that cannot be written for another reason stops all work. *Caveats.* Is to be spawned as a task of a
//! current-thread runtime: children die with the thread that spawned them, and a task of the same thread is woken
//! without a word to the kernel.

use crate::dead_letter::DeadLetters;
use crate::granted::{Arrived, Granted};
use crate::host::Host;
use crate::journal::{Journal, JournalError};
use crate::letter;
use crate::order::{self, Expected, RunIdentity, attempt_of, launch_id};
use crate::postponed::Postponed;
use crate::resident::{ResidentOrder, Residents, Setting};
use pop_agenda::{
    Action, Adopted, CancelReason, Gate, Hold, Input, OpIx, OpState, Plan, Recorded, RunOptions, RunOutcome,
    RunTime, Scheduler, Serves, Sink, StopReason, Verdict,
};
use pop_handler_base::field_retriever::LaunchDataWrapper;
use pop_launchers::{LaunchEvent, LaunchId, Launched, Launcher};
use pop_registry::contract::{Blame, Failure, Millis};
use std::collections::{HashMap, VecDeque};
use std::error::Error as _;
use std::mem::replace;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep, sleep_until};

/// How many inputs are taken into one write of the journal, at most.
const BATCH: usize = 64;
/// How much may be heard before whoever speaks is held back.
const HEARD: usize = 1_024;
/// How long after a write for which there was no room the next is tried.
const NO_ROOM_WAIT: Duration = Duration::from_millis(500);

/// The world of a run.
pub struct Ports {
    /// Where events are kept.
    pub journal: Box<dyn Journal>,
    /// Who is told of them.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Starts programs.
    pub launcher: Arc<dyn Launcher>,
    /// Launch data for handlers inside the executor.
    pub launch_data: Arc<dyn LaunchDataWrapper>,
    /// Whether the kernel has ended a program for want of memory since this was asked last.
    pub memory_kills: Box<dyn FnMut() -> bool + Send>,
    /// Somebody who asks for the run to end.
    pub cancels: mpsc::UnboundedReceiver<CancelReason>,
    /// The wall clock.
    pub clock: fn() -> Millis,
    /// What the runs of this host share.
    pub host: Host,
}

/// What a run is given to begin or to go on with.
pub struct Given {
    /// The plan in the state that its journal tells; unbegun if the journal is empty.
    pub scheduler: Scheduler,
    /// Who the run is.
    pub identity: RunIdentity,
    /// What an earlier run of the agenda had reached, for a run that begins.
    pub adopted: Vec<Adopted>,
    /// How it is to go, for a run that is resumed.
    pub resumed: Option<RunOptions>,
    /// When the run began by the wall clock, and the time of its last event.
    pub began: Option<(Millis, RunTime)>,
}

/// Why a run could not be driven to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal failed: all work was stopped, for nothing could be recorded any more.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A run that is over.
#[derive(Debug)]
pub struct Finished {
    /// What became of it.
    pub outcome: RunOutcome,
    /// Its plan, with all that was added while it ran.
    pub plan: Arc<Plan>,
}

/// Drives a run to its end.
pub async fn run(given: Given, ports: Ports) -> Result<Finished, RunError> {
    Driver::new(given, ports).run().await
}

struct Driver {
    scheduler: Scheduler,
    identity: RunIdentity,
    ports: Ports,
    residents: Residents,
    sender: mpsc::Sender<Launched>,
    heard: mpsc::Receiver<Launched>,
    /// What is to be taken in before anything else is waited for.
    inputs: VecDeque<Input>,
    expected: HashMap<LaunchId, Expected>,
    /// Launches whose end was heard and is not on record yet.
    ended: Vec<LaunchId>,
    postponed: Postponed,
    granted: Granted,
    /// Locks that somebody else had.
    arrivals: mpsc::UnboundedReceiver<Arrived>,
    /// Whether it was told that launches are put off.
    is_put_off_told: bool,
    /// The run's time at `since`.
    base: RunTime,
    since: Instant,
}

impl Driver {
    fn new(given: Given, ports: Ports) -> Self {
        let Given { scheduler, identity, adopted, resumed, began } = given;
        let (sender, heard) = mpsc::channel(HEARD);
        let now = (ports.clock)();
        // a run's time goes on while nobody executes it, and never back, whatever the wall clock does
        let base = began.map_or(RunTime(0), |(started, last)| RunTime(now.saturating_sub(started)).max(last));
        let input = match resumed {
            Some(options) => Input::Resumed { options },
            None => Input::Begun { run: identity.run.as_str().into(), started: now, adopted },
        };
        let (granted, arrivals) = Granted::new(ports.host.clone(), &identity);
        let residents = Residents::new(Setting {
            launch: Arc::clone(&ports.launch_data),
            launcher: Arc::clone(&ports.launcher),
            clock: ports.clock,
            cid: identity.cid.clone(),
        });
        Self {
            scheduler,
            identity,
            ports,
            residents,
            sender,
            heard,
            inputs: VecDeque::from([input]),
            expected: HashMap::new(),
            ended: Vec::new(),
            postponed: Postponed::default(),
            granted,
            arrivals,
            is_put_off_told: false,
            base,
            since: Instant::now(),
        }
    }

    async fn run(mut self) -> Result<Finished, RunError> {
        loop {
            let actions = match self.step_and_record().await {
                Ok(actions) => actions,
                Err(error) => {
                    self.stop_everything().await;
                    return Err(error.into());
                }
            };
            // their ends are on record: nobody needs to find them again
            for id in self.ended.drain(..) {
                self.ports.launcher.release(id);
            }
            for action in actions {
                self.act(action);
            }
            if self.inputs.is_empty() {
                if let Some(outcome) = self.scheduler.outcome() {
                    self.ports.launcher.close().await;
                    return Ok(Finished { outcome, plan: Arc::clone(self.scheduler.plan()) });
                }
                self.wait().await;
            }
        }
    }

    fn now(&self) -> RunTime {
        self.base.plus(self.since.elapsed().as_millis() as u64)
    }

    /// Waits until something happens, and takes in all that has.
    async fn wait(&mut self) {
        let due = self
            .scheduler
            .deadline()
            .map(|at| self.since + Duration::from_millis(at.0 - self.base.0.min(at.0)));
        let due = due.into_iter().chain(self.postponed.deadline()).min();
        tokio::select! {
            biased;
            Some(reason) = self.ports.cancels.recv() => self.inputs.push_back(Input::CancelAsked { reason }),
            Some(launched) = self.heard.recv() => {
                self.hear(launched);
                while self.inputs.len() < BATCH && let Ok(more) = self.heard.try_recv() {
                    self.hear(more);
                }
            }
            Some(arrived) = self.arrivals.recv() => self.take(arrived),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.inputs.push_back(Input::Ticked),
        }
        // also when so much is heard that the time never comes
        for id in self.postponed.take_due(Instant::now()) {
            let (op, attempt) = attempt_of(id);
            self.launch(op, attempt, false);
        }
    }

    fn hear(&mut self, launched: Launched) {
        let (op, attempt) = attempt_of(launched.id);
        self.inputs.push_back(match launched.event {
            LaunchEvent::Running => Input::Running { op, attempt },
            LaunchEvent::Progress(progress) => {
                Input::Progressed { op, attempt, progress: Arc::from(progress) }
            }
            LaunchEvent::Silent => Input::WentSilent { op, attempt },
            LaunchEvent::Lost => {
                self.expected.remove(&launched.id);
                Input::Lost { op, attempt }
            }
            // a label is what somebody may have written
            LaunchEvent::Late(_) if op.index() >= self.scheduler.plan().len() => return,
            LaunchEvent::Late(exit) => Input::Late { op, attempt, exit },
            LaunchEvent::Ended(ended) => {
                let expected = self.expected.remove(&launched.id).unwrap_or_default();
                let mut verdict = order::verdict(&expected, *ended);
                if let Err(failure) = &mut verdict.result {
                    let is_alone = self.expected.is_empty();
                    let is_wanted = matches!(self.scheduler.state(op), OpState::Launched { .. });
                    if failure.code == "resources"
                        && is_wanted
                        && self.postponed.put_off(launched.id, Instant::now(), is_alone)
                    {
                        if !replace(&mut self.is_put_off_told, true) {
                            self.notice(&format!("{}: it is tried again for a while", failure.message));
                        }
                        return;
                    }
                    if failure.is_by_force() && (self.ports.memory_kills)() {
                        failure.blame_memory();
                    }
                }
                self.commit(op, attempt, &mut verdict);
                self.postponed.forget(launched.id);
                self.ended.push(launched.id);
                self.postponed.hasten(Instant::now());
                Input::Ended { op, attempt, verdict }
            }
            // operations are launched without lines
            LaunchEvent::Lines(_) => return,
        });
    }

    /// Steps over all inputs; one write records what they led to, and everybody is told.
    async fn step_and_record(&mut self) -> Result<Vec<Action>, JournalError> {
        let now = self.now();
        let mut records = Vec::new();
        let mut actions = Vec::new();
        let mut is_to_end = false;
        while let Some(input) = self.inputs.pop_front() {
            is_to_end |= matches!(input, Input::CancelAsked { .. });
            let step = self.scheduler.step(now, input);
            records.extend(step.events.into_iter().map(|event| Recorded { at: now, event }));
            actions.extend(step.actions);
        }
        self.record(&records, is_to_end).await?;
        for record in &records {
            for sink in &mut self.ports.sinks {
                sink.on_event(self.scheduler.plan(), record);
            }
        }
        for sink in &mut self.ports.sinks {
            sink.flush();
        }
        Ok(actions)
    }

    /// Has the journal keep the events, as soon as there is room for them; whoever wants the run to end need not wait.
    async fn record(&mut self, records: &[Recorded], is_to_end: bool) -> Result<(), JournalError> {
        let mut is_told = false;
        loop {
            match self.ports.journal.append(records) {
                Err(error @ JournalError::Full { .. }) if is_to_end => return Err(error),
                Err(error @ JournalError::Full { .. }) => {
                    if !replace(&mut is_told, true) {
                        self.notice(&format!(
                            "{error} ({}): nothing new is started until there is",
                            error.source().map(ToString::to_string).unwrap_or_default()
                        ));
                    }
                    tokio::select! {
                        biased;
                        Some(_) = self.ports.cancels.recv() => return Err(error),
                        () = sleep(NO_ROOM_WAIT) => {}
                    }
                }
                Ok(()) => {
                    if is_told {
                        self.notice("there is room for the journal again: the run goes on");
                    }
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn notice(&mut self, words: &str) {
        for sink in &mut self.ports.sinks {
            sink.on_notice(words);
            sink.flush();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Launch { op, attempt, again } => self.launch(op, attempt, again),
            Action::Ask { op, gate } => {
                let answer = self.granted.ask(self.scheduler.plan(), op, &gate, self.ports.clock);
                self.inputs.push_back(Input::Answered { op, answer });
            }
            Action::Reclaim { op, gates } => self.granted.reclaim(self.scheduler.plan(), op, &gates),
            Action::Release { op } => self.granted.release(op),
            Action::Fill { op, ask, result } => {
                let now = (self.ports.clock)();
                if let Some(words) = self.granted.fill(self.scheduler.plan(), op, &ask, &result, now) {
                    self.notice(&words);
                }
            }
            Action::DeadLetter { op } => self.put_aside(op),
            Action::Stop { op, attempt, force } => {
                let id = launch_id(op, attempt);
                if self.postponed.forget(id) {
                    let failure =
                        Failure::new(Blame::Platform, "resources", "was still waiting to be started");
                    self.inputs.push_back(Input::Ended { op, attempt, verdict: Verdict::failed(failure) });
                } else {
                    self.stop(id, force);
                }
            }
        }
    }

    /// A lock has come; whoever does not wait for it any more gives it back by not taking it.
    fn take(&mut self, arrived: Arrived) {
        let op = arrived.op;
        let waits = *self.scheduler.state(op) == OpState::Gated(Hold::Busy);
        if waits && matches!(self.scheduler.gate(op), Some(Gate::Lock { name }) if *name == arrived.name) {
            let answer = self.granted.take(arrived);
            self.inputs.push_back(Input::Answered { op, answer });
        }
    }

    /// An attempt that succeeded has only done so if nobody else has changed what it read the version of.
    fn commit(&self, op: OpIx, attempt: u32, verdict: &mut Verdict) {
        let versions = self.scheduler.versions(op);
        // one that is being stopped has only succeeded if it says so itself, and if nothing but the run's end stops it
        let counts = match self.scheduler.state(op) {
            OpState::Launched { .. } => true,
            OpState::Stopping { reason: StopReason::Cancelled, .. } => verdict.is_reported,
            _ => false,
        };
        if versions.is_empty() || verdict.result.is_err() || !counts {
            return;
        }
        let name = &self.scheduler.plan().operation(op).name;
        let by = format!("attempt {attempt} of `{name}` in run {}", self.identity.mark);
        if let Err(failure) = self.granted.commit(&versions, &by) {
            *verdict = Verdict::failed(*failure);
        }
    }

    /// Keeps what is needed to repeat an operation; everything in it is in the journal too.
    fn put_aside(&mut self, op: OpIx) {
        let letters = DeadLetters::of(&self.identity.folder);
        if letters.is_known(self.scheduler.plan().operation(op).name.as_str()) {
            return;
        }
        let began = (self.ports.clock)().saturating_sub(self.now().0);
        let letter = letter::of(&self.scheduler, &self.identity, op, began);
        if let Err(error) = letters.write(&letter) {
            let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            self.notice(&format!(
                "operation `{}` could not be put aside, its error stays in the journal: {error}{source}",
                letter.operation
            ));
        }
    }

    fn launch(&mut self, op: OpIx, attempt: u32, again: bool) {
        let id = launch_id(op, attempt);
        let ready = match order::prepare(&self.scheduler, &self.identity, op, attempt, again) {
            Ok(ready) => ready,
            Err(failure) => {
                return self.inputs.push_back(Input::Ended {
                    op,
                    attempt,
                    verdict: Verdict::failed(failure),
                });
            }
        };
        self.expected.insert(id, ready.expected);
        let plan = Arc::clone(self.scheduler.plan());
        let planned = plan.operation(op);
        match planned.serves {
            // a handler inside an executor died with it
            Serves::Resident(_) if again => {
                self.expected.remove(&id);
                self.inputs.push_back(Input::Lost { op, attempt });
            }
            Serves::Resident(resident) => {
                let order = ResidentOrder {
                    resident,
                    payload: ready.payload.unwrap_or_default(),
                    operation: planned.name.to_string(),
                    prior: self.scheduler.progress(op).map(|progress| progress.as_ref().clone()),
                    log: ready.order.log,
                    silence: ready.order.silence,
                };
                self.residents.launch(id, order, &self.sender);
            }
            _ => self.ports.launcher.launch(id, ready.order, &self.sender),
        }
    }

    fn stop(&self, id: LaunchId, force: bool) {
        let (op, _) = attempt_of(id);
        match self.scheduler.plan().operation(op).serves {
            Serves::Resident(_) => self.residents.stop(id, force),
            _ => self.ports.launcher.stop(id, force),
        }
    }

    /// Ends whatever is out in the world, when nothing can be recorded any more.
    async fn stop_everything(&mut self) {
        let out: Vec<LaunchId> = self.expected.keys().copied().collect();
        for id in out {
            self.stop(id, true);
        }
        while !self.expected.is_empty() {
            let Some(Launched { id, event }) = self.heard.recv().await else { return };
            if matches!(event, LaunchEvent::Ended(_) | LaunchEvent::Lost) {
                self.expected.remove(&id);
            }
        }
    }
}
