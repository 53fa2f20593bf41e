//! The table of operation states, with views for decisions.
//!
//! *Guarantee.* Only [`Table::set`] changes a state, and it updates every view. The only data that does not follow from
//! the states is which operations are doomed: [`Table::doom`] marks them and settling removes the mark.

use super::gates::Gates;
use super::line::{Line, Position, Stage};
use super::resources::ResourceUse;
use super::state::{Hold, OpState, Tally};
use crate::event::RunTime;
use crate::ops::{OpIx, OpMap};
use crate::outcome::Outcome;
use crate::plan::{Plan, PlannedOperation};
use pop_policy::{OnFail, Resources};
use std::collections::{BTreeSet, HashMap};
use std::ops::Index;
use std::sync::Arc;

/// The state of every operation, and views of the states.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    states: OpMap<OpState>,
    /// Number of operations in each state.
    tally: Tally,
    /// Operations that can proceed and need no resources.
    line: Line,
    /// Operations that can proceed and need resources, and those that hold them.
    resources: ResourceUse,
    /// Amounts that references in a payload have, for the operations that need them.
    resolved_needs: HashMap<OpIx, Arc<Resources>>,
    /// Next time limit of each operation that has one.
    deadlines: BTreeSet<(RunTime, OpIx)>,
    /// Operations with an attempt that runs or is being stopped.
    launched: BTreeSet<OpIx>,
    /// Operations whose attempt ended and awaits the decision of the policies.
    judged: BTreeSet<OpIx>,
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
            line: Line::default(),
            resources: ResourceUse::default(),
            resolved_needs: HashMap::new(),
            deadlines: BTreeSet::new(),
            launched: BTreeSet::new(),
            judged: BTreeSet::new(),
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
        member(&mut self.launched, op, next.is_out());
        member(&mut self.judged, op, next.is_judged());
        if matches!(before, OpState::Gated(_)) || matches!(next, OpState::Gated(_)) {
            member(&mut self.holding, op, gates.is_holding(op, &next));
            self.unanswered -= u32::from(*before == OpState::Gated(Hold::Asked));
            self.unanswered += u32::from(next == OpState::Gated(Hold::Asked));
        }
        if matches!(before, OpState::Parted { .. }) || matches!(next, OpState::Parted { .. }) {
            member(&mut self.joining, op, next == OpState::Parted { left: 0 });
        }
        if next.outcome().is_some() {
            self.doomed.remove(&op);
        }
        self.leave(op, planned);
        self.states[op] = next;
        self.enter(op, planned, gates);
    }

    /// Removes an operation from the line, and from those that hold resources.
    fn leave(&mut self, op: OpIx, planned: &PlannedOperation) {
        let mut from_line = |positions: &[Position]| match need(&self.resolved_needs, op, planned) {
            None => positions.iter().for_each(|position| self.line.remove(*position)),
            Some(need) => {
                self.resources
                    .change(need, |line| positions.iter().for_each(|position| line.remove(*position)));
            }
        };
        match self.states[op] {
            OpState::Ready => from_line(&[Position::ready(op, planned)]),
            // the gates have changed since it came into the line
            OpState::Gated(Hold::Free) => from_line(
                &[Stage::Admitted, Stage::Holding, Stage::Open]
                    .map(|stage| Position::gated(stage, op, planned)),
            ),
            _ => {}
        }
        if planned.rare.is_some() {
            self.resources.release(op);
        }
    }

    /// Adds an operation to the line if it can proceed, and to those that hold resources if it has an attempt or is about
    /// to.
    fn enter(&mut self, op: OpIx, planned: &PlannedOperation, gates: &Gates) {
        let need = need(&self.resolved_needs, op, planned);
        match (self.position(op, planned, gates), need) {
            (Some(position), None) => self.line.insert(position),
            (Some(position), Some(need)) => self.resources.change(need, |line| line.insert(position)),
            (None, Some(need)) if is_occupied(&self.states[op]) => self.resources.take(op, need),
            (None, _) => {}
        }
    }

    /// The place of an operation in line; none if it cannot proceed.
    pub(super) fn position(&self, op: OpIx, planned: &PlannedOperation, gates: &Gates) -> Option<Position> {
        match &self.states[op] {
            OpState::Ready => Some(Position::ready(op, planned)),
            state @ OpState::Gated(Hold::Free) => {
                let stage = match () {
                    () if gates.is_through(op) => Stage::Admitted,
                    () if gates.is_holding(op, state) => Stage::Holding,
                    () => Stage::Open,
                };
                Some(Position::gated(stage, op, planned))
            }
            _ => None,
        }
    }

    /// Sets what an operation needs whose payload has references for amounts.
    pub(super) fn resolve_need(
        &mut self,
        op: OpIx,
        amounts: Resources,
        planned: &PlannedOperation,
        gates: &Gates,
    ) {
        self.leave(op, planned);
        self.resolved_needs.insert(op, Arc::new(amounts));
        self.enter(op, planned, gates);
    }

    /// What an attempt of the operation holds; none if it needs nothing.
    pub(super) fn need<'t>(&'t self, op: OpIx, planned: &'t PlannedOperation) -> Option<&'t Arc<Resources>> {
        need(&self.resolved_needs, op, planned)
    }

    /// The operations that need resources.
    pub(super) fn resources(&self) -> &ResourceUse {
        &self.resources
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

    /// The first operation in line that can proceed with these totals of resources; without those that can request
    /// their first gate unless `may_come`.
    pub(super) fn first_in_line(&self, totals: &Resources, may_come: bool) -> Option<OpIx> {
        let first = self.line.first(may_come);
        Some(self.resources.first(totals, may_come, first).or(first)?.op)
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
        anew.resolved_needs.clone_from(&self.resolved_needs);
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
        OpState::Committing(ref commit) => commit.give_up_at,
        OpState::BackingOff { until } | OpState::Gated(Hold::Until(until)) => Some(until),
        _ => None,
    }
}

/// Whether the operation takes one of the run's `parallel` places, and holds the resources that it needs.
fn is_occupied(state: &OpState) -> bool {
    state.is_out() || *state == OpState::Gated(Hold::Asked)
}

/// What an attempt of the operation holds; none if it needs nothing.
fn need<'t>(
    resolved: &'t HashMap<OpIx, Arc<Resources>>,
    op: OpIx,
    planned: &'t PlannedOperation,
) -> Option<&'t Arc<Resources>> {
    let needs = planned.needs()?;
    let known = if needs.is_open { resolved.get(&op).unwrap_or(&needs.known) } else { &needs.known };
    Some(known).filter(|known| !known.is_empty())
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
