//! Reuse of the parent's results in a rerun: which operations may reuse one, and which must run.
//!
//! The executor compares an operation with the parent's record of it. The scheduler knows what happened in this run: an
//! operation that only follows another one, without reading its result, may depend on its files. So it runs again
//! unless everything before it is as it was in the parent.

use super::Scheduler;
use crate::gate::Gate;
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::plan::{EdgeKind, OpRef, Origin, Plan, PlannedOperation};
use crate::reuse::ParentRun;
use pop_policy::Lock;
use std::collections::{HashMap, HashSet};

/// The parent of a rerun, and the operations that are as they were in it.
#[derive(Debug, Clone)]
pub(super) struct Reuse {
    parent: ParentRun,
    /// Operations whose result was reused.
    reused: HashSet<OpIx>,
    /// Operations that did not run, and neither did any operation before them: their results were reused, or the parent
    /// skipped them, too.
    unchanged: HashSet<OpIx>,
    /// The clean-up that undoes an operation, by this operation.
    undone: HashMap<OpIx, OpIx>,
}

impl Reuse {
    pub(super) fn new(parent: ParentRun, plan: &Plan) -> Self {
        let undoes = |planned: &PlannedOperation| planned.rare.as_ref().map(|rare| rare.undoes.clone());
        let undone = plan.operations().flat_map(|(by, planned)| {
            undoes(planned).unwrap_or_default().into_iter().map(move |undone| (plan.resolve(by, undone), by))
        });
        Self { parent, reused: HashSet::new(), unchanged: HashSet::new(), undone: undone.collect() }
    }
}

impl Scheduler {
    /// The gate that compares an operation with the parent; none if its result is never reused.
    pub(super) fn reuse_gate(&self, op: OpIx) -> Option<Gate> {
        let reuse = self.reuse.as_ref()?;
        // an operation that was launched in this run has no result to reuse
        if self.tries[op].attempt > 0 || self.plan.operation(op).is_cleanup() {
            return None;
        }
        let reads_repeated = !self.dependencies_of(op).all(|(on, _)| reuse.unchanged.contains(&on));
        Some(Gate::Reuse { run: reuse.parent.run.clone(), reads_repeated })
    }

    /// Why an operation must run, whatever the record of the parent says; none if the record decides.
    pub(super) fn reason_to_run(&self, op: OpIx) -> Option<String> {
        let reuse = self.reuse.as_ref()?;
        let planned = self.plan.operation(op);
        if self.is_forced(&reuse.parent, op) {
            return Some("the command line asks for it (OPERATION, --from or --failed)".to_owned());
        }
        if planned.policies.lock.value == Lock::Optimistic {
            return Some("it changes versions of shared keys (lock: OPTIMISTIC)".to_owned());
        }
        let undone = reuse.undone.get(&planned.part_of().unwrap_or(op));
        let by = undone.map(|by| self.plan.operation(*by).name.as_str()).or_else(|| self.undone_inside(op));
        if let Some(by) = by {
            return Some(format!("`{by}` has undone it"));
        }
        // the executor compares the files that it declares to read
        if planned.files().is_some_and(|files| files.reads.is_some()) {
            return None;
        }
        let repeated = self
            .dependencies_of(op)
            .find(|(on, kind)| *kind == EdgeKind::Follows && !reuse.unchanged.contains(on));
        repeated.map(|(on, _)| {
            let name = self.plan.operation(on).name.as_str();
            let what = match self.table.outcome(on) {
                Some(Outcome::Skipped) => "was not skipped in that run",
                _ if reuse.reused.contains(&on) => "is the same, but an operation before it ran again",
                _ => "ran again",
            };
            format!("`{name}`, which it follows without reading its result, {what}")
        })
    }

    /// The clean-up inside the same operation that undoes this one.
    fn undone_inside(&self, op: OpIx) -> Option<&str> {
        let mut at = op;
        loop {
            at = match self.plan.operation(at).origin? {
                Origin::Part { of, .. } => of,
                Origin::Inner { of, index } => {
                    let own = OpRef::Inner { up: 0, index };
                    let is_undoing = |inner: &&PlannedOperation| {
                        inner.rare.as_ref().is_some_and(|rare| rare.undoes.contains(&own))
                    };
                    let by = self.plan.operation(of).body()?.operations().iter().find(is_undoing);
                    match by {
                        Some(by) => return Some(by.name.as_str()),
                        None => of,
                    }
                }
                Origin::Generated { .. } => return None,
            };
        }
    }

    /// The dependencies of an operation; a part has those of the whole operation, and a generated one also depends on
    /// its generator.
    fn dependencies_of(&self, op: OpIx) -> impl Iterator<Item = (OpIx, EdgeKind)> {
        let mut found: Vec<(OpIx, EdgeKind)> = Vec::new();
        let mut next = Some(op);
        while let Some(op) = next {
            let edges = self.plan.graph().dependencies(op);
            found.extend(edges.map(|edge| (edge.on, edge.kind)));
            next = match self.plan.operation(op).origin {
                Some(Origin::Part { of, .. } | Origin::Inner { of, .. }) => Some(of),
                Some(Origin::Generated { by, .. }) => {
                    found.push((by, EdgeKind::Reads));
                    None
                }
                None => None,
            };
        }
        found.into_iter()
    }

    /// Whether the user named the operation or the whole that it is a part of, or an earlier operation together with all
    /// its dependants.
    fn is_forced(&self, parent: &ParentRun, op: OpIx) -> bool {
        let planned = self.plan.operation(op);
        let name = planned.name.as_str();
        if parent.forced.contains(name) || parent.forced_with_dependants.contains(name) {
            return true;
        }
        match planned.origin {
            None => false,
            Some(Origin::Part { of, .. } | Origin::Inner { of, .. }) => self.is_forced(parent, of),
            // the names of the agenda's operations include all dependants
            Some(Origin::Generated { .. }) => {
                !parent.forced_with_dependants.is_empty()
                    && self.dependencies_of(op).any(|(on, _)| {
                        let name = self.plan.operation(on).name.as_str();
                        parent.forced_with_dependants.contains(name)
                            || self.plan.operation(on).origin.is_some() && self.is_forced(parent, on)
                    })
            }
        }
    }

    /// Notes that the result of the parent was reused.
    pub(super) fn note_reuse(&mut self, op: OpIx) {
        if let Some(reuse) = &mut self.reuse {
            reuse.reused.insert(op);
        }
    }

    /// Notes the outcome of an operation in a rerun.
    pub(super) fn note_unchanged(&mut self, op: OpIx, outcome: Outcome) {
        let Some(reuse) = &self.reuse else { return };
        let is_same = match outcome {
            Outcome::Succeeded if self.plan.operation(op).is_whole() => {
                let parts = self.parts.get(&op).map_or(&[][..], |parts| &parts.all);
                parts.iter().all(|part| reuse.unchanged.contains(part))
            }
            Outcome::Succeeded => reuse.reused.contains(&op),
            Outcome::Skipped => reuse.parent.skipped.contains(self.plan.operation(op).name.as_str()),
            _ => false,
        };
        let is_unchanged = is_same && self.dependencies_of(op).all(|(on, _)| reuse.unchanged.contains(&on));
        if let Some(reuse) = &mut self.reuse {
            if is_unchanged {
                reuse.unchanged.insert(op);
            } else {
                reuse.unchanged.remove(&op);
            }
        }
    }

    /// Forgets the reuse of operations that are reopened.
    pub(super) fn forget_reuse(&mut self, op: OpIx) {
        if let Some(reuse) = &mut self.reuse {
            reuse.reused.remove(&op);
            reuse.unchanged.remove(&op);
        }
    }
}
