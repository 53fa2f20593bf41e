//! The table of operation states, with views for decisions.
//!
//! *Guarantee.* Only [`Table::set`] changes a state, and it updates every view. The only data that does not follow from
//! the states is which operations are doomed: [`Table::doom`] marks them and settling removes the mark.

use super::gates::Gates;
use super::state::{Hold, OpState, Tally};
use crate::event::RunTime;
use crate::ops::{OpIx, OpMap};
use crate::outcome::Outcome;
use crate::plan::{Plan, PlannedOperation};
use pop_policy::OnFail;
use std::collections::BTreeSet;
use std::ops::Index;

/// The state of every operation, and views of the states.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    states: OpMap<OpState>,
    /// Number of operations in each state.
    tally: Tally,
    /// Operations that can start.
    ready: BTreeSet<OpIx>,
    /// Next time limit of each operation that has one.
    deadlines: BTreeSet<(RunTime, OpIx)>,
    /// Operations with an attempt that runs or is being stopped.
    launched: BTreeSet<OpIx>,
    /// Operations whose attempt ended and awaits the decision of the policies.
    judged: BTreeSet<OpIx>,
    /// Operations that can request their first gate.
    coming: BTreeSet<OpIx>,
    /// Operations that have passed a gate and can request the next.
    able: BTreeSet<OpIx>,
    /// Operations that have passed all their gates.
    admitted: BTreeSet<OpIx>,
    /// Operations that have not started but need an open file or a thread.
    holding: BTreeSet<OpIx>,
    /// Number of operations that wait for an answer about a gate.
    unanswered: u32,
    /// Operations whose parts are all settled.
    joining: BTreeSet<OpIx>,
    /// Number of operations whose failure ends the run at once.
    fatal: u32,
    /// Number of failed operations and of dead letters that only count for their item.
    absorbed: [u32; 2],
    /// Operations to settle without an attempt: a dependency failed, or the run is ending.
    doomed: BTreeSet<OpIx>,
}

impl Table {
    /// A table of `count` operations that wait.
    pub(super) fn new(count: usize) -> Self {
        Self {
            states: OpMap::filled(count, OpState::Waiting { unmet: 0 }),
            tally: Tally { waiting: count as u32, ..Tally::default() },
            ready: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            launched: BTreeSet::new(),
            judged: BTreeSet::new(),
            coming: BTreeSet::new(),
            able: BTreeSet::new(),
            admitted: BTreeSet::new(),
            holding: BTreeSet::new(),
            unanswered: 0,
            joining: BTreeSet::new(),
            fatal: 0,
            absorbed: [0; 2],
            doomed: BTreeSet::new(),
        }
    }

    /// Adds an operation that waits.
    pub(super) fn push(&mut self) {
        self.states.push(OpState::Waiting { unmet: 0 });
        self.tally.waiting += 1;
    }

    /// Puts an operation into a state.
    pub(super) fn set(&mut self, op: OpIx, next: OpState, planned: &PlannedOperation, gates: &Gates) {
        let before = &self.states[op];
        if let Some(at) = deadline(before, planned) {
            self.deadlines.remove(&(at, op));
        }
        if let Some(at) = deadline(&next, planned) {
            self.deadlines.insert((at, op));
        }
        *self.tally.count(before) -= 1;
        *self.tally.count(&next) += 1;
        self.fatal -= u32::from(is_fatal(before, planned));
        self.fatal += u32::from(is_fatal(&next, planned));
        if planned.is_absorbed {
            for (count, outcome) in self.absorbed.iter_mut().zip([Outcome::Failed, Outcome::DeadLettered]) {
                *count -= u32::from(before.outcome() == Some(outcome));
                *count += u32::from(next.outcome() == Some(outcome));
            }
        }
        member(&mut self.ready, op, next == OpState::Ready);
        member(&mut self.launched, op, next.is_out());
        member(&mut self.judged, op, next.is_judged());
        if matches!(before, OpState::Gated(_)) || matches!(next, OpState::Gated(_)) {
            let is_free = next == OpState::Gated(Hold::Free);
            let is_through = is_free && gates.is_through(op);
            let is_holding = gates.is_holding(op, &next);
            member(&mut self.admitted, op, is_through);
            member(&mut self.holding, op, is_holding);
            member(&mut self.able, op, is_free && !is_through && is_holding);
            member(&mut self.coming, op, is_free && !is_through && !is_holding);
            self.unanswered -= u32::from(*before == OpState::Gated(Hold::Asked));
            self.unanswered += u32::from(next == OpState::Gated(Hold::Asked));
        }
        if matches!(before, OpState::Parted { .. }) || matches!(next, OpState::Parted { .. }) {
            member(&mut self.joining, op, next == OpState::Parted { left: 0 });
        }
        if next.outcome().is_some() {
            self.doomed.remove(&op);
        }
        self.states[op] = next;
    }

    /// Marks an operation that will be settled without an attempt.
    pub(super) fn doom(&mut self, op: OpIx) {
        self.doomed.insert(op);
    }

    /// Removes the mark from all operations.
    pub(super) fn pardon_all(&mut self) {
        self.doomed.clear();
    }

    /// The outcome of an operation, once it is settled.
    pub(super) fn outcome(&self, op: OpIx) -> Option<Outcome> {
        self.states[op].outcome()
    }

    /// All operations with their states.
    pub(super) fn iter(&self) -> impl Iterator<Item = (OpIx, &OpState)> {
        self.states.iter()
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) fn first_ready(&self) -> Option<OpIx> {
        self.ready.first().copied()
    }

    pub(super) fn first_deadline(&self) -> Option<(RunTime, OpIx)> {
        self.deadlines.first().copied()
    }

    pub(super) fn launched(&self) -> impl Iterator<Item = OpIx> {
        self.launched.iter().copied()
    }

    pub(super) fn first_judged(&self) -> Option<OpIx> {
        self.judged.first().copied()
    }

    pub(super) fn first_coming(&self) -> Option<OpIx> {
        self.coming.first().copied()
    }

    pub(super) fn first_able(&self) -> Option<OpIx> {
        self.able.first().copied()
    }

    pub(super) fn first_admitted(&self) -> Option<OpIx> {
        self.admitted.first().copied()
    }

    pub(super) fn count_holding(&self) -> usize {
        self.holding.len()
    }

    /// Number of operations that take one of the run's `parallel` places.
    pub(super) fn count_occupied(&self) -> u32 {
        self.tally.running + self.unanswered
    }

    pub(super) fn first_joining(&self) -> Option<OpIx> {
        self.joining.first().copied()
    }

    /// Number of failed operations that count for the run.
    pub(super) fn count_failed(&self) -> u32 {
        self.tally.failed - self.absorbed[0]
    }

    /// Number of dead letters that count for the run.
    pub(super) fn count_dead_letters(&self) -> u32 {
        self.tally.dead_lettered - self.absorbed[1]
    }

    pub(super) fn has_fatal(&self) -> bool {
        self.fatal > 0
    }

    pub(super) fn first_doomed(&self) -> Option<OpIx> {
        self.doomed.first().copied()
    }

    /// Checks the views against views rebuilt from the states.
    pub(super) fn check(&self, plan: &Plan, gates: &Gates) -> Result<(), String> {
        let mut anew = Self::new(self.states.len());
        for (op, state) in self.iter() {
            anew.set(op, state.clone(), plan.operation(op), gates);
        }
        anew.doomed.clone_from(&self.doomed);
        if anew != *self {
            return Err(format!("the views are {self:?} but should be {anew:?}"));
        }
        let lost = self.doomed.iter().find(|op| self.states[**op].is_out() || self.outcome(**op).is_some());
        lost.map_or(Ok(()), |op| {
            Err(format!("`{}` is doomed in {:?}", plan.operation(*op).name, self.states[*op]))
        })
    }
}

impl Index<OpIx> for Table {
    type Output = OpState;
    fn index(&self, op: OpIx) -> &OpState {
        &self.states[op]
    }
}

/// The next time limit of an operation in this state.
pub(super) fn deadline(state: &OpState, planned: &PlannedOperation) -> Option<RunTime> {
    match *state {
        OpState::Launched { since, is_pending } => {
            let limits = planned.policies.limits();
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

fn is_fatal(state: &OpState, planned: &PlannedOperation) -> bool {
    state.outcome() == Some(Outcome::Failed) && planned.policies.on_fail.value == OnFail::Fatal
}

fn member(set: &mut BTreeSet<OpIx>, op: OpIx, is_in: bool) {
    if is_in {
        set.insert(op);
    } else {
        set.remove(&op);
    }
}
