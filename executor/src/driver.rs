//! The loop of a run: wait for inputs, step the scheduler, record its events, report them, carry out its actions.
//!
//! *Guarantees.* The last three steps keep this order, so the journal has every event before a sink reports it and
//! before its action takes effect. While the journal's disk is full, nothing new starts and running operations continue.
//! Any other error of the journal stops all work. *Caveats.* Spawn the loop as a task of a current-thread runtime:
//! children die with the thread that spawned them, and waking a task of the same thread needs no system call.

mod shared_state;

use crate::attempt::{AttemptOrder, AttemptRunner, Runners, attempt_of, launch_id};
use crate::effects::{Effects, PendingEffects};
use crate::journal::{Journal, JournalError};
use crate::postponed_launches::Postponed;
use crate::run_identity::RunIdentity;
use pop_agenda::{
    Action, CancelReason, EventRecord, Input, OpIx, OpState, Plan, PriorOutcomes, RunOptions, RunOutcome,
    RunTime, Scheduler, Sink, Verdict,
};
use pop_contract::{Blame, Failure, Millis};
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchId, LaunchUpdate};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};
use std::error::Error as _;
use std::mem::replace;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep, sleep_until};

/// Most inputs whose events share one write of the journal.
const BATCH: usize = 64;
/// Most launch updates that wait in the channel; a runner that sends more has to wait.
const UPDATE_LIMIT: usize = 1_024;
/// Time between two attempts to write a journal whose disk is full.
const DISK_FULL_RETRY: Duration = Duration::from_millis(500);

/// Everything outside the scheduler that a run needs.
pub struct Ports {
    /// Stores the events.
    pub journal: Box<dyn Journal>,
    /// Receive each event after the journal has it.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Runs attempts.
    pub runners: Runners,
    /// Whether the kernel has killed a program because memory ran out, since the last call.
    pub memory_kills: Box<dyn FnMut() -> bool + Send>,
    /// Requests of the user: end the run, or suspend it.
    pub requests: mpsc::UnboundedReceiver<RunRequest>,
    /// Suspends this process until it is continued. All programs are stopped during the call.
    pub suspend: fn(),
    /// The wall clock.
    pub clock: fn() -> Millis,
    /// Locks, delays, versions, cached results and dead letters.
    pub effects: Box<dyn Effects>,
}

/// A request of the user to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunRequest {
    /// End the run early.
    Cancel(CancelReason),
    /// Suspend the run, and continue it when this process is continued.
    Suspend,
}

/// The state in which a new or resumed run starts.
pub struct RunStart {
    /// The scheduler in the state after the last event of the journal.
    pub scheduler: Scheduler,
    /// Names and folders of the run.
    pub identity: RunIdentity,
    /// Outcomes of an earlier run of the agenda; empty in a resumed run.
    pub adopted: PriorOutcomes,
    /// Results of replayed dead letters of a resumed run.
    pub replayed: Vec<ReplayResult>,
    /// Options of a resumed run; none in a new one.
    pub resumed: Option<RunOptions>,
    /// Wall-clock start of the run, and the time of its last event; none in a new run.
    pub began: Option<(Millis, RunTime)>,
}

/// The result of a replayed dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayResult {
    /// The operation with the dead letter.
    pub op: OpIx,
    /// The run that replayed it.
    pub run: String,
    /// The result.
    pub result: Arc<Value>,
}

/// Why a run ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal failed. All work was stopped, because no event could be recorded any more.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A run that has ended.
#[derive(Debug)]
pub struct FinishedRun {
    /// Its outcome.
    pub outcome: RunOutcome,
    /// Its plan, including operations that were added during the run.
    pub plan: Arc<Plan>,
}

/// Drives a run to its end.
pub async fn run(given: RunStart, ports: Ports) -> Result<FinishedRun, RunError> {
    Driver::new(given, ports).run().await
}

struct Driver {
    scheduler: Scheduler,
    identity: RunIdentity,
    ports: Ports,
    sender: mpsc::Sender<LaunchUpdate>,
    updates: mpsc::Receiver<LaunchUpdate>,
    /// Inputs of the next step.
    inputs: VecDeque<Input>,
    /// Launches that were started and have not ended.
    running: HashSet<LaunchId>,
    /// Launches whose end is known but not recorded yet.
    ended: Vec<LaunchId>,
    postponed: Postponed,
    pending: PendingEffects,
    /// Whether the sinks know that launches are postponed.
    is_postponement_reported: bool,
    /// The run's time at `since`.
    base: RunTime,
    since: Instant,
}

impl Driver {
    fn new(given: RunStart, ports: Ports) -> Self {
        let RunStart { scheduler, identity, adopted, replayed, resumed, began } = given;
        let (sender, updates) = mpsc::channel(UPDATE_LIMIT);
        let now = (ports.clock)();
        // a run's time continues while no process executes it; it never goes back, even if the wall clock does
        let base = began.map_or(RunTime(0), |(started, last)| RunTime(now.saturating_sub(started)).max(last));
        let replayed = replayed.into_iter().map(|ReplayResult { op, run, result }| {
            Input::DeadLetterReplayed { op, run: run.into(), result }
        });
        let input = match resumed {
            Some(options) => Input::Resumed { options },
            None => Input::Begun { run: identity.run.as_str().into(), started: now, adopted },
        };
        Self {
            scheduler,
            identity,
            ports,
            sender,
            updates,
            inputs: replayed.chain([input]).collect(),
            running: HashSet::new(),
            ended: Vec::new(),
            postponed: Postponed::default(),
            pending: PendingEffects::default(),
            is_postponement_reported: false,
            base,
            since: Instant::now(),
        }
    }

    async fn run(mut self) -> Result<FinishedRun, RunError> {
        loop {
            let actions = match self.step_and_record().await {
                Ok(actions) => actions,
                Err(error) => {
                    self.stop_everything().await;
                    return Err(error.into());
                }
            };
            // their ends are in the journal: a resumed run does not look for them
            for id in std::mem::take(&mut self.ended) {
                self.with_runner(id, |runner| runner.release(id));
            }
            for action in actions {
                self.act(action);
            }
            if self.inputs.is_empty() {
                if let Some(outcome) = self.scheduler.outcome() {
                    self.finish_effects().await;
                    self.ports.runners.close().await;
                    self.ports.journal.close()?;
                    return Ok(FinishedRun { outcome, plan: Arc::clone(self.scheduler.plan()) });
                }
                self.wait().await;
            }
        }
    }

    fn now(&self) -> RunTime {
        self.base.plus(self.since.elapsed().as_millis() as u64)
    }

    /// Waits for the next inputs.
    async fn wait(&mut self) {
        let due = self
            .scheduler
            .deadline()
            .map(|at| self.since + Duration::from_millis(at.0 - self.base.0.min(at.0)));
        let due = due.into_iter().chain(self.postponed.deadline()).min();
        tokio::select! {
            biased;
            Some(request) = self.ports.requests.recv() => match request {
                RunRequest::Cancel(reason) => self.inputs.push_back(Input::CancelAsked { reason }),
                RunRequest::Suspend => self.suspend(),
            },
            Some(update) = self.updates.recv() => {
                self.accept(update);
                while self.inputs.len() < BATCH && let Ok(update) = self.updates.try_recv() {
                    self.accept(update);
                }
            }
            Some(reply) = self.pending.replies.recv() => self.take(reply),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                self.settle().await;
                self.inputs.push_back(Input::Ticked);
            }
        }
        // checked after every wait, because constant updates can keep the timer from being chosen
        for id in self.postponed.take_due(Instant::now()) {
            let (op, attempt) = attempt_of(id);
            // its payload was bound before the launch was postponed, so this cannot fail
            if let Ok(payload) = self.scheduler.bind(op) {
                self.launch(op, attempt, &payload, false);
            }
        }
    }

    /// Accepts all ends that have arrived, before a time limit is applied to their attempts.
    async fn settle(&mut self) {
        let mut arrived = Vec::new();
        {
            let Self { ports, updates, .. } = self;
            let mut settled = pin!(ports.runners.settle());
            loop {
                tokio::select! {
                    biased;
                    Some(update) = updates.recv() => arrived.push(update),
                    () = &mut settled => break,
                }
            }
            while let Ok(update) = updates.try_recv() {
                arrived.push(update);
            }
        }
        for update in arrived {
            self.accept(update);
        }
    }

    /// Stops all programs, then this process. Neither the run's time nor a time limit counts the pause.
    fn suspend(&mut self) {
        for sink in &mut self.ports.sinks {
            sink.flush();
        }
        self.since += self.ports.runners.pause_while(self.ports.suspend);
    }

    /// Turns an update of a launch into an input.
    fn accept(&mut self, update: LaunchUpdate) {
        let (op, attempt) = attempt_of(update.id);
        let input = match update.event {
            LaunchEvent::Running => Input::Running { op, attempt },
            LaunchEvent::Progress(progress) => {
                Input::Progressed { op, attempt, progress: Arc::from(progress) }
            }
            LaunchEvent::Silent => Input::WentSilent { op, attempt },
            LaunchEvent::Lost => {
                self.running.remove(&update.id);
                self.with_runner(update.id, |runner| runner.forget(update.id));
                Input::Lost { op, attempt }
            }
            // a label of a container may hold any number
            LaunchEvent::Late(_) if op.index() >= self.scheduler.plan().len() => return,
            LaunchEvent::Late(exit) => Input::Late { op, attempt, exit },
            LaunchEvent::Ended(ended) => match self.judge(update.id, *ended) {
                Some(verdict) => Input::Ended { op, attempt, verdict },
                None => return,
            },
            LaunchEvent::Notice(words) => return self.notice(&words),
            // operations are launched without lines
            LaunchEvent::Lines(_) => return,
        };
        self.inputs.push_back(input);
    }

    /// The verdict on a launch that has ended. `None` if the machine lacked the resources to start it: then it is postponed.
    fn judge(&mut self, id: LaunchId, ended: LaunchEnd) -> Option<Verdict> {
        let (op, _) = attempt_of(id);
        self.running.remove(&id);
        let mut verdict = self.with_runner(id, |runner| runner.verdict(id, ended));
        if let Err(failure) = &mut verdict.result {
            let is_alone = self.running.is_empty();
            let is_wanted = matches!(self.scheduler.state(op), OpState::Launched { .. });
            if failure.code == "resources"
                && is_wanted
                && self.postponed.put_off(id, Instant::now(), is_alone)
            {
                if !replace(&mut self.is_postponement_reported, true) {
                    self.notice(&format!("{}: it is tried again for a while", failure.message));
                }
                return None;
            }
            if failure.was_killed() && (self.ports.memory_kills)() {
                failure.blame_memory();
            }
        }
        self.postponed.forget(id);
        self.ended.push(id);
        self.postponed.hasten(Instant::now());
        Some(verdict)
    }

    /// Steps over all inputs, records the resulting events in one write, and reports them to the sinks.
    async fn step_and_record(&mut self) -> Result<Vec<Action>, JournalError> {
        let now = self.now();
        let mut records = Vec::new();
        let mut actions = Vec::new();
        let mut is_to_end = false;
        while let Some(input) = self.inputs.pop_front() {
            tracing::trace!(at = now.0, ?input);
            is_to_end |= matches!(input, Input::CancelAsked { .. });
            let step = self.scheduler.step(now, input);
            records.extend(step.events.into_iter().map(|event| EventRecord { at: now, event }));
            actions.extend(step.actions);
        }
        self.record(&records, is_to_end).await?;
        for record in &records {
            tracing::debug!(at = record.at.0, event = ?record.event);
            for sink in &mut self.ports.sinks {
                sink.on_event(self.scheduler.plan(), record);
            }
        }
        for sink in &mut self.ports.sinks {
            sink.flush();
        }
        Ok(actions)
    }

    /// Records events in the journal. While its disk is full, it tries again, unless the run is to end early.
    async fn record(&mut self, records: &[EventRecord], is_to_end: bool) -> Result<(), JournalError> {
        let mut is_reported = false;
        loop {
            match self.ports.journal.append(records) {
                Err(error @ JournalError::Full { .. }) if is_to_end => return Err(error),
                Err(error @ JournalError::Full { .. }) => {
                    if !replace(&mut is_reported, true) {
                        self.notice(&format!(
                            "{error} ({}): nothing new is started until there is",
                            error.source().map(ToString::to_string).unwrap_or_default()
                        ));
                    }
                    tokio::select! {
                        biased;
                        Some(RunRequest::Cancel(_)) = self.ports.requests.recv() => return Err(error),
                        () = sleep(DISK_FULL_RETRY) => {}
                    }
                }
                Ok(()) => {
                    if is_reported {
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
        tracing::debug!(?action);
        match action {
            Action::Launch { op, attempt, payload, again } => self.launch(op, attempt, &payload, again),
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
            other => self.request_effect(other),
        }
    }

    fn launch(&mut self, op: OpIx, attempt: u32, payload: &Value, again: bool) {
        let id = launch_id(op, attempt);
        let plan = Arc::clone(self.scheduler.plan());
        let prior = self.scheduler.progress(op).map(AsRef::as_ref);
        let mut order =
            AttemptOrder { prior, again, ..AttemptOrder::new(&plan, &self.identity, op, attempt, payload) };
        order.limits.grace = Some(Duration::from_millis(self.scheduler.options().grace_ms));
        let started = self.ports.runners.of(plan.operation(op)).start(id, &order, &self.sender);
        match started {
            Ok(()) => drop(self.running.insert(id)),
            Err(failure) => {
                self.inputs.push_back(Input::Ended { op, attempt, verdict: Verdict::failed(failure) });
            }
        }
    }

    /// Calls the runner of a launch.
    fn with_runner<T>(&mut self, id: LaunchId, call: impl FnOnce(&mut dyn AttemptRunner) -> T) -> T {
        let (op, _) = attempt_of(id);
        call(self.ports.runners.of(self.scheduler.plan().operation(op)))
    }

    fn stop(&mut self, id: LaunchId, force: bool) {
        self.with_runner(id, |runner| runner.stop(id, force));
    }

    /// Kills all running attempts, because their ends cannot be recorded any more.
    async fn stop_everything(&mut self) {
        let running: Vec<LaunchId> = self.running.iter().copied().collect();
        for id in running {
            self.stop(id, true);
        }
        while !self.running.is_empty() {
            let Some(LaunchUpdate { id, event }) = self.updates.recv().await else { return };
            if matches!(event, LaunchEvent::Ended(_) | LaunchEvent::Lost) {
                self.running.remove(&id);
            }
        }
    }
}
