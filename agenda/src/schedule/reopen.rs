//! Resume of a finished run: which settled operations run again, and how their state is reset.

use super::state::OpState;
use super::{Phase, Scheduler};
use crate::document::Finally;
use crate::event::{Ending, RunEvent, RunTime};
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::plan::{Origin, PlannedOperation, Serves};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Scheduler {
    /// Continues a run under a new executor. A finished run first waits for its [`RunEvent::RunReopened`].
    pub(super) fn resume(&mut self, now: RunTime) {
        self.leave_all_gates(now);
        self.follow_anew(now);
        self.limit_commits(None);
        self.resume_limits();
        self.run = if self.was_over() { Phase::Reopening } else { Phase::Running };
    }

    /// Whether the run had ended, was ending because of a signal, or was resumed after that and not reopened yet.
    fn was_over(&self) -> bool {
        matches!(self.run, Phase::Ended(_) | Phase::Reopening) || self.is_interrupted()
    }

    /// The operations that a resumed run repeats: failed and cancelled ones, the failed calls of a repeated dispatch,
    /// and skipped ones whose condition may have another result now.
    pub(super) fn reopening(&self) -> RunEvent {
        let bad = |outcome| matches!(outcome, Some(Outcome::Failed | Outcome::Cancelled));
        let mut open: BTreeSet<OpIx> = self
            .table
            .iter()
            .filter(|(op, state)| bad(state.outcome()) && !self.is_concluded(*op))
            .map(|(op, _)| op)
            .collect();
        let unsettled = self.table.iter().filter(|(_, state)| state.outcome().is_none()).map(|(op, _)| op);
        let mut changed: Vec<OpIx> = unsettled.chain(open.iter().copied()).collect();
        // a conditional operation may depend on another one
        while let Some(op) = changed.pop() {
            for dependant in self.plan.graph().dependants(op) {
                let op = dependant.op;
                let is_skipped = self.table[op].outcome() == Some(Outcome::Skipped);
                let rare = self.plan.operation(op).rare.as_ref();
                if is_skipped && rare.is_some_and(|rare| rare.is_conditional) && open.insert(op) {
                    changed.push(op);
                }
            }
        }
        open.extend(self.replayed_letters());
        self.repeat_undone(&mut open);
        self.repeat_clean_up(&mut open);
        let is_open = |op: &OpIx| self.table[*op].outcome().is_none() || open.contains(op);
        let calls: Vec<OpIx> = self
            .parts
            .iter()
            .filter(|(op, _)| is_open(op))
            .flat_map(|(_, parts)| self.failed_calls(parts))
            .collect();
        open.extend(calls);
        RunEvent::RunReopened { ops: open.into_iter().collect() }
    }

    /// Whether an operation around this one has ended well: the failure is part of its result.
    fn is_concluded(&self, op: OpIx) -> bool {
        let mut at = op;
        while let Some(of) = self.plan.operation(at).part_of() {
            if self.table[of].outcome().is_some_and(Outcome::lets_others_start) {
                return true;
            }
            at = of;
        }
        false
    }

    /// Adds the operations whose effects a clean-up has undone, if an operation that runs again depends on them, and
    /// those between the two. A dispatch or a generator is not repeated, because what it added is in the plan already.
    fn repeat_undone(&self, open: &mut BTreeSet<OpIx>) {
        let has_run = |op: OpIx| self.tries[op].attempt > 0;
        let undone = self
            .plan
            .operations()
            .filter(|(op, _)| has_run(*op))
            .filter_map(|(op, planned)| Some((op, planned.rare.as_ref()?)))
            .flat_map(|(op, rare)| rare.undoes.iter().map(move |on| self.plan.resolve(op, *on)));
        let mut undone: Vec<OpIx> = undone.collect();
        if undone.is_empty() {
            return;
        }
        let needed = self.needed_by_repeated(open);
        let mut seen: BTreeSet<OpIx> = BTreeSet::new();
        while let Some(op) = undone.pop() {
            if !needed.contains(&op) || !seen.insert(op) {
                continue;
            }
            undone.extend(self.plan.graph().dependants(op).map(|dependant| dependant.op));
            let planned = self.plan.operation(op);
            let parts = self.all_parts(op);
            let is_dispatch = |op: &OpIx| self.plan.operation(*op).serves == Serves::Dispatch;
            let is_repeatable =
                planned.generator().is_none() && !is_dispatch(&op) && !parts.iter().any(is_dispatch);
            if is_repeatable && self.table.outcome(op).is_some_and(Outcome::has_result) {
                open.insert(op);
                open.extend(parts);
            }
        }
    }

    /// The parts of an operation, their parts and so on.
    fn all_parts(&self, op: OpIx) -> Vec<OpIx> {
        let mut all = Vec::new();
        let mut open = vec![op];
        while let Some(op) = open.pop() {
            let parts = self.parts.get(&op).map_or(&[][..], |parts| &parts.all);
            open.extend(parts);
            all.extend(parts);
        }
        all
    }

    /// The operations on which those depend that run again, except clean-up.
    fn needed_by_repeated(&self, open: &BTreeSet<OpIx>) -> BTreeSet<OpIx> {
        let unsettled = self.table.iter().filter(|(_, state)| state.outcome().is_none()).map(|(op, _)| op);
        let repeated = unsettled.chain(open.iter().copied());
        let mut next: Vec<OpIx> = repeated.filter(|op| !self.plan.operation(*op).is_cleanup()).collect();
        let mut needed = BTreeSet::new();
        while let Some(op) = next.pop() {
            let whole = self.plan.operation(op).part_of();
            let edges = self.plan.graph().dependencies(op).map(|edge| edge.on);
            next.extend(edges.chain(whole).filter(|on| needed.insert(*on)));
        }
        needed
    }

    /// The dead letters whose replay has a result for them, and the operations of which they are parts.
    fn replayed_letters(&self) -> impl Iterator<Item = OpIx> {
        let is_dead = |op: &OpIx| self.table[*op].outcome() == Some(Outcome::DeadLettered);
        // a result that breaks a rule of generators leaves the dead letter as it is
        let is_usable = |(op, result): &(&OpIx, &Arc<Value>)| self.generated(**op, result).is_ok();
        let replayed = self.replayed.iter().filter(is_usable).map(|(op, _)| *op).filter(is_dead);
        let with_wholes =
            move |op: OpIx| std::iter::successors(Some(op), |op| self.plan.operation(*op).part_of());
        replayed.flat_map(with_wholes).filter(is_dead)
    }

    /// Gives reopened operations the results of their replayed dead letters.
    pub(super) fn give_replayed(&mut self, ops: &[OpIx], now: RunTime) {
        for op in ops {
            if let Some(result) = self.replayed.remove(op) {
                self.end_attempt(*op, &Ending::Succeeded { result }, now);
            }
        }
    }

    /// Adds the `finally` operations that succeeded or were skipped, and are repeated. Those with parts or generated operations are
    /// not, because these are in the plan already.
    fn repeat_clean_up(&self, open: &mut BTreeSet<OpIx>) {
        let is_repeatable = |planned: &PlannedOperation| {
            let is_part = matches!(planned.origin, Some(Origin::Part { .. }));
            !is_part && !planned.is_whole() && planned.generator().is_none()
        };
        // a dead letter is replayed, not repeated
        let is_good = |op: OpIx| self.table[op].outcome().is_some_and(Outcome::lets_others_start);
        let clean_up: Vec<(OpIx, Finally)> = self
            .plan
            .operations()
            .filter(|(op, planned)| is_good(*op) && is_repeatable(planned))
            .filter_map(|(op, planned)| Some((op, planned.rare.as_ref()?.finally?)))
            .collect();
        let is_open = |open: &BTreeSet<OpIx>, op| self.table[op].outcome().is_none() || open.contains(&op);
        loop {
            let before = open.len();
            for (op, finally) in &clean_up {
                let planned = self.plan.operation(*op);
                // the clean-up of an item is repeated with the item
                if planned.part_of().is_some_and(|of| !is_open(open, of)) {
                    continue;
                }
                let mut edges = self.plan.graph().dependencies(*op);
                let is_repeated = match finally {
                    Finally::Always => true,
                    Finally::WhenRepeated if planned.is_last() => self
                        .table
                        .iter()
                        .any(|(other, _)| !self.plan.operation(other).is_last() && is_open(open, other)),
                    Finally::WhenRepeated => edges.any(|edge| is_open(open, edge.on)),
                };
                if is_repeated {
                    open.insert(*op);
                }
            }
            if open.len() == before {
                return;
            }
        }
    }

    /// Reopens operations: each loses its outcome, and all its attempts are available again.
    pub(super) fn reopen(&mut self, ops: &[OpIx]) {
        self.run = Phase::Running;
        self.cancel = None;
        self.table.pardon_all();
        for op in ops {
            self.set(*op, OpState::Ready);
            self.tries[*op].reset();
            self.reset_limits(*op);
            self.forget_failure(*op);
            self.forget_reuse(*op);
        }
        let plan = Arc::clone(&self.plan);
        let mut wholes: Vec<OpIx> = self.parts.keys().copied().collect();
        wholes.sort_unstable();
        for op in wholes {
            self.reopen_whole(op);
        }
        for (op, _) in plan.operations() {
            if matches!(self.table[op], OpState::Ready | OpState::Waiting { .. }) {
                self.open(op);
                if self.is_doomed(&plan, op) {
                    self.table.doom(op);
                }
            }
        }
    }

    /// Recounts the open parts of an operation; at most `maxParallel` of them may start.
    fn reopen_whole(&mut self, op: OpIx) {
        let is_open = |op: &OpIx| self.table[*op].outcome().is_none();
        // operations inside an operation wait until it has a place and goes on
        let planned = self.plan.operation(op);
        let waits = planned.body().is_some()
            && planned.for_each().is_none()
            && !matches!(self.table[op], OpState::Parted { .. });
        let Some(parts) = self.parts.get(&op).filter(|_| is_open(&op) && !waits) else { return };
        let open: Vec<OpIx> = parts.all.iter().copied().filter(is_open).collect();
        let most = self.plan.operation(op).for_each().and_then(|for_each| for_each.max_parallel);
        let is_idle = |part: &OpIx| matches!(self.table[*part], OpState::Ready | OpState::Waiting { .. });
        let (idle, busy): (Vec<OpIx>, Vec<OpIx>) = open.iter().partition(|part| is_idle(part));
        let places = most.unwrap_or(u32::MAX).saturating_sub(busy.len() as u32);
        let waiting = idle.into_iter().skip(places as usize).collect();
        if let Some(parts) = self.parts.get_mut(&op) {
            parts.waiting = waiting;
        }
        self.set(op, OpState::Parted { left: open.len() as u32 });
    }

    /// Releases the gates of operations that the earlier executor had not started.
    fn leave_all_gates(&mut self, now: RunTime) {
        let mut gated: Vec<OpIx> = self.gates.passing.keys().copied().collect();
        gated.retain(|op| matches!(self.table[*op], OpState::Gated(_)));
        gated.sort_unstable();
        for op in gated {
            self.leave_gates(op, now);
            self.set(op, OpState::Ready);
        }
    }

    /// Lets attempts continue that an earlier executor was stopping. Their time limits start now.
    fn follow_anew(&mut self, now: RunTime) {
        for op in self.table.launched().collect::<Vec<OpIx>>() {
            if matches!(self.table[op], OpState::Stopping { .. }) {
                self.set(op, OpState::Launched { since: now, is_pending: false });
            }
        }
    }
}
