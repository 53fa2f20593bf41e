//! What a turn of a run reads and changes, and the turn itself: step the scheduler over the inputs, record its events,
//! report them, carry out its actions.

use super::places::Places;
use crate::attempt::{AttemptOrder, AttemptRunner, Runners, attempt_of, launch_id};
use crate::effects::{Effects, PendingEffects};
use crate::journal::{Journal, JournalError};
use crate::postponed_launches::Postponed;
use crate::run_identity::RunIdentity;
use pop_agenda::{Action, EventRecord, Input, OpIx, OpState, RunTime, Scheduler, Sink, Verdict};
use pop_contract::{Blame, Failure, Millis};
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchId, LaunchUpdate};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::mem::{replace, take};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

/// The state of a run. The event loop and the place threads share it under one lock.
pub(super) struct Core {
    pub(super) scheduler: Scheduler,
    pub(super) identity: RunIdentity,
    pub(super) journal: Box<dyn Journal>,
    pub(super) sinks: Vec<Box<dyn Sink>>,
    pub(super) runners: Runners,
    pub(super) memory_kills: Box<dyn FnMut() -> bool + Send>,
    pub(super) suspend: fn(),
    pub(super) clock: fn() -> Millis,
    pub(super) effects: Box<dyn Effects>,
    /// Receives the updates of launches that the event loop follows.
    pub(super) sender: mpsc::Sender<LaunchUpdate>,
    /// Inputs of the next step.
    pub(super) inputs: VecDeque<Input>,
    /// Launches that were started and have not ended.
    pub(super) running: BTreeSet<LaunchId>,
    /// Launches whose end is known but not recorded yet.
    pub(super) ended: Vec<LaunchId>,
    pub(super) postponed: Postponed,
    pub(super) pending: PendingEffects,
    /// Whether the sinks know that launches are postponed.
    pub(super) is_postponement_reported: bool,
    /// The run's time at `since`.
    pub(super) base: RunTime,
    pub(super) since: Instant,
    /// A step whose events are not in the journal yet.
    pub(super) unrecorded: Option<Unrecorded>,
    /// Why they are not. No turn is taken until the event loop has removed this.
    pub(super) stall: Option<JournalError>,
    /// Whether the sinks know that the journal's disk is full.
    pub(super) is_full_reported: bool,
    /// The time at which the event loop wakes by itself.
    pub(super) alarm: Option<Instant>,
    pub(super) places: Places,
}

/// The result of a step.
pub(super) struct Unrecorded {
    records: Vec<EventRecord>,
    actions: Vec<Action>,
    /// Whether the run was asked to end.
    pub(super) is_to_end: bool,
}

impl Core {
    pub(super) fn now(&self) -> RunTime {
        self.base.plus(self.since.elapsed().as_millis() as u64)
    }

    /// The time of the next timer: a time limit, the end of a wait, or a postponed launch.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.scheduler.deadline();
        let due = due.map(|at| self.since + Duration::from_millis(at.0 - self.base.0.min(at.0)));
        due.into_iter().chain(self.postponed.deadline()).min()
    }

    /// Whether the event loop has to act after a turn on another thread.
    pub(super) fn needs_event_loop(&self) -> bool {
        self.stall.is_some()
            || self.scheduler.outcome().is_some()
            || self.due().is_some_and(|due| self.alarm.is_none_or(|alarm| due < alarm))
    }

    /// Takes turns until no input is left, or the events of a step cannot be recorded.
    pub(super) fn turn(&mut self) {
        while self.stall.is_none() {
            let step = self.unrecorded.take().unwrap_or_else(|| self.step());
            if let Err(error) = self.journal.append(&step.records) {
                self.unrecorded = Some(step);
                self.stall = Some(error);
                return;
            }
            if take(&mut self.is_full_reported) {
                self.notice("there is room for the journal again: the run goes on");
            }
            self.report(&step.records);
            // their ends are in the journal: a resumed run does not look for them
            for id in take(&mut self.ended) {
                self.with_runner(id, |runner| runner.release(id));
            }
            for action in step.actions {
                self.act(action);
            }
            if self.inputs.is_empty() {
                return;
            }
        }
    }

    /// Steps over all inputs.
    fn step(&mut self) -> Unrecorded {
        let now = self.now();
        let mut step = Unrecorded { records: Vec::new(), actions: Vec::new(), is_to_end: false };
        while let Some(input) = self.inputs.pop_front() {
            tracing::trace!(at = now.0, ?input);
            step.is_to_end |= matches!(input, Input::CancelAsked { .. });
            let pop_agenda::Step { events, actions } = self.scheduler.step(now, input);
            step.records.extend(events.into_iter().map(|event| EventRecord { at: now, event }));
            step.actions.extend(actions);
        }
        step
    }

    fn report(&mut self, records: &[EventRecord]) {
        for record in records {
            tracing::debug!(at = record.at.0, event = ?record.event);
            for sink in &mut self.sinks {
                sink.on_event(self.scheduler.plan(), record);
            }
        }
        for sink in &mut self.sinks {
            sink.flush();
        }
    }

    /// Drops the launches that wait for a thread.
    pub(super) fn drop_waiting(&mut self) {
        for launch in self.places.waiting.drain(..) {
            self.running.remove(&launch.id());
        }
    }

    /// Stops all programs, then this process. Neither the run's time nor a time limit counts the pause.
    pub(super) fn suspend(&mut self) {
        for sink in &mut self.sinks {
            sink.flush();
        }
        self.since += self.runners.pause_while(self.suspend);
    }

    /// Starts the postponed launches that are due.
    pub(super) fn launch_postponed(&mut self) {
        for id in self.postponed.take_due(Instant::now()) {
            let (op, attempt) = attempt_of(id);
            // its payload was bound before the launch was postponed, so this cannot fail
            if let Ok(payload) = self.scheduler.bind(op) {
                self.launch(op, attempt, &payload, false);
            }
        }
    }

    /// Turns an update of a launch into an input.
    pub(super) fn accept(&mut self, update: LaunchUpdate) {
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
            if failure.was_killed() && (self.memory_kills)() {
                failure.blame_memory();
            }
        }
        self.postponed.forget(id);
        self.ended.push(id);
        self.postponed.hasten(Instant::now());
        Some(verdict)
    }

    pub(super) fn notice(&mut self, words: &str) {
        for sink in &mut self.sinks {
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
        let started = self.runners.of(plan.operation(op)).start(id, &order, &self.sender);
        match started {
            Ok(prepared) => {
                self.running.insert(id);
                self.places.waiting.extend(prepared);
            }
            Err(failure) => {
                self.inputs.push_back(Input::Ended { op, attempt, verdict: Verdict::failed(failure) });
            }
        }
    }

    /// Calls the runner of a launch.
    fn with_runner<T>(&mut self, id: LaunchId, call: impl FnOnce(&mut dyn AttemptRunner) -> T) -> T {
        let (op, _) = attempt_of(id);
        call(self.runners.of(self.scheduler.plan().operation(op)))
    }

    pub(super) fn stop(&mut self, id: LaunchId, force: bool) {
        self.with_runner(id, |runner| runner.stop(id, force));
    }
}
