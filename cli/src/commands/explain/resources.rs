//! Resources of an operation: what it needs, and its waits for them.

use super::super::saved_run::wall;
use super::names::{few, names};
use pop_agenda::{OpIx, ResourceWait, Resources, Shortage};
use pop_assembly::SavedRun;
use serde_json::{Value, json};

/// Describes what an operation waits for, and who holds it.
pub(super) fn resource_words(
    saved: &SavedRun,
    shortages: &[Shortage],
    held_by: &[OpIx],
    reserved_for: Option<OpIx>,
) -> String {
    let amount = |shortage: &Shortage| {
        let Shortage { resource, needed, left, total } = shortage;
        let [needed, left, total] =
            [needed, left, total].map(|amount| Resources::amount_text(resource, *amount));
        format!("{resource} {needed}, with {left} of {total} left")
    };
    let amounts: Vec<String> = shortages.iter().map(amount).collect();
    let held = match held_by {
        [] => String::new(),
        ops => format!("; held by {}", few(saved, ops)),
    };
    let reserved = reserved_for.map(|op| format!("; {} is before it in line", names(saved, &[op])));
    format!("it needs {}{held}{}", amounts.join(" and "), reserved.unwrap_or_default())
}

/// Describes a wait.
pub(super) fn wait_words(saved: &SavedRun, wait: &ResourceWait) -> String {
    let time = |at| wall(saved.history.wall(at));
    let until = wait.until.map_or("not over".to_owned(), |until| format!("until {}", time(until)));
    let words = resource_words(saved, &wait.shortages, &wait.held_by, wait.reserved_for);
    format!("waited from {} {until}: {words}", time(wait.from))
}

/// A wait as JSON.
pub(super) fn wait_json(saved: &SavedRun, wait: &ResourceWait) -> Value {
    let name = |op: &OpIx| saved.plan.operation(*op).name.as_str();
    let amount = |shortage: &Shortage| {
        let text = |amount| Resources::amount_text(&shortage.resource, amount);
        json!({
            "resource": shortage.resource, "needed": text(shortage.needed), "left": text(shortage.left),
            "total": text(shortage.total),
        })
    };
    json!({
        "from": saved.history.wall(wait.from),
        "until": wait.until.map(|until| saved.history.wall(until)),
        "resources": wait.shortages.iter().map(amount).collect::<Vec<_>>(),
        "heldBy": wait.held_by.iter().map(name).collect::<Vec<_>>(),
        "reservedFor": wait.reserved_for.as_ref().map(name),
    })
}
