//! The line of operations that can proceed: larger priorities first, and equal ones in the order of the agenda.

use crate::ops::OpIx;
use crate::plan::PlannedOperation;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What an operation that can proceed has done already; an operation that holds something goes before others, so that
/// it releases that early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It has passed all its gates.
    Admitted,
    /// It has passed a gate and can request the next.
    Holding,
    /// It holds nothing.
    Open,
}

/// Place of an operation in the line; the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) stage: Stage,
    priority: Reverse<i32>,
    /// Whether its gates are not known yet; operations at their first gate go before these.
    is_ready: bool,
    pub(super) op: OpIx,
}

impl Position {
    /// The place of a ready operation.
    pub(super) fn ready(op: OpIx, planned: &PlannedOperation) -> Self {
        Self { is_ready: true, ..Self::gated(Stage::Open, op, planned) }
    }

    /// The place of an operation at its gates.
    pub(super) fn gated(stage: Stage, op: OpIx, planned: &PlannedOperation) -> Self {
        Self { stage, priority: Reverse(planned.policies.priority.value), is_ready: false, op }
    }

    /// Whether the operation holds nothing and can request its first gate.
    pub(super) fn is_coming(&self) -> bool {
        self.stage == Stage::Open && !self.is_ready
    }
}

/// The line. Operations that can request their first gate stand apart, because they may have to wait until fewer
/// operations hold gates.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Line {
    coming: BTreeSet<Position>,
    others: BTreeSet<Position>,
}

impl Line {
    pub(super) fn insert(&mut self, position: Position) {
        self.part(position).insert(position);
    }

    pub(super) fn remove(&mut self, position: Position) {
        self.part(position).remove(&position);
    }

    fn part(&mut self, position: Position) -> &mut BTreeSet<Position> {
        if position.is_coming() { &mut self.coming } else { &mut self.others }
    }

    /// The first in line; without those that can request their first gate unless `may_come`.
    pub(super) fn first(&self, may_come: bool) -> Option<Position> {
        let coming = self.coming.first().filter(|_| may_come);
        coming.into_iter().chain(self.others.first()).min().copied()
    }

    /// The first operation that can request its first gate, and the first of the others.
    pub(super) fn heads(&self) -> [Option<Position>; 2] {
        [self.coming.first().copied(), self.others.first().copied()]
    }
}
