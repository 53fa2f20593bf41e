//! Progress of agendas and operations: created, updated by reports, reset, summed up.

use crate::object::Object;
use crate::work::{DEFAULT_ATTEMPTS, Report};
use pop_contract::{FAILED, Millis, PENDING, SUCCEEDED};
use serde_json::{Map, Value, json};

/// State of what has not begun.
pub const WAITING: &str = "WAITING";
/// State of what runs.
pub const EXECUTING: &str = "EXECUTING";
/// State of what has ended.
pub const COMPLETE: &str = "COMPLETE";

/// Fields of an agenda's progress that a report may set.
const REPORTED: [&str; 7] = [
    "processingState",
    "processingStateMessage",
    "percentComplete",
    "diagnosticEvents",
    "startedTime",
    "completedTime",
    "cid",
];

/// The id of an operation's progress.
pub(crate) fn operation_id(progress: &str, operation: &str) -> String {
    format!("{progress}-{operation}")
}

/// The progress of a new agenda, without its operations.
pub(crate) fn of_agenda(agenda: &Object, id: &str) -> Object {
    let mut progress = Object::default();
    progress.set("id", id);
    progress.set("agendaId", agenda.id());
    for name in ["cid", "customerId", "linkId", "title", "agendaInsight", "params"] {
        if let Some(value) = agenda.0.get(name).filter(|value| !value.is_null()) {
            progress.set(name, value.clone());
        }
    }
    if let Some(external) = agenda.param("externalId") {
        progress.set("externalId", external.clone());
    }
    progress.set("maximumAttempts", maximum_attempts(agenda));
    progress.set("attemptsCompleted", 0);
    reset_state(&mut progress);
    progress
}

/// The progress of a new operation.
pub(crate) fn of_operation(operation: &Value, progress: &Object) -> Option<Object> {
    let name = operation.get("name")?.as_str()?;
    let mut made = Object::default();
    made.set("id", operation_id(progress.id(), name));
    made.set("agendaProgressId", progress.id());
    made.set("operation", name);
    for field in ["cid", "customerId"] {
        if let Some(value) = progress.0.get(field) {
            made.set(field, value.clone());
        }
    }
    if let Some(params) = operation.get("params").filter(|params| params.is_object()) {
        made.set("params", params.clone());
    }
    made.set("attemptCount", 0);
    reset_state(&mut made);
    Some(made)
}

/// The state of what has not begun.
fn reset_state(progress: &mut Object) {
    progress.set("processingState", WAITING);
    progress.set("processingStateMessage", PENDING);
    progress.set("percentComplete", 0.0);
}

/// Resets the progress of an agenda for a new run. Its diagnostics stay.
pub(crate) fn reset_agenda(progress: &mut Object) {
    reset_state(progress);
    progress.0.remove("completedTime");
}

/// Resets the progress of an operation: its outcome, result and diagnostics are gone.
pub(crate) fn reset_operation(progress: &mut Object) {
    reset_state(progress);
    progress.set("resultPayload", "{}");
    progress.set("diagnosticEvents", json!([]));
    progress.0.remove("startedTime");
    progress.0.remove("completedTime");
}

/// Param `maximumAttempts` of an agenda.
pub(crate) fn maximum_attempts(agenda: &Object) -> u32 {
    let given = agenda.param("maximumAttempts").and_then(|value| match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    });
    given.and_then(|count| u32::try_from(count).ok()).unwrap_or(DEFAULT_ATTEMPTS)
}

/// What a progress says about the run.
pub fn report_of(progress: &Object) -> Report {
    match progress.text("processingState") {
        Some(COMPLETE) if is_succeeded(progress) => Report::Succeeded,
        Some(COMPLETE) => Report::Failed,
        _ => Report::Running,
    }
}

/// Whether the message is that of a success.
pub(crate) fn is_succeeded(progress: &Object) -> bool {
    progress.text("processingStateMessage").is_some_and(|word| word.eq_ignore_ascii_case(SUCCEEDED))
}

/// Takes over what a report says about the agenda.
pub(crate) fn update_agenda(stored: &mut Object, report: &Object) {
    let said = |name: &&str| Some(((*name).to_owned(), report.0.get(*name)?.clone()));
    let fields: Map<String, Value> = REPORTED.iter().filter_map(said).collect();
    let earlier = stored.list("diagnosticEvents").to_vec();
    stored.merge(Object(fields));
    keep_diagnostics(stored, earlier);
    finish(stored);
}

/// Takes over what a report says about an operation. A success is final: nothing replaces it.
pub(crate) fn update_operation(stored: &mut Object, report: Object) {
    if report_of(stored) == Report::Succeeded {
        return;
    }
    let (id, parent) = (stored.id().to_owned(), stored.text("agendaProgressId").map(str::to_owned));
    stored.merge(report);
    stored.set("id", id);
    if let Some(parent) = parent {
        stored.set("agendaProgressId", parent);
    }
    finish(stored);
}

/// A success is complete.
fn finish(progress: &mut Object) {
    if report_of(progress) == Report::Succeeded {
        progress.set("percentComplete", 100.0);
    }
}

/// Diagnostics of the service itself (lost executors) stay when an executor reports its own.
fn keep_diagnostics(stored: &mut Object, earlier: Vec<Value>) {
    let is_own = |event: &Value| event.get("statusCode").and_then(Value::as_str) == Some(LOST_CODE);
    let own: Vec<Value> = earlier.into_iter().filter(is_own).collect();
    if own.is_empty() {
        return;
    }
    let others = stored.list("diagnosticEvents").iter().filter(|event| !is_own(event)).cloned();
    let all: Vec<Value> = own.into_iter().chain(others).collect();
    stored.set("diagnosticEvents", all);
}

/// Code of the diagnostic of a lost executor.
pub(crate) const LOST_CODE: &str = "lease-ended";

/// Message and code of what was cancelled.
pub(crate) const CANCELLED: &str = "cancelled";

/// Adds the diagnostic of a lost executor.
pub(crate) fn add_lost(progress: &mut Object, message: &str, now: Millis) {
    add_diagnostic(progress, message, LOST_CODE, now);
}

/// Adds a diagnostic of the service.
pub(crate) fn add_diagnostic(progress: &mut Object, message: &str, code: &str, now: Millis) {
    let mut events = progress.list("diagnosticEvents").to_vec();
    events.push(json!({"message": message, "statusCode": code, "time": now}));
    progress.set("diagnosticEvents", events);
}

/// Ends the progress of an agenda as failed.
pub(crate) fn fail(progress: &mut Object, now: Millis) {
    progress.set("processingState", COMPLETE);
    progress.set("processingStateMessage", FAILED);
    progress.set("completedTime", now);
}

/// Ends a progress as cancelled. Clients of POP know only success and failure, so it counts as a failure.
pub(crate) fn cancel(progress: &mut Object, now: Millis) {
    progress.set("processingState", COMPLETE);
    progress.set("processingStateMessage", CANCELLED);
    progress.set("completedTime", now);
}

/// The progress of all agendas with one link id together.
pub fn summary(all: Vec<Object>) -> Value {
    let is = |state: &'static str| move |one: &&Object| one.text("processingState") == Some(state);
    let is_failed = |one: &Object| report_of(one) == Report::Failed;
    let waiting = all.iter().filter(is(WAITING)).count();
    let percents = all.iter().map(|one| one.0.get("percentComplete").and_then(Value::as_f64).unwrap_or(0.0));
    let percent = (percents.sum::<f64>() / all.len().max(1) as f64).min(100.0);
    let (state, percent) = if all.iter().any(is_failed) {
        (COMPLETE, None)
    } else if all.iter().filter(is(EXECUTING)).count() > 0 {
        (EXECUTING, Some(percent))
    } else if waiting == all.len() {
        (WAITING, Some(percent))
    } else if waiting > 0 {
        (EXECUTING, Some(percent))
    } else {
        (COMPLETE, Some(percent))
    };
    let list: Vec<Value> = all.into_iter().map(Object::into_value).collect();
    let mut summary = json!({"progressList": list, "processingState": state});
    if let Some(percent) = percent {
        summary["processingPercent"] = percent.into();
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(state: &str, message: &str, percent: &Value) -> Object {
        let value =
            json!({"processingState": state, "processingStateMessage": message, "percentComplete": percent});
        Object::of(value).unwrap()
    }

    #[test]
    fn summary_of_agendas_with_one_link() {
        let (waiting, running) =
            (progress(WAITING, PENDING, &json!(null)), progress(EXECUTING, "", &json!(40.0)));
        let (good, bad) =
            (progress(COMPLETE, SUCCEEDED, &json!(100.0)), progress(COMPLETE, FAILED, &json!(10.0)));
        for (all, state, percent) in [
            (vec![&good, &bad, &running], COMPLETE, json!(null)),
            (vec![&good, &running], EXECUTING, json!(70.0)),
            (vec![&waiting, &waiting], WAITING, json!(0.0)),
            (vec![&waiting, &good], EXECUTING, json!(50.0)),
            (vec![&good, &good], COMPLETE, json!(100.0)),
            (vec![], WAITING, json!(0.0)),
        ] {
            let summary = summary(all.into_iter().cloned().collect());
            let fields = json!([summary["processingState"], summary["processingPercent"]]);
            assert_eq!(fields, json!([state, percent]));
        }
    }

    #[test]
    fn a_report_is_sparse_and_a_success_is_final() {
        let mut stored = progress(EXECUTING, "half", &json!(50.0));
        stored.set("id", "p-a");
        let report = |value: Value| Object::of(value).unwrap();
        update_operation(
            &mut stored,
            report(json!({"id": "x", "percentComplete": null, "params": {"j": 1}})),
        );
        assert_eq!((stored.id(), &stored.0["percentComplete"]), ("p-a", &json!(50.0)));
        let done = json!({"processingState": "COMPLETE", "processingStateMessage": "Succeeded", "resultPayload": "7"});
        update_operation(&mut stored, report(done));
        assert_eq!(stored.0["percentComplete"], json!(100.0));
        let before = stored.clone();
        update_operation(&mut stored, report(json!({"processingState": "EXECUTING", "resultPayload": "8"})));
        assert_eq!(stored, before);
    }

    #[test]
    fn only_fields_of_a_report_reach_the_agenda() {
        let mut stored = progress(WAITING, PENDING, &json!(0.0));
        add_lost(&mut stored, "lost", 7);
        let report = json!({
            "processingState": "EXECUTING", "agendaId": "other", "maximumAttempts": 99, "cid": "c",
            "diagnosticEvents": [{"message": "m"}],
        });
        update_agenda(&mut stored, &Object::of(report).unwrap());
        assert_eq!(stored.0.get("maximumAttempts"), None);
        assert_eq!((stored.text("cid"), stored.text("agendaId")), (Some("c"), None));
        assert_eq!(stored.list("diagnosticEvents").len(), 2);
    }

    #[test]
    fn maximum_of_attempts_is_a_number_or_text() {
        for (params, wanted) in
            [(json!({"maximumAttempts": 5}), 5), (json!({"maximumAttempts": "7"}), 7), (json!({}), 3)]
        {
            assert_eq!(maximum_attempts(&Object::of(json!({"params": params})).unwrap()), wanted);
        }
    }
}
