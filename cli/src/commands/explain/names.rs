//! Names of operations in a list.

use pop_agenda::OpIx;
use pop_assembly::SavedRun;

/// Maximum number of operations named in a list.
const SHOWN: usize = 10;

/// Lists names.
pub(super) fn names(saved: &SavedRun, ops: &[OpIx]) -> String {
    let names: Vec<_> = ops.iter().map(|op| format!("`{}`", saved.plan.operation(*op).name)).collect();
    names.join(", ")
}

/// Lists at most `SHOWN` names, and the number of the rest.
pub(super) fn few(saved: &SavedRun, ops: &[OpIx]) -> String {
    let more = ops.len().saturating_sub(SHOWN);
    let shown = names(saved, &ops[..ops.len().min(SHOWN)]);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
