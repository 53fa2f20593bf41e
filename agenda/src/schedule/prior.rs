//! Outcomes that a run adopts from an earlier run of its agenda.
//!
//! Operations of the agenda adopt theirs when the run starts, added operations when they are added. An added operation
//! is only the same as an earlier one of its name if it follows from the same results. So it adopts an outcome only if
//! everything that its creator reads was adopted as well.

use super::Scheduler;
use crate::event::{Ending, PriorOutcome, RunTime};
use crate::ops::OpIx;
use crate::plan::{EdgeKind, Grown};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Outcomes of an earlier run.
#[derive(Debug, Clone, Default)]
pub(super) struct Prior {
    /// Outcomes by name, for operations that are added to the plan.
    by_name: HashMap<Box<str>, PriorOutcome<Box<str>>>,
    /// Operations that adopted a result.
    results: HashSet<OpIx>,
}

impl Prior {
    pub(super) fn new(by_name: &[PriorOutcome<Box<str>>]) -> Self {
        let by_name = by_name.iter().map(|prior| (prior.op.clone(), prior.clone())).collect();
        Self { by_name, results: HashSet::new() }
    }
}

impl Scheduler {
    /// The outcomes that the operations added by `by` adopt.
    pub(super) fn adoptable(&self, by: OpIx, grown: &Grown) -> Vec<PriorOutcome> {
        if self.prior.by_name.is_empty() || !self.has_adopted_inputs(by) {
            return Vec::new();
        }
        let first = self.plan.len() as u32;
        let mut with_result = HashSet::new();
        let mut prior = |(op, (name, reads)): (u32, (&str, Vec<OpIx>))| {
            let has_result = |on: &OpIx| self.prior.results.contains(on) || with_result.contains(on);
            let prior = self.prior.by_name.get(name).filter(|_| reads.iter().all(has_result))?;
            let (op, PriorOutcome { result, progress, .. }) = (OpIx(op), prior.clone());
            if result.is_some() {
                with_result.insert(op);
            }
            Some(PriorOutcome { op, result, progress })
        };
        (first..).zip(grown.names_and_reads()).filter_map(&mut prior).collect()
    }

    /// Whether the operations that `by` adds follow from results of the earlier run alone.
    fn has_adopted_inputs(&self, by: OpIx) -> bool {
        let has_result = |op: OpIx| self.prior.results.contains(&op);
        if let Some(of) = self.plan.operation(by).part_of()
            && !self.has_adopted_inputs(of)
        {
            return false;
        }
        if self.growing.contains_key(&by) {
            return has_result(by);
        }
        let mut reads = self.plan.graph().dependencies(by).filter(|edge| edge.kind == EdgeKind::Reads);
        reads.all(|edge| has_result(edge.on))
    }

    /// Adopts outcomes for operations of the plan.
    pub(super) fn adopt(&mut self, adopted: &[PriorOutcome], now: RunTime) {
        for PriorOutcome { op, result, progress } in adopted {
            if let Some(progress) = progress {
                self.progress.insert(*op, Arc::clone(progress));
            }
            if let Some(result) = result {
                self.prior.results.insert(*op);
                self.end_attempt(*op, &Ending::Succeeded { result: Arc::clone(result) }, now);
            }
        }
    }
}
