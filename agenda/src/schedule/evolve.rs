//! The one function that changes state: an event in, the next state out.

use super::state::OpState;
use super::{Cancel, Phase, Scheduler};
use crate::event::{Adopted, CancelReason, Ending, Outcome, Recorded, RunEvent, RunTime, StopReason};
use crate::ops::OpIx;
use pop_policy::OnFail;
use serde_json::Value;
use std::sync::Arc;

/// How long what the platform took away waits before it is launched again; twice as long each time.
const FIRST_DISPLACED_MS: u64 = 1_000;

impl Scheduler {
    /// Applies one event. Events of a journal, applied in order, restore the state that wrote them.
    pub fn evolve(&mut self, recorded: &Recorded) {
        let now = recorded.at;
        match &recorded.event {
            RunEvent::RunStarted { run, options, adopted, .. } => {
                self.options = options.clone();
                self.run = Phase::Under;
                if self.agenda_id.is_empty() {
                    self.agenda_id.clone_from(run);
                }
                for adopted in adopted {
                    self.adopt(adopted);
                }
            }
            RunEvent::RunResumed { options } => {
                self.options = options.clone();
                let was_over =
                    matches!(self.run, Phase::Ended(_)) || self.is_ending(CancelReason::Interrupted);
                if was_over {
                    self.reopen();
                }
                self.run = Phase::Under;
                self.follow_anew(now);
            }
            RunEvent::AttemptStarted { op, attempt } => {
                self.tries[*op].attempt = *attempt;
                let is_pending = self.options.has_pending_phase;
                self.set(*op, OpState::Launched { since: now, is_pending });
            }
            RunEvent::AttemptRunning { op, .. } => {
                if let OpState::Launched { since, .. } = self.state[*op] {
                    self.set(*op, OpState::Launched { since, is_pending: false });
                }
            }
            RunEvent::ProgressReported { op, progress, .. } => {
                self.progress.insert(*op, Arc::clone(progress));
            }
            RunEvent::StopAsked { op, reason, .. } => {
                let kill_at = Some(now.plus(self.options.grace_ms));
                self.set(*op, OpState::Stopping { reason: *reason, kill_at });
            }
            RunEvent::KillAsked { op, .. } => {
                let reason = match self.state[*op] {
                    OpState::Stopping { reason, .. } => reason,
                    _ => StopReason::Cancelled,
                };
                self.set(*op, OpState::Stopping { reason, kill_at: None });
            }
            RunEvent::AttemptEnded { op, ending, .. } => self.end_attempt(*op, ending, now),
            RunEvent::LateEnding { .. } => {}
            RunEvent::BackedOff { op, until } => self.set(*op, OpState::BackingOff { until: *until }),
            RunEvent::BackoffEnded { op } => self.set(*op, OpState::Ready),
            RunEvent::OperationSettled { op, outcome, ignored } => {
                if *outcome == Outcome::Skipped && self.plan.operation(*op).is_read {
                    self.results.insert(*op, Arc::new(Value::Null));
                }
                if ignored.is_some() && self.plan.operation(*op).is_read {
                    self.results.insert(*op, Arc::new(Value::Object(serde_json::Map::new())));
                }
                self.settle(*op, *outcome);
            }
            RunEvent::CancelRaised { reason, force } => {
                let reason = self.cancel.map_or(*reason, |cancel| cancel.reason.max(*reason));
                self.cancel = Some(Cancel { reason, force: *force });
                self.doom_unstarted();
            }
            RunEvent::RunEnded { outcome } => self.run = Phase::Ended(*outcome),
        }
    }

    fn adopt(&mut self, adopted: &Adopted) {
        if let Some(progress) = &adopted.progress {
            self.progress.insert(adopted.op, Arc::clone(progress));
        }
        if let Some(result) = &adopted.result {
            self.end_attempt(adopted.op, &Ending::Succeeded { result: Arc::clone(result) }, RunTime(0));
        }
    }

    fn end_attempt(&mut self, op: OpIx, ending: &Ending, now: RunTime) {
        match ending {
            Ending::Succeeded { result } => {
                if self.plan.operation(op).is_read {
                    self.results.insert(op, Arc::clone(result));
                }
                self.settle(op, Outcome::Succeeded);
            }
            Ending::Failed(failure) => {
                self.tries[op].failures += 1;
                self.set(op, OpState::Judging { failure: failure.clone() });
            }
            Ending::Cancelled => {
                self.set(op, OpState::Ready);
                self.doomed.insert(op);
            }
            Ending::Displaced(_) if self.cancel.is_none() => {
                let pause = FIRST_DISPLACED_MS << self.tries[op].displaced.min(10);
                self.tries[op].displaced += 1;
                self.set(op, OpState::BackingOff { until: now.plus(pause) });
            }
            Ending::Lost | Ending::Displaced(_) => {
                self.set(op, OpState::Ready);
                if self.cancel.is_some() {
                    self.doomed.insert(op);
                }
            }
        }
    }

    /// Settles an operation and tells those that wait for it; does nothing if it is settled that way already.
    fn settle(&mut self, op: OpIx, outcome: Outcome) {
        if self.state[op].outcome() == Some(outcome) {
            return;
        }
        self.set(op, OpState::Settled(outcome));
        self.doomed.remove(&op);
        let plan = Arc::clone(&self.plan);
        for dependant in plan.graph().dependants(op) {
            match self.state[*dependant] {
                OpState::Waiting { unmet } if outcome.lets_others_start() => {
                    let unmet = unmet - 1;
                    let next = if unmet == 0 { OpState::Ready } else { OpState::Waiting { unmet } };
                    self.set(*dependant, next);
                    if self.cancel.is_some() {
                        self.doomed.insert(*dependant);
                    }
                }
                OpState::Waiting { .. } => {
                    self.doomed.insert(*dependant);
                }
                _ => {}
            }
        }
    }

    /// Once the run is being ended, whatever is not out in the world is not started any more.
    fn doom_unstarted(&mut self) {
        let unstarted = self.state.iter().filter(|(_, state)| {
            matches!(state, OpState::Waiting { .. } | OpState::Ready | OpState::BackingOff { .. })
        });
        let unstarted: Vec<OpIx> = unstarted.map(|(op, _)| op).collect();
        self.doomed.extend(unstarted);
    }

    /// A run that was over is opened again: what failed or was cancelled is to be done, its tries given back.
    /// A run whose executor died is not over: it goes on exactly where it was.
    fn reopen(&mut self) {
        self.cancel = None;
        self.doomed.clear();
        let plan = Arc::clone(&self.plan);
        for (op, _) in plan.operations() {
            if let OpState::Settled(Outcome::Failed | Outcome::Cancelled) = self.state[op] {
                self.set(op, OpState::Ready);
                self.tries[op].failures = 0;
                self.tries[op].displaced = 0;
            }
        }
        for (op, _) in plan.operations() {
            if self.state[op] == OpState::Ready {
                let met = |on: OpIx| self.state[on].outcome().is_some_and(Outcome::lets_others_start);
                let edges = plan.graph().dependencies(op);
                let unmet = edges.iter().filter(|edge| !met(edge.on)).count() as u32;
                self.set(op, if unmet == 0 { OpState::Ready } else { OpState::Waiting { unmet } });
            }
        }
    }

    /// What an earlier executor was stopping is followed again from here, with its limits anew.
    fn follow_anew(&mut self, now: RunTime) {
        for op in self.launched.clone() {
            if matches!(self.state[op], OpState::Stopping { .. }) {
                self.set(op, OpState::Launched { since: now, is_pending: false });
            }
        }
    }

    /// Puts an operation into a state and keeps every view of the table true. Nothing else writes the table.
    pub(super) fn set(&mut self, op: OpIx, next: OpState) {
        if let Some(at) = self.deadline_of(op) {
            self.deadlines.remove(&(at, op));
        }
        *self.tally.count(&self.state[op]) -= 1;
        *self.tally.count(&next) += 1;
        self.fatal -= u32::from(self.is_fatal(op, &self.state[op]));
        self.fatal += u32::from(self.is_fatal(op, &next));
        member(&mut self.ready, op, next == OpState::Ready);
        member(&mut self.launched, op, next.is_out());
        member(&mut self.judging, op, matches!(next, OpState::Judging { .. }));
        self.state[op] = next;
        if let Some(at) = self.deadline_of(op) {
            self.deadlines.insert((at, op));
        }
    }

    /// When something is due for an operation in its present state.
    pub(super) fn deadline_of(&self, op: OpIx) -> Option<RunTime> {
        match self.state[op] {
            OpState::Launched { since, is_pending } => {
                let limits = self.plan.operation(op).policies.limits();
                let run = limits.run_ms.map(|ms| since.plus(ms));
                let pending = limits.pending_ms.filter(|_| is_pending).map(|ms| since.plus(ms));
                [run, pending].into_iter().flatten().min()
            }
            OpState::Stopping { kill_at, .. } => kill_at,
            OpState::BackingOff { until } => Some(until),
            _ => None,
        }
    }

    fn is_fatal(&self, op: OpIx, state: &OpState) -> bool {
        let failed = state.outcome() == Some(Outcome::Failed);
        failed && self.plan.operation(op).policies.on_fail.value == OnFail::Fatal
    }

    /// Whether operations that run are to be stopped.
    pub(super) fn ends_running(&self) -> bool {
        self.is_ending(CancelReason::Fatal)
    }
}

fn member(set: &mut std::collections::BTreeSet<OpIx>, op: OpIx, is_in: bool) {
    if is_in {
        set.insert(op);
    } else {
        set.remove(&op);
    }
}
