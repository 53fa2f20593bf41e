//! Reuse of the parent's results in a rerun, for one operation.

use pop_agenda::{Admission, Answer, Gate, OpIx, Outcome};
use pop_assembly::SavedRun;
use serde_json::{Value, json};

/// Why an operation was reused, or was not; none in a run without a parent, and before the comparison.
pub(super) fn reuse_words(saved: &SavedRun, op: OpIx) -> Option<String> {
    let parent = &saved.history.parent.as_ref()?.run;
    let planned = saved.plan.operation(op);
    let seen = saved.history.operation(op);
    if let Some(reused) = &seen.reused {
        let through =
            if reused.run == *parent { String::new() } else { format!(", which run {parent} reused") };
        return Some(format!("from run {}{through}: nothing has changed", reused.run));
    }
    if planned.is_whole() {
        let is_part = |part: &OpIx| saved.plan.operation(*part).part_of() == Some(op);
        let parts: Vec<OpIx> = saved.plan.operations().map(|(part, _)| part).filter(is_part).collect();
        let reused = parts.iter().filter(|part| saved.history.operation(**part).reused.is_some()).count();
        let first = parts.first().map(|part| saved.plan.operation(*part).name.as_str());
        let each = first.map(|first| format!("; see for example `{first}`")).unwrap_or_default();
        return Some(format!("{reused} of {} parts{each}", parts.len()));
    }
    if planned.is_cleanup() {
        return Some("no: clean-up, and what waits for a failure, runs in each run".to_owned());
    }
    if let Some(why) = seen.admissions.iter().rev().find_map(miss) {
        return Some(format!("no: {why} (compared with run {parent})"));
    }
    (seen.outcome() == Some(Outcome::Skipped)).then(|| "no: it was skipped".to_owned())
}

/// The reason why the result of the parent was not reused.
fn miss(admission: &Admission) -> Option<&str> {
    match (admission.gates.first()?, admission.answers.first()?) {
        (Gate::Reuse { .. }, (_, Answer::Miss { why, .. })) => Some(why),
        _ => None,
    }
}

/// The same for programs: `run` is the run in which the operation ran, none if it was not reused.
pub(super) fn reuse_json(saved: &SavedRun, op: OpIx) -> Value {
    let Some(words) = reuse_words(saved, op) else { return Value::Null };
    let seen = saved.history.operation(op);
    json!({
        "parent": saved.history.parent.as_ref().map(|parent| &parent.run),
        "run": seen.reused.as_ref().map(|reused| &reused.run),
        "reason": seen.admissions.iter().rev().find_map(miss),
        "words": words,
    })
}
