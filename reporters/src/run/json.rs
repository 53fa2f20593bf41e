//! A run as JSON for programs: one line per event, and the document of `pop show` (docs/formats/events.md).

use pop_agenda::{
    EventRecord, History, OpIx, OperationHistory, Outcome, Plan, RecordedFiles, RunEvent, Sink,
};
use pop_contract::{DiagnosticEvent, Millis};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::sync::Arc;

/// Writes each event as one line of JSON, with operation names and wall-clock times.
pub struct JsonEvents<W> {
    out: W,
    run: String,
    started: Millis,
}

impl<W: Write> JsonEvents<W> {
    /// Creates a writer to `out`. `started` is the start of a resumed run, in milliseconds since the epoch.
    pub fn new(out: W, run: impl Into<String>, started: Millis) -> Self {
        Self { out, run: run.into(), started }
    }
}

impl<W: Write + Send> Sink for JsonEvents<W> {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        if let RunEvent::RunStarted { started, .. } = recorded.event {
            self.started = started;
        }
        let line = event_json(plan, recorded, &self.run, self.started);
        // a closed output does not stop the run
        writeln!(self.out, "{line}").ok();
    }

    fn flush(&mut self) {
        self.out.flush().ok();
    }
}

fn event_json(plan: &Plan, recorded: &EventRecord, run: &str, started: Millis) -> Value {
    // serde writes an event as {"Name": {fields}}
    let (name, fields) = match serde_json::to_value(&recorded.event) {
        Ok(Value::Object(tagged)) => tagged.into_iter().next().unwrap_or_default(),
        _ => <(String, Value)>::default(),
    };
    let mut line = Map::new();
    line.insert("event".to_owned(), json!(name));
    line.insert("time".to_owned(), json!(started.saturating_add(recorded.at.0)));
    if let Value::Object(fields) = fields {
        for (key, value) in fields {
            match (key.as_str(), value.as_u64()) {
                ("op" | "by", Some(op)) => {
                    line.insert("operation".to_owned(), json!(plan.operation(OpIx(op as u32)).name.as_str()));
                }
                ("ops", None) => {
                    let name = |op: &Value| Some(plan.operation(OpIx(op.as_u64()? as u32)).name.as_str());
                    let names: Vec<&str> = value.as_array().into_iter().flatten().filter_map(name).collect();
                    line.insert("operations".to_owned(), json!(names));
                }
                ("until", Some(until)) => {
                    line.insert(key, json!(started.saturating_add(until)));
                }
                // the files of an operation are only for a rerun
                ("started" | "named_files", _) => {}
                ("answer", None) => {
                    let mut answer = value;
                    if let Some(reused) = answer.get_mut("reused").and_then(Value::as_object_mut) {
                        reused.remove("namedFiles");
                    }
                    line.insert(key, answer);
                }
                _ => {
                    line.insert(key, value);
                }
            }
        }
    }
    match &recorded.event {
        RunEvent::RunResumed { .. } => {
            line.insert("run".to_owned(), json!(run));
        }
        RunEvent::RunStarted { .. } => {
            line.insert("operations".to_owned(), json!(plan.len()));
        }
        RunEvent::RunEnded { outcome } => {
            line.insert("exitCode".to_owned(), json!(outcome.exit_code()));
        }
        _ => {}
    }
    Value::Object(line)
}

/// Builds the document of `pop show RUN --output json`.
pub fn run_json(plan: &Plan, history: &History, agenda: &str) -> Value {
    let outcome = history.ended.map(|(_, outcome)| outcome);
    json!({
        "run": history.run,
        "agenda": agenda,
        "rerunOf": history.parent.as_ref().map(|parent| &parent.run),
        "outcome": outcome.map(pop_agenda::RunOutcome::word),
        "exitCode": outcome.map(pop_agenda::RunOutcome::exit_code),
        "startedTime": history.started,
        "completedTime": history.ended.map(|(at, _)| history.wall(at)),
        "operations": plan.operations().map(|(op, _)| operation_json(plan, history, op)).collect::<Vec<_>>(),
    })
}

/// Builds one operation of the document of `pop show`.
pub fn operation_json(plan: &Plan, history: &History, op: OpIx) -> Value {
    let past = history.operation(op);
    let planned = plan.operation(op);
    let mut document = json!({
        "name": planned.name.as_str(),
        "type": planned.handler_type,
        "outcome": past.outcome().map(Outcome::word),
        "attempts": past.attempts.len(),
        "reusedFrom": past.reused.as_ref().map(|reused| &reused.run),
        "replayedBy": past.replayed.as_ref().filter(|replayed| replayed.is_given).map(|replayed| &replayed.run),
        "result": past.result().map(|result| result.as_ref().clone()).or_else(|| past.is_ignored().then(|| json!({}))),
        "diagnosticEvents": diagnostics(past),
        "startedTime": past.started().map(|at| history.wall(at)),
        "completedTime": past.completed().map(|at| history.wall(at)),
    });
    let shown = plan.shown_name(op);
    if shown != planned.name.as_str() {
        document["shownName"] = json!(shown);
    }
    if let Some(usage) = past.usage() {
        document["usage"] = json!(usage);
    }
    if let Some(files) = &past.files {
        document["files"] = files_json(files);
    }
    if let Some(needs) = planned.needs() {
        document["resources"] = json!(needs.known.to_json());
    }
    document
}

/// Builds the recorded files of an operation. `read` and `written` are null until the files are known.
pub fn files_json(files: &RecordedFiles) -> Value {
    json!({
        "folder": files.declared.folder, "reads": files.declared.reads, "writes": files.declared.writes,
        "read": files.read, "written": files.written,
    })
}

/// Lists the failures of an operation, oldest first, each followed by the handler's diagnostics.
pub(super) fn diagnostics(past: &OperationHistory) -> Vec<DiagnosticEvent> {
    let mut events = Vec::new();
    for (attempt, failure) in past.failures() {
        let payload = json!({
            "attempt": attempt, "blame": failure.blame, "exit": failure.exit, "logTail": failure.log_tail,
        });
        events.push(DiagnosticEvent {
            message: failure.message.clone(),
            status_code: Some(failure.code.clone()),
            payload: Some(payload),
            ..DiagnosticEvent::default()
        });
        events.extend(failure.diagnostics.iter().cloned());
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::{Agenda, RunTime};
    use pop_contract::{Blame, Failure, LaunchType};
    use pop_registry::Catalog;

    #[test]
    fn events_have_operation_names_instead_of_numbers() {
        let operations = ["a", "b", "c"].map(|name| json!({"name": name, "type": "sample"}));
        let mut faults = Vec::new();
        let agenda = Agenda::parse(json!({"operations": operations}), &mut faults).unwrap();
        let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap();
        let line_of = |event| event_json(&plan, &EventRecord { at: RunTime(5), event }, "r", 1_000);
        assert_eq!(
            line_of(RunEvent::RunReopened { ops: [OpIx(0), OpIx(2)].into() }),
            json!({"event": "RunReopened", "time": 1_005, "operations": ["a", "c"]})
        );
        let failure = Box::new(Failure::new(Blame::Handler, "reference", "it has no value"));
        let line = line_of(RunEvent::StartFailed { op: OpIx(1), failure });
        assert_eq!((&line["operation"], &line["failure"]["code"]), (&json!("b"), &json!("reference")));
    }
}
