//! The dependencies that an operation still waits for, and whether it can run at all.

use super::Scheduler;
use super::state::OpState;
use crate::ops::OpIx;
use crate::plan::{Edge, Origin, Plan};

impl Scheduler {
    /// Whether an unsettled operation can no longer run.
    pub(super) fn is_doomed(&self, plan: &Plan, op: OpIx) -> bool {
        let mut missed = self.missed(plan, op).peekable();
        let is_missing = missed.peek().is_some();
        let is_needed = missed.any(|edge| edge.needs.accepts_all_good());
        is_needed || (is_missing && self.count_unmet(plan, op) == 0) || !self.may_start(plan, op)
    }

    /// The dependencies of an operation that settled with an outcome it does not accept.
    pub(super) fn missed<'p>(&self, plan: &'p Plan, op: OpIx) -> impl Iterator<Item = &'p Edge> {
        let is_missed =
            |edge: &&Edge| self.table[edge.on].outcome().is_some_and(|of| !edge.needs.contains(of));
        plan.graph().dependencies(op).filter(is_missed)
    }

    /// Number of conditions that an operation waits for: dependencies, a place among the parts of its whole, and, for
    /// one that waits for every operation, all others.
    pub(super) fn count_unmet(&self, plan: &Plan, op: OpIx) -> u32 {
        let planned = plan.operation(op);
        let is_open = |edge: &&Edge| match self.table[edge.on].outcome() {
            None => true,
            Some(outcome) => !edge.needs.contains(outcome) && edge.needs.accepts_all_good(),
        };
        let edges = plan.graph().dependencies(op);
        let edges = edges.filter(|edge| !planned.is_last() || plan.operation(edge.on).is_last());
        let edges = edges.filter(is_open).count();
        let is_waiting = planned
            .part_of()
            .and_then(|of| self.parts.get(&of))
            .is_some_and(|parts| parts.waiting.contains(&op));
        // a resumed run admits the item first
        let is_shut = matches!(planned.origin, Some(Origin::Inner { of, .. }) if !matches!(self.table[of], OpState::Parted { .. }));
        let others = if planned.is_last() { self.unsettled_others(plan) } else { 0 };
        edges as u32 + u32::from(is_waiting) + u32::from(is_shut) + others
    }

    /// Number of unsettled operations without those that wait for all others.
    fn unsettled_others(&self, plan: &Plan) -> u32 {
        let last = plan.last().iter().filter(|op| self.table[**op].outcome().is_none()).count() as u32;
        self.table.tally().total() - self.table.tally().settled() - last
    }

    /// Updates the operations that wait for all others or for a part when an operation settles.
    pub(super) fn count_down(&mut self, plan: &Plan, op: OpIx) {
        if !plan.operation(op).is_last() {
            for last in plan.last() {
                self.meet(plan, *last);
            }
        }
        let Some(of) = plan.operation(op).part_of() else { return };
        if let OpState::Parted { left } = self.table[of] {
            self.set(of, OpState::Parted { left: left.saturating_sub(1) });
        }
        let Some(parts) = self.parts.get_mut(&of) else { return };
        if !parts.waiting.remove(&op)
            && let Some(next) = parts.waiting.pop_first()
        {
            self.meet(plan, next);
        }
    }

    /// Removes one condition that an operation waits for.
    pub(super) fn meet(&mut self, plan: &Plan, op: OpIx) {
        let OpState::Waiting { unmet } = self.table[op] else { return };
        let unmet = unmet.saturating_sub(1);
        self.set(op, OpState::waiting_for(unmet));
        let is_missing = unmet == 0 && self.missed(plan, op).next().is_some();
        if is_missing || !self.may_start(plan, op) {
            self.table.doom(op);
        }
    }
}
