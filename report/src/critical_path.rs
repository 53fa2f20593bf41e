//! The critical path: from the operation that ended last, back over what each one waited for.

use crate::model::{CriticalPath, OperationReport, PathStep, WaitKind};
use pop_agenda::{History, OpIx, Origin, Plan, RunTime};
use std::collections::HashSet;

/// Finds the critical path. It follows dependencies, parts, and locks of the same run.
pub(crate) fn critical_path(
    plan: &Plan,
    history: &History,
    operations: &[OperationReport<'_>],
    end: RunTime,
) -> CriticalPath {
    let settled = |op: OpIx| history.operation(op).settled.map_or(end, |(at, _)| at);
    let parts = last_parts(plan, &settled);
    let ran = |op: OpIx| operations[op.index()].attempts.iter().map(|attempt| attempt.took_ms).sum::<u64>();
    let has_run = |op: &OpIx| !history.operation(*op).attempts.is_empty();
    let last = plan.operations().map(|(op, _)| op).filter(has_run).max_by_key(|op| (settled(*op), op.0));
    let mut next = last;
    let mut seen = HashSet::new();
    let mut chain = Vec::new();
    while let Some(op) = next.filter(|op| seen.insert(*op)) {
        // an operation with parts ran as its last part did
        match parts[op.index()] {
            Some(part) if !seen.contains(&part) => next = Some(part),
            _ => {
                if !plan.operation(op).is_whole() {
                    chain.push(op);
                }
                next = before(plan, &operations[op.index()], &settled, &seen);
            }
        }
    }
    chain.reverse();
    let mut at = RunTime(0);
    let mut path = CriticalPath::default();
    for op in chain {
        let took = settled(op).0.saturating_sub(at.0);
        let ran_ms = ran(op).min(took);
        at = at.max(settled(op));
        path.ran_ms += ran_ms;
        path.steps.push(PathStep { operation: op, ran_ms, waited_ms: took - ran_ms });
    }
    path
}

/// The part of each operation that settled last.
fn last_parts(plan: &Plan, settled: &impl Fn(OpIx) -> RunTime) -> Vec<Option<OpIx>> {
    let mut parts: Vec<Option<OpIx>> = vec![None; plan.len()];
    for (op, planned) in plan.operations() {
        if let Some(of) = planned.part_of() {
            let last = &mut parts[of.index()];
            if last.is_none_or(|last| settled(last) <= settled(op)) {
                *last = Some(op);
            }
        }
    }
    parts
}

/// What the operation waited for longest before its first attempt: the holder of a lock, or the dependency that settled
/// last.
fn before(
    plan: &Plan,
    report: &OperationReport<'_>,
    settled: &impl Fn(OpIx) -> RunTime,
    seen: &HashSet<OpIx>,
) -> Option<OpIx> {
    let waits = report.attempts.first().map_or(&[][..], |attempt| &attempt.waits);
    let lock = waits.iter().filter(|wait| wait.kind == WaitKind::Lock && wait.took_ms > 0);
    if let Some(holder) = lock.max_by_key(|wait| wait.took_ms).and_then(|wait| wait.holder)
        && !seen.contains(&holder)
    {
        return Some(holder);
    }
    let mut around = Some(report.op);
    while let Some(op) = around {
        let edges = plan.graph().dependencies(op).map(|edge| edge.on);
        let generated = match plan.operation(op).origin {
            Some(Origin::Generated { by, .. }) => Some(by),
            _ => None,
        };
        // clean-up without dependencies waits for every other operation
        let is_last = plan.last().contains(&op);
        let others = plan.operations().map(|(other, _)| other).filter(|other| !plan.last().contains(other));
        let others = others.filter(|_| is_last);
        let latest = edges
            .chain(generated)
            .chain(others)
            .filter(|on| !seen.contains(on))
            .max_by_key(|on| (settled(*on), on.0));
        if latest.is_some() {
            return latest;
        }
        around = plan.operation(op).part_of();
    }
    None
}
