//! The one function that changes state: an event in, the next state out.

use super::state::{Hold, OpState};
use super::{Cancel, Phase, Scheduler};
use crate::event::{Adopted, CancelReason, Ending, Recorded, RunEvent, RunTime, StopReason};
use crate::history::Attempt;
use crate::ops::OpIx;
use crate::outcome::Outcome;
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
                self.leave_all_gates(now);
                if was_over {
                    self.reopen();
                }
                self.run = Phase::Under;
                self.follow_anew(now);
                self.limit_commits(None);
            }
            RunEvent::PlanGrown { by, .. } => self.grow(*by),
            RunEvent::GatesSet { op, gates } => self.set_gates(*op, Arc::clone(gates), now),
            RunEvent::GateAsked { op } => self.set(*op, OpState::Gated(Hold::Asked)),
            RunEvent::GateAnswered { op, answer } => self.answer(*op, answer, now),
            RunEvent::Joined { op, ending, outcome } => self.joined(*op, ending, *outcome, now),
            RunEvent::AttemptStarted { op, attempt } => {
                self.tries[*op].attempt = *attempt;
                if self.plan.operation(*op).policies.on_fail.value == OnFail::Dlq {
                    let attempt = Attempt { number: *attempt, started: now, ended: None, late: None };
                    self.attempts.entry(*op).or_default().push(attempt);
                }
                let is_pending = self.plan.capabilities(*op).has_pending_phase;
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
            RunEvent::CommitAsked { op, result, .. } => {
                let give_up_at = self.ends_running().then(|| now.plus(self.options.grace_ms));
                self.set(*op, OpState::Committing { result: Arc::clone(result), give_up_at });
            }
            RunEvent::AttemptEnded { op, ending, .. } => self.end_attempt(*op, ending, now),
            RunEvent::LateEnding { .. } => {}
            RunEvent::BackedOff { op, until } => self.set(*op, OpState::BackingOff { until: *until }),
            RunEvent::BackoffEnded { op } => {
                let is_gated = matches!(self.state[*op], OpState::Gated(_));
                if is_gated {
                    self.set(*op, OpState::Gated(Hold::Free));
                } else {
                    self.open(*op);
                }
            }
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

    fn adopt(&mut self, adopted: &Adopted) {
        if let Some(progress) = &adopted.progress {
            self.progress.insert(adopted.op, Arc::clone(progress));
        }
        if let Some(result) = &adopted.result {
            self.end_attempt(adopted.op, &Ending::Succeeded { result: Arc::clone(result) }, RunTime(0));
        }
    }

    fn end_attempt(&mut self, op: OpIx, ending: &Ending, now: RunTime) {
        // what was granted was granted to the attempt
        self.leave_gates(op, now);
        if let Some(attempt) = self.attempts.get_mut(&op).and_then(|attempts| attempts.last_mut()) {
            attempt.ended = Some((now, ending.clone()));
        }
        match ending {
            Ending::Succeeded { result } => {
                self.keep_result(op, result);
                self.settle(op, Outcome::Succeeded, now);
            }
            Ending::Failed(failure) => {
                self.tries[op].failures += 1;
                self.note_failure(op, failure);
                self.set(op, OpState::Judging { failure: failure.clone() });
            }
            Ending::Cancelled => {
                self.open(op);
                self.doomed.insert(op);
            }
            Ending::Displaced(_) if self.may_start(&self.plan, op) => {
                let pause = FIRST_DISPLACED_MS << self.tries[op].displaced.min(10);
                self.tries[op].displaced += 1;
                self.set(op, OpState::BackingOff { until: now.plus(pause) });
            }
            Ending::Lost | Ending::Displaced(_) => {
                self.open(op);
                if !self.may_start(&self.plan, op) {
                    self.doomed.insert(op);
                }
            }
        }
    }

    /// Puts an operation where it starts from. Even one that has been tried may have to wait: what clean-up was for may be
    /// done once more in a run that is resumed.
    pub(super) fn open(&mut self, op: OpIx) {
        let plan = Arc::clone(&self.plan);
        self.set(op, OpState::waiting_for(self.count_unmet(&plan, op)));
    }

    /// Notes a failure before any attempt as one, for an operation that is put aside when it fails.
    pub(super) fn note_unstarted(&mut self, op: OpIx, ending: Ending, now: RunTime) {
        if self.plan.operation(op).policies.on_fail.value == OnFail::Dlq {
            let number = self.tries[op].attempt + 1;
            let attempt = Attempt { number, started: now, ended: Some((now, ending)), late: None };
            self.attempts.entry(op).or_default().push(attempt);
        }
    }

    /// Keeps a result for those that read it.
    pub(super) fn keep_result(&mut self, op: OpIx, result: &Arc<Value>) {
        if self.plan.operation(op).is_read {
            self.results.insert(op, Arc::clone(result));
        }
    }

    /// Settles an operation and tells those that wait for it; does nothing if it is settled that way already.
    pub(super) fn settle(&mut self, op: OpIx, outcome: Outcome, now: RunTime) {
        if self.state[op].outcome() == Some(outcome) {
            return;
        }
        self.leave_gates(op, now);
        self.set(op, OpState::Settled(outcome));
        self.doomed.remove(&op);
        let plan = Arc::clone(&self.plan);
        if outcome.has_result() && plan.operation(op).generator().is_some() {
            self.growing.insert(op);
        }
        for dependant in plan.graph().dependants(op) {
            if plan.operation(dependant.op).is_last() && !plan.operation(op).is_last() {
                continue;
            }
            // who asked for an outcome that has not come hears of all others first, so that it does not matter which came
            if dependant.needs.contains(outcome) || !dependant.needs.is_met_by_good() {
                self.meet(&plan, dependant.op);
            } else if matches!(self.state[dependant.op], OpState::Waiting { .. }) {
                self.doomed.insert(dependant.op);
            }
        }
        if plan.operation(op).origin.is_some() || !plan.last().is_empty() {
            self.count_down(&plan, op);
        }
    }

    /// Once the run is being ended, whatever is not out in the world is not started any more, unless it cleans up.
    fn doom_unstarted(&mut self) {
        let plan = Arc::clone(&self.plan);
        let unstarted = self.state.iter().filter(|(op, state)| {
            let is_unstarted = matches!(
                state,
                OpState::Waiting { .. } | OpState::Ready | OpState::Gated(_) | OpState::BackingOff { .. }
            );
            is_unstarted && !self.may_start(&plan, *op)
        });
        let unstarted: Vec<OpIx> = unstarted.map(|(op, _)| op).collect();
        self.doomed.extend(unstarted);
    }

    /// Sets when the run stops waiting for commits; commits that are limited already keep the earlier limit.
    fn limit_commits(&mut self, limit: Option<RunTime>) {
        for op in self.launched.clone() {
            if let OpState::Committing { result, give_up_at } = &self.state[op] {
                let give_up_at = limit.map(|limit| give_up_at.map_or(limit, |known| known.min(limit)));
                let result = Arc::clone(result);
                self.set(op, OpState::Committing { result, give_up_at });
            }
        }
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
                self.tries[op].give_back();
            }
        }
        // what was not asked for may be asked for by what is done once more
        for (op, planned) in plan.operations() {
            let is_conditional = planned.special.as_ref().is_some_and(|special| special.is_conditional);
            let edges = plan.graph().dependencies(op);
            if is_conditional
                && self.state[op].outcome() == Some(Outcome::Skipped)
                && edges.iter().any(|edge| self.state[edge.on].outcome().is_none())
            {
                self.set(op, OpState::Ready);
            }
        }
        self.reopen_calls();
        let is_open = |scheduler: &Self, op: OpIx| scheduler.state[op].outcome().is_none();
        for (op, planned) in plan.operations().filter(|(_, planned)| planned.is_whole()) {
            let Some(parts) = self.parts.get(&op).filter(|_| is_open(self, op)) else { continue };
            let open: Vec<OpIx> = parts.all.iter().copied().filter(|part| is_open(self, *part)).collect();
            let most = planned.for_each().and_then(|for_each| for_each.max_parallel);
            let has_place =
                |part: &OpIx| !matches!(self.state[*part], OpState::Ready | OpState::Waiting { .. });
            let (out, still): (Vec<OpIx>, Vec<OpIx>) = open.iter().partition(|part| has_place(part));
            let places = most.unwrap_or(u32::MAX).saturating_sub(out.len() as u32);
            let waiting = still.into_iter().skip(places as usize).collect();
            if let Some(parts) = self.parts.get_mut(&op) {
                parts.waiting = waiting;
            }
            self.set(op, OpState::Parted { left: open.len() as u32 });
        }
        for (op, _) in plan.operations() {
            if matches!(self.state[op], OpState::Ready | OpState::Waiting { .. }) {
                self.open(op);
                if self.is_doomed(&plan, op) {
                    self.doomed.insert(op);
                }
            }
        }
    }

    /// What an earlier executor had been granted for operations that it had not started went with it.
    fn leave_all_gates(&mut self, now: RunTime) {
        let mut gated: Vec<OpIx> = self.gates.passing.keys().copied().collect();
        gated.retain(|op| matches!(self.state[*op], OpState::Gated(_)));
        gated.sort_unstable();
        for op in gated {
            self.leave_gates(op, now);
            self.set(op, OpState::Ready);
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
        if matches!(self.state[op], OpState::Gated(_)) || matches!(next, OpState::Gated(_)) {
            let is_free = next == OpState::Gated(Hold::Free);
            let is_through = is_free && self.gates.is_through(op);
            member(&mut self.admitted, op, is_through);
            let is_holding = self.gates.is_holding(op, &next);
            member(&mut self.holding, op, is_holding);
            member(&mut self.able, op, is_free && !is_through && is_holding);
            member(&mut self.coming, op, is_free && !is_through && !is_holding);
            self.asked -= u32::from(self.state[op] == OpState::Gated(Hold::Asked));
            self.asked += u32::from(next == OpState::Gated(Hold::Asked));
        }
        if matches!(self.state[op], OpState::Parted { .. }) || matches!(next, OpState::Parted { .. }) {
            member(&mut self.joining, op, next == OpState::Parted { left: 0 });
        }
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
            OpState::Committing { give_up_at, .. } => give_up_at,
            OpState::BackingOff { until } | OpState::Gated(Hold::Until(until)) => Some(until),
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
