//! The document of `pop explain RUN OP --output json` (docs/formats/events.md).

use super::super::operation_words::{name_from, rare_properties, served_by};
use super::super::saved_run::word;
use super::gates::gate_words;
use super::policies::policies;
use super::reason::reason;
use super::resources::wait_json;
use super::reuse::reuse_json;
use super::route_words;
use pop_agenda::{Attempt, Edge, EdgeKind, Ending, Explanation, OpIx, Outcome, ResourceWait, Resources};
use pop_assembly::SavedRun;
use pop_contract::Failure;
use pop_reporters::run::files_json;
use serde_json::{Value, json};

/// Builds the document about an operation.
pub(super) fn document(saved: &SavedRun, op: OpIx, waits: &[ResourceWait]) -> Value {
    let planned = saved.plan.operation(op);
    let seen = saved.history.operation(op);
    let payload = saved.scheduler.payload(op);
    let starts = seen.failed_starts.iter();
    let starts = starts.map(|start| json!({"time": saved.history.wall(start.at), "failure": start.failure}));
    let gates = seen.admissions.last().map(|admission| gate_words(saved, admission));
    let (state, waits_for) = state(saved, op);
    let policies = policies(planned).into_iter();
    let policies = policies
        .map(|policy| json!({"key": policy.key, "value": policy.value, "scope": policy.scope.to_string()}));
    let mut document = json!({
        "run": saved.folder.run(),
        "runState": word(saved),
        "name": planned.name.as_str(),
        "type": planned.handler_type,
        "state": state,
        "reason": reason(saved, op),
        "waitsFor": names(saved, &waits_for),
        "handler": served_by(planned),
        "route": route_words(planned),
        "properties": rare_properties(planned, &name_from(&saved.plan, op)),
        "dependencies": saved.plan.graph().dependencies(op).map(|edge| dependency(saved, *edge))
            .collect::<Vec<_>>(),
        "skippedBy": seen.skipped.as_ref().map(ToString::to_string),
        "needs": saved.scheduler.needs(op).map(Resources::to_json),
        "resourceWaits": waits.iter().map(|wait| wait_json(saved, wait)).collect::<Vec<_>>(),
        "gates": gates.unwrap_or_default(),
        "failedStarts": starts.collect::<Vec<_>>(),
        "attempts": seen.attempts.iter().map(|one| attempt(saved, one)).collect::<Vec<_>>(),
        "isPayloadResolved": payload.is_ok(),
        "payload": payload.map_or_else(|_| planned.payload.template().clone(), std::borrow::Cow::into_owned),
        "policies": policies.collect::<Vec<_>>(),
        "replayOf": saved.inputs.settings.replay_of,
        "replayedBy": seen.replayed.as_ref().filter(|replayed| replayed.is_given).map(|replayed| &replayed.run),
        "reuse": reuse_json(saved, op),
    });
    if let Some(files) = &seen.files {
        document["files"] = files_json(files);
    }
    document
}

/// The state as one word, and the operations that it waits for or that decided it.
fn state(saved: &SavedRun, op: OpIx) -> (&'static str, Vec<OpIx>) {
    match saved.scheduler.explain(op) {
        Explanation::WaitsFor(ops) | Explanation::WaitsForParts(ops) => ("waiting", ops),
        Explanation::NoPlace { of } => ("queued", vec![of]),
        Explanation::NoRoom { .. } | Explanation::Next => ("queued", Vec::new()),
        Explanation::NoResources { held_by, .. } => ("queued", held_by),
        Explanation::Held { by, .. } => ("held", by.into_iter().collect()),
        Explanation::Runs { .. } => ("running", Vec::new()),
        Explanation::Stops { .. } => ("stopping", Vec::new()),
        Explanation::Commits => ("committing", Vec::new()),
        Explanation::BacksOff { .. } => ("backingOff", Vec::new()),
        Explanation::NotAsked(ops) => ("skipped", ops),
        Explanation::Needed(ops) => ("cancelled", ops),
        Explanation::RunEnding(_) => ("cancelled", Vec::new()),
        Explanation::Settled(outcome) => (outcome.word(), Vec::new()),
    }
}

fn names<'s>(saved: &'s SavedRun, ops: &[OpIx]) -> Vec<&'s str> {
    ops.iter().map(|op| saved.plan.operation(*op).name.as_str()).collect()
}

fn dependency(saved: &SavedRun, edge: Edge) -> Value {
    json!({
        "name": saved.plan.operation(edge.on).name.as_str(),
        "kind": match edge.kind { EdgeKind::Reads => "reads", EdgeKind::Follows => "follows" },
        "requires": edge.needs.to_string(),
        "outcome": saved.history.operation(edge.on).outcome().map(Outcome::word),
    })
}

fn attempt(saved: &SavedRun, attempt: &Attempt) -> Value {
    let (outcome, failure): (Option<&str>, Option<&Failure>) =
        match attempt.ended.as_ref().map(|(_, end)| end) {
            None => (None, None),
            Some(Ending::Succeeded { .. }) => (Some("succeeded"), None),
            Some(Ending::Cancelled) => (Some("cancelled"), None),
            Some(Ending::Lost) => (Some("lost"), None),
            Some(Ending::Displaced(failure)) => (Some("displaced"), Some(failure)),
            Some(Ending::Failed(failure)) => (Some("failed"), Some(failure)),
        };
    let mut document = json!({
        "number": attempt.number,
        "startedTime": saved.history.wall(attempt.started),
        "completedTime": attempt.ended.as_ref().map(|(at, _)| saved.history.wall(*at)),
        "outcome": outcome,
        "failure": failure,
    });
    if let Some(usage) = attempt.usage {
        document["usage"] = json!(usage);
    }
    document
}
