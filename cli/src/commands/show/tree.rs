//! The operations of a run as a tree: parts below the operation that they belong to, and the time that each took.

use pop_agenda::{OpIx, OpMap, Plan};
use pop_assembly::SavedRun;
use pop_contract::Millis;
use std::collections::HashMap;

/// All operations in the order of the agenda, each followed by its parts.
pub(super) fn in_order(plan: &Plan) -> Vec<OpIx> {
    let mut parts: HashMap<OpIx, Vec<OpIx>> = HashMap::new();
    let mut open = Vec::new();
    for (op, planned) in plan.operations() {
        match planned.part_of() {
            Some(of) => parts.entry(of).or_default().push(op),
            None => open.push(op),
        }
    }
    if parts.is_empty() {
        return open;
    }
    open.reverse();
    let mut order = Vec::with_capacity(plan.len());
    while let Some(op) = open.pop() {
        order.push(op);
        open.extend(parts.remove(&op).unwrap_or_default().into_iter().rev());
    }
    order
}

/// Start and end of each operation by the wall clock, also over its parts; none before the first launch. `end` is the end of
/// what has not ended.
pub(super) fn spans(saved: &SavedRun, end: Millis) -> OpMap<Option<(Millis, Millis)>> {
    let own = |op: OpIx| {
        let seen = saved.history.operation(op);
        let started = saved.history.wall(seen.started()?);
        Some((started, seen.completed().map_or(end, |at| saved.history.wall(at))))
    };
    let mut spans: OpMap<Option<(Millis, Millis)>> = OpMap::filled(saved.plan.len(), None);
    // parts have larger numbers than what they belong to
    for op in spans.indices().rev() {
        spans[op] = over(own(op), spans[op]);
        if let Some(of) = saved.plan.operation(op).part_of() {
            spans[of] = over(spans[of], spans[op]);
        }
    }
    spans
}

fn over(one: Option<(Millis, Millis)>, other: Option<(Millis, Millis)>) -> Option<(Millis, Millis)> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    Some((one.0.min(other.0), one.1.max(other.1)))
}
