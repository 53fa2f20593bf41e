//! `dependsOn: gen.generated`: an operation waits for everything that a generator adds, and for what that adds.

use super::{Edge, EdgeKind, Origin, Plan};
use crate::ops::OpIx;
use crate::outcome::Outcomes;
use std::collections::HashSet;

impl Plan {
    /// Registers the operations from `first` on that wait for the operations of generators, and those that generators have
    /// added. Returns the operations with new dependencies.
    pub(super) fn await_generators(&mut self, first: OpIx) -> Vec<OpIx> {
        let mut changed = Vec::new();
        for op in (first.0..self.len() as u32).map(OpIx) {
            let awaits = self.operation(op).rare.as_ref().map_or_else(Vec::new, |rare| rare.awaits.clone());
            for named in awaits {
                let by = self.resolve(op, named);
                self.awaiting.entry(by).or_default().push(op);
                // the generator may have added its operations already
                let mut generators = vec![by];
                while let Some(by) = generators.pop() {
                    for added in self.generated.get(&by).cloned().unwrap_or_default() {
                        self.add_wait(op, added);
                        generators.push(added);
                    }
                }
            }
        }
        for op in (first.0..self.len() as u32).map(OpIx) {
            let Some(Origin::Generated { by, .. }) = self.operation(op).origin else { continue };
            self.generated.entry(by).or_default().push(op);
            let Some(waiters) = self.awaiting.get(&by).cloned() else { continue };
            for waiter in &waiters {
                self.add_wait(*waiter, op);
            }
            changed.extend(&waiters);
            if self.operation(op).generator().is_some() {
                self.awaiting.entry(op).or_default().extend(waiters);
            }
        }
        changed
    }

    fn add_wait(&mut self, op: OpIx, on: OpIx) {
        let is_finally = self.operation(op).rare.as_ref().is_some_and(|rare| rare.finally.is_some());
        let needs = if is_finally { Outcomes::ANY } else { Outcomes::GOOD };
        self.graph.add(op, Edge { on, kind: EdgeKind::Follows, needs });
    }

    /// The operation that waits for everything that `by` adds and on which one of these dependencies leads back.
    pub(super) fn waits_for_generated(&self, by: OpIx, edges: &[Edge]) -> Option<OpIx> {
        let waiters = self.awaiting.get(&by)?;
        let mut seen: HashSet<OpIx> = HashSet::new();
        let mut open: Vec<OpIx> =
            edges.iter().map(|edge| edge.on).filter(|on| on.index() < self.len()).collect();
        while let Some(op) = open.pop() {
            if waiters.contains(&op) {
                return Some(op);
            }
            let of = self.operation(op).part_of();
            open.extend(
                self.graph.dependencies(op).map(|edge| edge.on).chain(of).filter(|on| seen.insert(*on)),
            );
        }
        None
    }
}
