//! The progress of an agenda in POP's format: one JSON document from a run's history.

use super::followed_run::FollowedRun;
use super::json::diagnostics;
use pop_agenda::{History, OpIx, Outcome, Plan, RunOutcome};
use pop_contract::{DiagnosticEvent, FAILED, PENDING, ProcessingState, SUCCEEDED};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// Operations per lock: the history's writer may take the lock in between.
const OPERATIONS_PER_LOCK: usize = 256;
/// Most failures in the agenda's own diagnostics.
const MOST_FAILURES: usize = 100;

/// The ids in the progress of an agenda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressIds {
    /// Id of the progress. Without it only the executor's own pod receives progress.
    pub progress: Option<String>,
    /// Id of the agenda.
    pub agenda: String,
}

/// The level of detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Everything, for a service: a run that a signal ended has not ended there, because another executor continues it.
    Service,
    /// Everything.
    Whole,
    /// Everything except the results.
    WithoutResults,
    /// No operations.
    WithoutOperations,
}

/// Builds the document as text. `None` if it is longer than `longest` bytes.
pub(super) fn progress_text(
    run: &Mutex<FollowedRun>,
    ids: &ProgressIds,
    detail: Detail,
    longest: usize,
) -> Option<String> {
    let lock = || run.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut text, all) = {
        let run = lock();
        let all: Vec<OpIx> = run.plan.operations().map(|(op, _)| op).collect();
        (head(&run.plan, &run.history, ids, detail).to_string(), all)
    };
    if detail == Detail::WithoutOperations {
        return (text.len() <= longest).then_some(text);
    }
    // the head is a JSON map: its closing brace follows after the operations
    text.pop();
    text.push_str(",\"operationProgress\":[");
    for (at, some) in all.chunks(OPERATIONS_PER_LOCK).enumerate() {
        let run = lock();
        for (nth, op) in some.iter().enumerate() {
            if at + nth > 0 {
                text.push(',');
            }
            text.push_str(
                &operation(
                    &run.plan,
                    &run.history,
                    *op,
                    ids,
                    matches!(detail, Detail::Whole | Detail::Service),
                )
                .to_string(),
            );
            if text.len() > longest {
                return None;
            }
        }
    }
    text.push_str("]}");
    (text.len() <= longest).then_some(text)
}

/// Builds the fields of the agenda as a whole.
fn head(plan: &Plan, history: &History, ids: &ProgressIds, detail: Detail) -> Value {
    let (mut done, mut part, mut running) = (0_u32, 0.0, 0_u32);
    let mut diagnostics = Vec::new();
    for (op, planned) in plan.operations() {
        match state(history, op) {
            (ProcessingState::Complete, _) => done += 1,
            (ProcessingState::Executing, _) => {
                running += 1;
                part += percent(history, op);
            }
            (ProcessingState::Waiting, _) => {}
        }
        let seen = history.operation(op);
        if let (Some(Outcome::Failed | Outcome::DeadLettered | Outcome::Skipped), Some(failure)) =
            (seen.outcome(), seen.failure())
            && diagnostics.len() < MOST_FAILURES
        {
            diagnostics.push(DiagnosticEvent {
                status_code: Some(failure.code.clone()),
                ..DiagnosticEvent::new(format!("operation `{}`: {}", planned.name, failure.message))
            });
        }
    }
    let (state, message) = match history.ended {
        None => (ProcessingState::Executing, format!("{done} of {} done, {running} running", plan.len())),
        Some((_, outcome @ (RunOutcome::Interrupted | RunOutcome::Terminated)))
            if detail == Detail::Service =>
        {
            (ProcessingState::Executing, format!("the executor was stopped: {}", outcome.word()))
        }
        Some((_, RunOutcome::Succeeded)) => (ProcessingState::Complete, SUCCEEDED.to_owned()),
        Some((_, outcome)) => {
            if outcome != RunOutcome::Failed {
                diagnostics.push(DiagnosticEvent {
                    status_code: Some(outcome.word().to_owned()),
                    ..DiagnosticEvent::new(format!("the run was ended early: {}", outcome.word()))
                });
            }
            (ProcessingState::Complete, FAILED.to_owned())
        }
    };
    let all = f64::from(u32::try_from(plan.len()).unwrap_or(u32::MAX).max(1));
    json!({
        "id": ids.progress,
        "agendaId": ids.agenda,
        "linkId": plan.identity.link_id,
        "title": plan.identity.title,
        "processingState": state,
        "processingStateMessage": message,
        "startedTime": history.started,
        "completedTime": history.ended.map(|(at, _)| history.wall(at)),
        "percentComplete": (f64::from(done) * 100.0 + part) / all,
        "diagnosticEvents": diagnostics,
    })
}

/// Builds the progress of one operation.
fn operation(plan: &Plan, history: &History, op: OpIx, ids: &ProgressIds, with_result: bool) -> Value {
    let seen = history.operation(op);
    let name = &plan.operation(op).name;
    let (state, message) = state(history, op);
    let result = seen.result().filter(|_| with_result).map(ToString::to_string);
    let default_result = match seen.outcome() {
        _ if seen.is_ignored() => Some("{}"),
        // null, so that a later executor that reads this progress knows that there is no result
        Some(Outcome::Skipped) if seen.failure().is_none() => Some("null"),
        _ => None,
    };
    let result = result.or_else(|| default_result.filter(|_| with_result).map(str::to_owned));
    json!({
        "id": ids.progress.as_ref().map(|id| format!("{id}-{name}")),
        "agendaProgressId": ids.progress,
        "operation": name.as_str(),
        "processingState": state,
        "processingStateMessage": message,
        "percentComplete": percent(history, op),
        "attemptCount": seen.attempts.len(),
        "startedTime": seen.started().map(|at| history.wall(at)),
        "completedTime": seen.completed().map(|at| history.wall(at)),
        "resultPayload": result,
        "params": seen.progress.as_ref().and_then(|progress| progress.params.as_ref()),
        "diagnosticEvents": diagnostics(seen),
    })
}

/// POP has three states; the message distinguishes success from failure. An operation that never starts stays WAITING.
fn state(history: &History, op: OpIx) -> (ProcessingState, Option<&str>) {
    let seen = history.operation(op);
    match seen.outcome() {
        Some(Outcome::Succeeded | Outcome::FromCache) => (ProcessingState::Complete, Some(SUCCEEDED)),
        // skipped by a condition: POP counts this as success
        Some(Outcome::Skipped) if seen.failure().is_none() => (ProcessingState::Complete, Some(SUCCEEDED)),
        Some(Outcome::Failed | Outcome::DeadLettered | Outcome::Skipped) => {
            (ProcessingState::Complete, Some(FAILED))
        }
        Some(Outcome::Cancelled) if !seen.attempts.is_empty() => (ProcessingState::Complete, Some(FAILED)),
        None if !seen.attempts.is_empty() => {
            let last = seen.progress.as_ref().filter(|progress| !progress.is_final());
            let message = last.and_then(|progress| progress.processing_state_message.as_deref());
            (ProcessingState::Executing, message)
        }
        Some(Outcome::Cancelled) | None => (ProcessingState::Waiting, Some(PENDING)),
    }
}

fn percent(history: &History, op: OpIx) -> f64 {
    let seen = history.operation(op);
    match seen.outcome() {
        Some(Outcome::Succeeded | Outcome::FromCache) => 100.0,
        _ => seen.progress.as_ref().map_or(0.0, |progress| progress.percent_after(0.0)),
    }
}

/// Builds the result of the executor's own pod: the outcome and the number of operations per outcome.
pub(super) fn executor_result(plan: &Plan, history: &History) -> Value {
    let mut counts = [0; 7];
    for (op, _) in plan.operations() {
        let at = match history.operation(op).outcome() {
            Some(Outcome::Succeeded) => 0,
            Some(Outcome::FromCache) => 1,
            Some(Outcome::Skipped) => 2,
            Some(Outcome::DeadLettered) => 3,
            Some(Outcome::Failed) => 4,
            Some(Outcome::Cancelled) => 5,
            None => 6,
        };
        counts[at] += 1;
    }
    let [succeeded, from_cache, skipped, dead_lettered, failed, cancelled, unsettled] = counts;
    let outcome = history.ended.map(|(_, outcome)| outcome);
    json!({
        "run": history.run,
        "outcome": outcome.map(RunOutcome::word),
        "exitCode": outcome.map(RunOutcome::exit_code),
        "counts": {
            "succeeded": succeeded, "fromCache": from_cache, "skipped": skipped, "deadLettered": dead_lettered, "failed": failed, "cancelled": cancelled,
            "notSettled": unsettled,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::{Agenda, Ending, EventRecord, RunEvent, RunOptions, RunTime};
    use pop_contract::{Blame, Failure, LaunchType, Progress};
    use pop_registry::Catalog;
    use std::sync::Arc;

    fn plan(names: &[&str]) -> Plan {
        let operations: Vec<Value> =
            names.iter().map(|name| json!({"name": name, "type": "sample", "payload": {}})).collect();
        let mut faults = Vec::new();
        let agenda = json!({"linkId": "l", "operations": operations});
        let agenda = Agenda::parse(agenda, &mut faults).unwrap();
        Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap()
    }

    fn history(plan: &Plan, events: Vec<RunEvent>) -> History {
        let started = RunEvent::RunStarted {
            run: "r".into(),
            started: 1_000,
            options: RunOptions::default(),
            adopted: vec![],
            adoptable: vec![],
            parent: None,
        };
        let recorded = std::iter::once(started).chain(events).enumerate();
        let recorded: Vec<EventRecord> =
            recorded.map(|(at, event)| EventRecord { at: RunTime(at as u64), event }).collect();
        History::of(plan.len(), &recorded)
    }

    fn started(op: u32) -> RunEvent {
        RunEvent::AttemptStarted { op: OpIx(op), attempt: 1 }
    }

    fn ended(op: u32, ending: Ending) -> RunEvent {
        RunEvent::AttemptEnded {
            op: OpIx(op),
            attempt: 1,
            ending,
            named_files: Arc::default(),
            files: None,
            instance: None,
            usage: None,
        }
    }

    fn settled(op: u32, outcome: Outcome) -> RunEvent {
        RunEvent::OperationSettled { op: OpIx(op), outcome, ignored: None, skipped: None }
    }

    fn succeeded(result: Value) -> Ending {
        Ending::Succeeded { result: Arc::new(result) }
    }

    fn failed() -> Ending {
        Ending::Failed(Box::new(Failure::new(Blame::Handler, "exit", "it ended with 3")))
    }

    fn reported(op: u32, percent: f64) -> RunEvent {
        let progress = Progress {
            percent_complete: Some(percent),
            processing_state_message: Some("at it".into()),
            ..Progress::default()
        };
        RunEvent::ProgressReported { op: OpIx(op), attempt: 1, progress: Arc::new(progress) }
    }

    fn ids() -> ProgressIds {
        ProgressIds { progress: Some("p".into()), agenda: "a".into() }
    }

    fn progress_document(plan: &Plan, events: Vec<RunEvent>) -> Value {
        let run =
            FollowedRun { plan: Arc::new(plan.clone()), follows_plan: true, history: history(plan, events) };
        serde_json::from_str(&progress_text(&Mutex::new(run), &ids(), Detail::Whole, usize::MAX).unwrap())
            .unwrap()
    }

    #[test]
    fn every_state_of_an_operation_has_its_fields() {
        let plan = plan(&["x"]);
        let lost = || vec![started(0), ended(0, Ending::Lost)];
        for (events, wanted) in [
            (vec![], json!(["WAITING", "pending", 0.0, 0, null, null, null])),
            (vec![settled(0, Outcome::Cancelled)], json!(["WAITING", "pending", 0.0, 0, null, null, null])),
            (vec![started(0)], json!(["EXECUTING", null, 0.0, 1, 1_001, null, null])),
            (vec![started(0), reported(0, 40.0)], json!(["EXECUTING", "at it", 40.0, 1, 1_001, null, null])),
            (
                vec![started(0), reported(0, 400.0)],
                json!(["EXECUTING", "at it", 100.0, 1, 1_001, null, null]),
            ),
            (lost(), json!(["EXECUTING", null, 0.0, 1, 1_001, null, null])),
            (
                vec![started(0), ended(0, succeeded(json!({"w": 1})))],
                json!(["COMPLETE", "succeeded", 100.0, 1, 1_001, 1_002, "{\"w\":1}"]),
            ),
            (
                vec![started(0), reported(0, 40.0), ended(0, failed()), settled(0, Outcome::Failed)],
                json!(["COMPLETE", "failed", 40.0, 1, 1_001, 1_004, null]),
            ),
            (
                vec![started(0), ended(0, failed()), settled(0, Outcome::Skipped)],
                json!(["COMPLETE", "failed", 0.0, 1, 1_001, 1_003, null]),
            ),
            (
                vec![started(0), ended(0, Ending::Cancelled), settled(0, Outcome::Cancelled)],
                json!(["COMPLETE", "failed", 0.0, 1, 1_001, 1_003, null]),
            ),
        ] {
            let document = progress_document(&plan, events.clone());
            let operation = &document["operationProgress"][0];
            let fields = [
                "processingState",
                "processingStateMessage",
                "percentComplete",
                "attemptCount",
                "startedTime",
                "completedTime",
                "resultPayload",
            ];
            assert_eq!(json!(fields.map(|field| &operation[field])), wanted, "{events:?}");
            assert_eq!(
                (&operation["id"], &operation["agendaProgressId"], &operation["operation"]),
                (&json!("p-x"), &json!("p"), &json!("x"))
            );
        }
    }

    #[test]
    fn reopened_operation_waits_without_a_result() {
        let plan = plan(&["x"]);
        let over = || vec![settled(0, Outcome::Skipped), RunEvent::RunEnded { outcome: RunOutcome::Failed }];
        let reopened = [
            RunEvent::RunResumed { options: RunOptions::default() },
            RunEvent::RunReopened { ops: [OpIx(0)].into() },
        ];
        for (events, wanted) in [
            (over(), json!(["COMPLETE", "null"])),
            (over().into_iter().chain(reopened).collect(), json!(["WAITING", null])),
        ] {
            let document = progress_document(&plan, events);
            let operation = &document["operationProgress"][0];
            assert_eq!(json!([operation["processingState"], operation["resultPayload"]]), wanted);
        }
    }

    #[test]
    fn progress_of_the_agenda_follows_its_operations() {
        let three = plan(&["a", "b", "c"]);
        let events = || vec![started(0), started(1), ended(0, succeeded(json!({}))), reported(1, 50.0)];
        let document = progress_document(&three, events());
        let fields = ["id", "agendaId", "linkId", "startedTime", "completedTime", "percentComplete"];
        assert_eq!(json!(fields.map(|field| &document[field])), json!(["p", "a", "l", 1_000, null, 50.0]));
        assert_eq!(
            (&document["processingState"], &document["processingStateMessage"]),
            (&json!("EXECUTING"), &json!("1 of 3 done, 1 running"))
        );
        let over = [
            ended(1, failed()),
            settled(1, Outcome::Failed),
            settled(2, Outcome::Cancelled),
            RunEvent::RunEnded { outcome: RunOutcome::Failed },
        ];
        let document = progress_document(&three, events().into_iter().chain(over).collect());
        assert_eq!(
            (&document["processingState"], &document["processingStateMessage"], &document["completedTime"]),
            (&json!("COMPLETE"), &json!("failed"), &json!(1_008))
        );
        assert_eq!(
            document["diagnosticEvents"],
            json!([{"message": "operation `b`: it ended with 3", "statusCode": "exit"}])
        );
        let diagnostics = &document["operationProgress"][1]["diagnosticEvents"];
        assert_eq!(diagnostics[0]["message"], "it ended with 3");
        let document = progress_document(&three, vec![RunEvent::RunEnded { outcome: RunOutcome::TimeLimit }]);
        assert_eq!(document["diagnosticEvents"][0]["statusCode"], "timeLimit");
        let document =
            progress_document(&plan(&[]), vec![RunEvent::RunEnded { outcome: RunOutcome::Succeeded }]);
        assert_eq!(
            (&document["processingStateMessage"], &document["percentComplete"]),
            (&json!("succeeded"), &json!(0.0))
        );
    }

    #[test]
    fn f24_progress_that_is_too_long_is_not_built() {
        let names: Vec<String> = (0..600).map(|n| format!("o{n}")).collect();
        let plan = plan(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let history = history(&plan, vec![started(0), ended(0, succeeded(json!("x".repeat(500))))]);
        let run = Mutex::new(FollowedRun { plan: Arc::new(plan), follows_plan: true, history });
        let text = |detail, longest| progress_text(&run, &ids(), detail, longest);
        let whole = text(Detail::Whole, usize::MAX).unwrap();
        let read: Value = serde_json::from_str(&whole).unwrap();
        assert_eq!(read["operationProgress"].as_array().unwrap().len(), 600);
        assert_eq!(text(Detail::Whole, whole.len() - 1), None);
        let smaller = text(Detail::WithoutResults, whole.len() - 500).unwrap();
        assert!(!smaller.contains("xxx") && text(Detail::WithoutResults, smaller.len() - 1).is_none());
        assert!(text(Detail::WithoutOperations, 1_000).is_some());
        let run = run.into_inner().unwrap();
        let closing = executor_result(&run.plan, &run.history);
        assert_eq!(
            (&closing["counts"]["succeeded"], &closing["counts"]["notSettled"]),
            (&json!(1), &json!(599))
        );
    }
}
