//! The only function that changes the state: it applies one event.

use super::growth::Prepared;
use super::prior::Prior;
use super::reuse::Reuse;
use super::state::{Commit, Hold, OpState};
use super::table::deadline;
use super::{Cancel, Phase, Scheduler};
use crate::event::{CancelReason, Ending, EventRecord, RunEvent, RunTime, StopReason};
use crate::ops::OpIx;
use crate::outcome::Outcome;
use pop_contract::Failure;
use pop_policy::OnFail;
use serde_json::Value;
use std::sync::Arc;

impl Scheduler {
    /// Applies one event. The events of a journal, applied in order, restore the state that produced them.
    pub fn evolve(&mut self, recorded: &EventRecord) {
        self.apply(recorded, Prepared::Nothing);
    }

    /// Applies an event. `prepared` has values computed when it was decided; missing ones are computed from the state.
    pub(super) fn apply(&mut self, recorded: &EventRecord, prepared: Prepared) {
        let now = recorded.at;
        self.follow_dead_letters(recorded);
        match (&recorded.event, prepared) {
            (RunEvent::PlanGrown { by, adopted, .. }, Prepared::Growth(growth)) => {
                self.grow(*by, Some(*growth));
                self.adopt(adopted, now);
            }
            (event, Prepared::Generated(grown)) => {
                self.apply_event(event, now);
                let parsed = event.operation().and_then(|op| self.growing.get_mut(&op));
                if let Some(parsed) = parsed {
                    *parsed = Some(grown);
                }
            }
            (event, _) => self.apply_event(event, now),
        }
        self.follow_limits(&recorded.event, now);
    }

    fn apply_event(&mut self, event: &RunEvent, now: RunTime) {
        match event {
            RunEvent::RunStarted { run, started, options, adopted, adoptable, parent } => {
                self.name.clone_from(run);
                self.started = *started;
                self.options = options.clone();
                self.run = Phase::Running;
                if self.agenda_id.is_empty() {
                    self.agenda_id.clone_from(run);
                }
                self.prior = Prior::new(adoptable);
                self.reuse = parent.as_deref().map(|parent| Box::new(Reuse::new(parent.clone(), &self.plan)));
                self.adopt(adopted, now);
            }
            RunEvent::RunResumed { options } => {
                self.options = options.clone();
                self.resume(now);
            }
            RunEvent::DeadLetterReplayed { op, result, .. } => {
                self.replayed.insert(*op, Arc::clone(result));
            }
            RunEvent::RunReopened { ops } => {
                self.reopen(ops);
                self.give_replayed(ops, now);
            }
            RunEvent::PlanGrown { by, adopted, .. } => {
                self.grow(*by, None);
                self.adopt(adopted, now);
            }
            RunEvent::GatesSet { op, gates } => self.set_gates(*op, Arc::clone(gates), now),
            RunEvent::GateAsked { op } => self.set(*op, OpState::Gated(Hold::Asked)),
            RunEvent::GateAnswered { op, answer } => self.answer(*op, answer, now),
            RunEvent::Joined { op, ending, outcome } => self.joined(*op, ending, *outcome, now),
            RunEvent::StartFailed { op, failure } => {
                self.leave_gates(*op, now);
                self.fail(*op, failure);
            }
            RunEvent::AttemptStarted { .. }
            | RunEvent::AttemptRunning { .. }
            | RunEvent::ProgressReported { .. }
            | RunEvent::StopAsked { .. }
            | RunEvent::KillAsked { .. }
            | RunEvent::CommitAsked { .. }
            | RunEvent::AttemptEnded { .. }
            | RunEvent::LateEnding { .. } => self.apply_to_attempt(event, now),
            RunEvent::BackedOff { op, until } => self.set(*op, OpState::BackingOff { until: *until }),
            RunEvent::BackoffEnded { op } => match self.table[*op] {
                OpState::Gated(_) => self.set(*op, OpState::Gated(Hold::Free)),
                _ => self.open(*op),
            },
            RunEvent::OperationSettled { op, outcome, ignored, .. } => {
                if *outcome == Outcome::Skipped {
                    self.keep_result(*op, &Arc::new(Value::Null));
                }
                if ignored.is_some() {
                    self.keep_result(*op, &Arc::new(Value::Object(serde_json::Map::new())));
                }
                self.settle(*op, *outcome, now);
            }
            RunEvent::CancelRaised { reason, force } => {
                let reason = self.cancel.map_or(*reason, |cancel| cancel.reason.max(*reason));
                self.cancel = Some(Cancel { reason, force: *force });
                self.doom_unstarted();
                if self.ends_running() {
                    self.limit_commits(Some(now.plus(self.options.grace_ms)));
                }
            }
            RunEvent::RunEnded { outcome } => self.run = Phase::Ended(*outcome),
        }
    }

    /// Applies an event of an attempt.
    fn apply_to_attempt(&mut self, event: &RunEvent, now: RunTime) {
        match event {
            RunEvent::AttemptStarted { op, attempt } => {
                self.tries[*op].attempt = *attempt;
                let is_pending = self.plan.capabilities(*op).has_pending_phase;
                self.set(*op, OpState::Launched { since: now, is_pending });
            }
            RunEvent::AttemptRunning { op, .. } => {
                if let OpState::Launched { since, .. } = self.table[*op] {
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
                let reason = match self.table[*op] {
                    OpState::Stopping { reason, .. } => reason,
                    _ => StopReason::Cancelled,
                };
                self.set(*op, OpState::Stopping { reason, kill_at: None });
            }
            RunEvent::CommitAsked { op, result, named_files, usage, .. } => {
                let give_up_at = self.ends_running().then(|| now.plus(self.options.grace_ms));
                let (result, named_files) = (Arc::clone(result), Arc::clone(named_files));
                let commit = Commit { result, named_files, usage: *usage, give_up_at };
                self.set(*op, OpState::Committing(Box::new(commit)));
            }
            RunEvent::AttemptEnded { op, ending, .. } => self.end_attempt(*op, ending, now),
            _ => {}
        }
    }

    /// Counts a failure of an attempt or of a launch, so that the policies decide about it.
    pub(super) fn fail(&mut self, op: OpIx, failure: &Failure) {
        self.tries[op].failures += 1;
        self.note_failure(op, failure);
        self.set(op, OpState::Judging { failure: Box::new(failure.clone()) });
    }

    pub(super) fn end_attempt(&mut self, op: OpIx, ending: &Ending, now: RunTime) {
        // gates are held only for the attempt
        self.leave_gates(op, now);
        match ending {
            Ending::Succeeded { result } => {
                self.keep_result(op, result);
                self.settle(op, Outcome::Succeeded, now);
            }
            Ending::Failed(failure) => self.fail(op, failure),
            Ending::Cancelled => {
                self.open(op);
                self.table.doom(op);
            }
            Ending::Displaced(_) if self.may_start(&self.plan, op) => {
                self.tries[op].displaced += 1;
                self.set(op, OpState::Displaced);
            }
            Ending::Lost | Ending::Displaced(_) => {
                self.open(op);
                if !self.may_start(&self.plan, op) {
                    self.table.doom(op);
                }
            }
        }
    }

    /// Puts an operation into its first state. Even an operation with earlier attempts may have to wait, because a
    /// resumed run may repeat its dependencies.
    pub(super) fn open(&mut self, op: OpIx) {
        let plan = Arc::clone(&self.plan);
        self.set(op, OpState::waiting_for(self.count_unmet(&plan, op)));
    }

    /// Records the history of operations that may become dead letters.
    fn follow_dead_letters(&mut self, recorded: &EventRecord) {
        match &recorded.event {
            RunEvent::RunResumed { .. } => {
                self.dead_letters.values_mut().for_each(|history| history.resume(recorded.at));
            }
            RunEvent::RunReopened { ops } => {
                for op in ops {
                    if let Some(history) = self.dead_letters.get_mut(op) {
                        history.reopen(recorded.at);
                    }
                }
            }
            event => {
                let Some(op) = event.operation() else { return };
                if self.plan.operation(op).policies.on_fail.value != OnFail::Dlq {
                    return;
                }
                let history = self.dead_letters.entry(op).or_default();
                history.add(recorded.at, event);
                if history.outcome().is_some_and(Outcome::has_result) {
                    self.dead_letters.remove(&op);
                }
            }
        }
    }

    /// Stores a result for the operations that read it.
    pub(super) fn keep_result(&mut self, op: OpIx, result: &Arc<Value>) {
        if self.plan.operation(op).is_read {
            self.results.insert(op, Arc::clone(result));
        }
    }

    /// Settles an operation and updates its dependants. Has no effect if the operation has the same outcome already.
    pub(super) fn settle(&mut self, op: OpIx, outcome: Outcome, now: RunTime) {
        if self.table[op].outcome() == Some(outcome) {
            return;
        }
        self.leave_gates(op, now);
        self.set(op, OpState::Settled(outcome));
        self.note_unchanged(op, outcome);
        let plan = Arc::clone(&self.plan);
        if outcome.has_result() && plan.operation(op).generator().is_some() {
            self.growing.insert(op, None);
        }
        for dependant in plan.graph().dependants(op) {
            if plan.operation(dependant.op).is_last() && !plan.operation(op).is_last() {
                continue;
            }
            // a conditional operation is decided only after all its dependencies, so that their order does not matter
            if dependant.needs.contains(outcome) || !dependant.needs.accepts_all_good() {
                self.meet(&plan, dependant.op);
            } else if matches!(self.table[dependant.op], OpState::Waiting { .. }) {
                self.table.doom(dependant.op);
            }
        }
        // operations inside that were to continue after a resume do not
        let parts = self.parts.get(&op).filter(|_| plan.operation(op).is_whole());
        for part in parts.map(|parts| &parts.all).into_iter().flatten() {
            if self.table[*part].outcome().is_none() {
                self.table.doom(*part);
            }
        }
        if plan.operation(op).origin.is_some() || !plan.last().is_empty() {
            self.count_down(&plan, op);
        }
    }

    /// When the run ends, marks all operations without a running attempt as cancelled, except clean-up.
    fn doom_unstarted(&mut self) {
        let plan = Arc::clone(&self.plan);
        let unstarted = self.table.iter().filter(|(op, state)| {
            let is_unstarted = matches!(
                state,
                OpState::Waiting { .. } | OpState::Ready | OpState::Gated(_) | OpState::BackingOff { .. }
            );
            is_unstarted && !self.may_start(&plan, *op)
        });
        let unstarted: Vec<OpIx> = unstarted.map(|(op, _)| op).collect();
        for op in unstarted {
            self.table.doom(op);
        }
    }

    /// Sets the time at which the run stops waiting for commits; an earlier limit stays.
    pub(super) fn limit_commits(&mut self, limit: Option<RunTime>) {
        for op in self.table.launched().collect::<Vec<OpIx>>() {
            if let OpState::Committing(commit) = &self.table[op] {
                let earlier = |limit: RunTime| commit.give_up_at.map_or(limit, |known| known.min(limit));
                let commit = Commit { give_up_at: limit.map(earlier), ..Commit::clone(commit) };
                self.set(op, OpState::Committing(Box::new(commit)));
            }
        }
    }

    /// Puts an operation into a state.
    pub(super) fn set(&mut self, op: OpIx, next: OpState) {
        if next == OpState::Ready && self.plan.operation(op).needs().is_some_and(|needs| needs.is_open) {
            // an operation without a usable payload needs nothing: its start fails
            let amounts = self.payload(op).map(|payload| self.plan.operation(op).needs_with(&payload));
            let planned = self.plan.operation(op);
            self.table.resolve_need(op, amounts.unwrap_or_default(), planned, &self.gates);
        }
        self.table.set(op, next, self.plan.operation(op), &self.gates);
    }

    /// The next time limit of an operation in its present state.
    pub(super) fn deadline_of(&self, op: OpIx) -> Option<RunTime> {
        deadline(&self.table[op], self.plan.operation(op))
    }

    /// Whether running operations must be stopped.
    pub(super) fn ends_running(&self) -> bool {
        self.is_ending(CancelReason::Fatal)
    }
}
