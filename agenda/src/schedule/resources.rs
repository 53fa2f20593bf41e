//! The resources of a run: what running operations hold, and which operations wait for what.
//!
//! *Rule.* An operation starts when the totals leave what it needs. The first operation in line that has to wait reserves
//! what it needs: a later one may start before it only with what the reservation leaves. So no operation waits for one that
//! is behind it in line, and each gets its turn when the operations that hold its resources end.

use super::line::{Line, Position};
use crate::ops::OpIx;
use pop_policy::Resources;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Maximum number of different needs that are compared with what is left before one operation starts.
const MOST_NEEDS: usize = 256;

/// Operations that need resources: those that hold them, and those that can proceed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ResourceUse {
    /// The line, by need.
    lines: BTreeMap<Arc<Resources>, Line>,
    /// The first operations of each of the lines.
    heads: BTreeMap<Position, Arc<Resources>>,
    /// What each operation holds.
    held: BTreeMap<OpIx, Arc<Resources>>,
    /// The sum of what is held.
    used: Resources,
}

/// A resource of which too little is left for an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// Name of the resource.
    pub resource: Box<str>,
    /// Amount that the operation needs, in the unit of [`Resources`].
    pub needed: u64,
    /// Amount that is not held, and not reserved for an operation before it.
    pub left: u64,
    /// Total of the run.
    pub total: u64,
}

impl ResourceUse {
    /// Changes the line of the operations with this need.
    pub(super) fn change(&mut self, need: &Arc<Resources>, change: impl FnOnce(&mut Line)) {
        let line = self.lines.entry(Arc::clone(need)).or_default();
        for head in line.heads().into_iter().flatten() {
            self.heads.remove(&head);
        }
        change(line);
        let heads = line.heads();
        for head in heads.into_iter().flatten() {
            self.heads.insert(head, Arc::clone(need));
        }
        if heads == [None, None] {
            self.lines.remove(need);
        }
    }

    /// Records that an operation holds what it needs.
    pub(super) fn take(&mut self, op: OpIx, need: &Arc<Resources>) {
        if self.held.insert(op, Arc::clone(need)).is_none() {
            self.used.add(need);
        }
    }

    /// Records that an operation holds nothing more.
    pub(super) fn release(&mut self, op: OpIx) {
        if let Some(need) = self.held.remove(&op) {
            self.used.subtract(&need);
        }
    }

    /// The first operation in line, before `end`, that has what it needs.
    pub(super) fn first(
        &self,
        totals: &Resources,
        may_come: bool,
        end: Option<Position>,
    ) -> Option<Position> {
        let mut reserved = None;
        let before_end = self.heads.iter().take_while(|(head, _)| end.is_none_or(|end| **head < end));
        for (head, need) in before_end.take(MOST_NEEDS).filter(|(head, _)| may_come || !head.is_coming()) {
            if self.fits(need, totals, reserved) {
                return Some(*head);
            }
            reserved = reserved.or(Some(need));
        }
        None
    }

    /// The resources of which too little is left for `need`, without `reserved`. An operation that needs more than the
    /// total does not wait: its start fails.
    pub(super) fn shortages(
        &self,
        need: &Resources,
        totals: &Resources,
        reserved: Option<&Arc<Resources>>,
    ) -> impl Iterator<Item = Shortage> {
        let may_wait = need.beyond(totals).is_none();
        need.iter().filter(move |_| may_wait).filter_map(move |(resource, needed)| {
            let total = totals.get(resource)?;
            let reserved = reserved.and_then(|reserved| reserved.get(resource)).unwrap_or_default();
            let used = self.used.get(resource).unwrap_or_default();
            let left = total.saturating_sub(used).saturating_sub(reserved);
            (needed > left).then(|| Shortage { resource: resource.into(), needed, left, total })
        })
    }

    fn fits(&self, need: &Resources, totals: &Resources, reserved: Option<&Arc<Resources>>) -> bool {
        self.shortages(need, totals, reserved).next().is_none()
    }

    /// The first operation in line that has to wait, with what it needs.
    pub(super) fn first_waiting(&self, totals: &Resources) -> Option<(Position, &Arc<Resources>)> {
        let mut heads = self.heads.iter().map(|(head, need)| (*head, need));
        heads.find(|(_, need)| !self.fits(need, totals, None))
    }

    /// The operations that hold any of these resources.
    pub(super) fn holders(&self, resources: &[Shortage]) -> Vec<OpIx> {
        let holds_any =
            |held: &Resources| resources.iter().any(|shortage| held.get(&shortage.resource).is_some());
        self.held.iter().filter(|(_, held)| holds_any(held)).map(|(op, _)| *op).collect()
    }
}
