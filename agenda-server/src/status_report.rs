//! The report of an agenda whose executor has sent none: made from the progress of its operations, in the form in which the
//! page of reports reads runs (`PageData` in report/page/src/data.ts).

use pop_contract::{Millis, visible, visible_text};
use pop_report::{AttemptEnding, OperationState as State};
use pop_service::{COMPLETE, EXECUTING, Object, OperationStatus};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Most bytes of a name and of another text.
const LONGEST_NAME: usize = 300;
const LONGEST_TEXT: usize = 4_000;
/// Most diagnostics of one operation, and most bytes of details of all operations.
const MOST_DIAGNOSTICS: usize = 20;
const MOST_DETAILS: usize = 4 * 1024 * 1024;

/// The report at the time `now`.
pub(crate) fn status_report(agenda: &Object, operations: &[OperationStatus], now: Millis) -> Value {
    let time = |object: &Object, name: &str| object.0.get(name).and_then(Value::as_u64);
    let first = operations.iter().filter_map(|one| time(&one.progress, "startedTime")).min();
    let started = first.or_else(|| time(agenda, "startedTime")).or_else(|| time(agenda, "addedTime"));
    let started = started.unwrap_or(now);
    let is_over = agenda.text("processingState") == Some(COMPLETE);
    let last = operations.iter().filter_map(|one| time(&one.progress, "completedTime")).max();
    let ended = time(agenda, "completedTime").or(last).filter(|_| is_over);
    let until = ended.unwrap_or(if is_over { started } else { now }).saturating_sub(started);
    let head = json!({
        "run": agenda.text("agendaId"), "agenda": shown(agenda.text("title").unwrap_or("agenda"), LONGEST_NAME),
        "launcher": "", "state": if is_over { "ended" } else { "running" }, "outcome": null, "exitCode": null,
        "started": started, "until": until, "parallel": 0, "resumed": 0, "reusedFrom": [], "inputs": [], "path": [],
        "generated": now, "pop": env!("CARGO_PKG_VERSION"),
    });
    json!({"head": head, "chunk": Chunk::of(operations, started, until)})
}

/// Operations as columns.
#[derive(Default)]
struct Chunk {
    columns: HashMap<&'static str, Vec<Value>>,
    more: Map<String, Value>,
    left_out: usize,
    last_start: i64,
    budget: usize,
}

impl Chunk {
    fn of(operations: &[OperationStatus], started: Millis, until: Millis) -> Value {
        let mut chunk = Self { budget: MOST_DETAILS, ..Self::default() };
        let names =
            operations.iter().enumerate().filter_map(|(at, one)| Some((one.progress.text("operation")?, at)));
        let at: HashMap<&str, usize> = names.collect();
        let mut types: Vec<String> = Vec::new();
        for (op, one) in operations.iter().enumerate() {
            let of = one.operation.get("type").and_then(Value::as_str).unwrap_or_default();
            let of = shown(of, LONGEST_NAME);
            let kind = types.iter().position(|known| *known == of).unwrap_or_else(|| {
                types.push(of);
                types.len() - 1
            });
            let on: Vec<i64> = one
                .depends_on
                .iter()
                .filter_map(|name| at.get(name.as_str()))
                .map(|on| op.cast_signed() as i64 - on.cast_signed() as i64)
                .collect();
            chunk.add("kind", kind);
            chunk.add("deps", on.len());
            for distance in on {
                chunk.add("dep", distance);
            }
            chunk.operation(op, &one.progress, started, until);
        }
        let Self { mut columns, more, left_out, .. } = chunk;
        let mut value = json!({
            "count": operations.len(), "label": {}, "types": types, "more": more, "leftOut": [left_out, 0, 0],
        });
        for name in [
            "name",
            "kind",
            "state",
            "origin",
            "of",
            "whole",
            "deps",
            "dep",
            "settled",
            "tries",
            "start",
            "took",
            "end",
            "waits",
            "lastWaits",
            "wait",
            "waited",
        ] {
            value[name] = columns.remove(name).unwrap_or_default().into();
        }
        value
    }

    fn add(&mut self, column: &'static str, value: impl Into<Value>) {
        self.columns.entry(column).or_default().push(value.into());
    }

    fn operation(&mut self, op: usize, progress: &Object, started: Millis, until: Millis) {
        let name = shown(progress.text("operation").unwrap_or_default(), LONGEST_NAME);
        // a hyphen at the beginning of a column means the name of the operation around it
        let name = name.strip_prefix('-').map(|rest| format!("\u{2010}{rest}")).unwrap_or(name);
        let state = state_of(progress);
        let since = |name: &str| {
            let time = progress.0.get(name).and_then(Value::as_u64)?;
            i64::try_from(time.saturating_sub(started)).ok()
        };
        let until = i64::try_from(until).unwrap_or(i64::MAX);
        let is_settled = !matches!(state, State::Running | State::Waiting);
        self.add("name", name);
        self.add("state", state.number());
        for column in ["origin", "of", "whole", "lastWaits"] {
            self.add(column, 0);
        }
        match since("startedTime").filter(|_| state != State::Waiting) {
            Some(start) => {
                let end = since("completedTime").filter(|_| is_settled).unwrap_or(until).max(start);
                self.add("tries", 1);
                self.add("start", start - self.last_start);
                self.last_start = start;
                self.add("took", end - start);
                let ending = match state {
                    State::Running => AttemptEnding::Running,
                    State::Succeeded => AttemptEnding::Succeeded,
                    State::Cancelled => AttemptEnding::Cancelled,
                    _ => AttemptEnding::Failed,
                };
                self.add("end", ending.number());
                self.add("waits", 0);
                self.add("settled", if is_settled { 0 } else { -1 });
            }
            None => {
                self.add("tries", 0);
                let settled = since("completedTime").unwrap_or_default();
                self.add("settled", if is_settled { settled } else { -1 });
            }
        }
        if let Some(detail) = detail_of(progress, state) {
            let size = detail.to_string().len();
            if size > self.budget {
                self.left_out += 1;
                return;
            }
            self.budget -= size;
            self.more.insert(op.to_string(), detail);
        }
    }
}

fn state_of(progress: &Object) -> State {
    let message = progress.text("processingStateMessage").unwrap_or_default();
    match progress.text("processingState") {
        Some(EXECUTING) => State::Running,
        Some(COMPLETE) if message.eq_ignore_ascii_case(pop_contract::SUCCEEDED) => State::Succeeded,
        Some(COMPLETE) if message == "cancelled" => State::Cancelled,
        Some(COMPLETE) => State::Failed,
        _ => State::Waiting,
    }
}

fn detail_of(progress: &Object, state: State) -> Option<Value> {
    let mut detail = Map::new();
    let diagnostics = progress.list("diagnosticEvents").iter().take(MOST_DIAGNOSTICS);
    let text =
        |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let events: Vec<(String, String)> =
        diagnostics.map(|event| (text(event, "statusCode"), text(event, "message"))).collect();
    let message = progress.text("processingStateMessage").unwrap_or_default();
    if state == State::Failed {
        let (code, words) = events.first().cloned().unwrap_or((String::new(), message.to_owned()));
        let others: Vec<String> =
            events.iter().skip(1).map(|(_, words)| visible_text(&cut(words, LONGEST_TEXT))).collect();
        detail.insert("failures".to_owned(), json!([{
            "attempt": progress.number("attemptCount").filter(|count| *count > 0), "code": shown(&code, LONGEST_NAME),
            "blame": "", "message": shown(&words, LONGEST_TEXT), "diagnostics": others,
        }]));
    } else {
        let mut notes: Vec<String> =
            events.iter().map(|(_, words)| visible_text(&cut(words, LONGEST_TEXT))).collect();
        if state == State::Running && !message.is_empty() {
            notes.insert(0, shown(message, LONGEST_TEXT));
        }
        if !notes.is_empty() {
            detail.insert("notes".to_owned(), notes.into());
        }
    }
    if let Some(percent) =
        progress.0.get("percentComplete").and_then(Value::as_f64).filter(|_| state == State::Running)
    {
        detail.insert("percent".to_owned(), percent.into());
    }
    let result = progress.text("resultPayload").filter(|result| !matches!(*result, "{}" | "null"));
    if let Some(result) = result.filter(|_| state == State::Succeeded) {
        detail.insert("result".to_owned(), visible_text(&cut(result, LONGEST_TEXT)).into());
    }
    (!detail.is_empty()).then_some(Value::Object(detail))
}

/// A text of one line without characters that act, cut if it is long.
fn shown(text: &str, most: usize) -> String {
    visible(&cut(text, most))
}

pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most);
    format!("{} [cut: {end} of {} bytes]", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value, depends_on: &[&str]) -> OperationStatus {
        OperationStatus {
            operation: json!({"type": "exec"}),
            progress: Object::of(value).unwrap(),
            depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn operations_become_columns_with_states_times_and_details() {
        let agenda = json!({"agendaId": "a", "title": "t\u{202e}", "processingState": "EXECUTING"});
        let operations = [
            status(
                json!({"operation": "a", "processingState": "COMPLETE", "processingStateMessage": "succeeded",
                "startedTime": 1_000, "completedTime": 1_500, "resultPayload": "{\"x\":1}"}),
                &[],
            ),
            status(
                json!({"operation": "-b", "processingState": "COMPLETE", "processingStateMessage": "failed",
                "startedTime": 1_500, "completedTime": 1_700, "attemptCount": 2,
                "diagnosticEvents": [{"statusCode": "exit-1", "message": "no\u{7} disk"}, {"message": "y".repeat(9_000)}]}),
                &["a", "unknown"],
            ),
            status(json!({"operation": "c", "processingState": "EXECUTING", "startedTime": 1_600}), &["a"]),
            status(json!({"operation": "d", "processingState": "WAITING"}), &["a", "c"]),
        ];
        let report = status_report(&Object::of(agenda).unwrap(), &operations, 2_000);
        assert_eq!(report["head"]["agenda"], "t\u{fffd}");
        assert_eq!((&report["head"]["started"], &report["head"]["until"]), (&json!(1_000), &json!(1_000)));
        let chunk = &report["chunk"];
        assert_eq!(chunk["name"], json!(["a", "\u{2010}b", "c", "d"]));
        let states = [State::Succeeded, State::Failed, State::Running, State::Waiting].map(State::number);
        assert_eq!(chunk["state"], json!(states));
        assert_eq!(chunk["end"], json!([1, 2, 0]));
        assert_eq!((&chunk["deps"], &chunk["dep"]), (&json!([0, 1, 1, 2]), &json!([1, 2, 3, 1])));
        assert_eq!(chunk["tries"], json!([1, 1, 1, 0]));
        assert_eq!((&chunk["start"], &chunk["took"]), (&json!([0, 500, 100]), &json!([500, 200, 400])));
        assert_eq!(chunk["settled"], json!([0, 0, -1, -1]));
        assert_eq!(chunk["more"]["0"]["result"], "{\"x\":1}");
        let failure = &chunk["more"]["1"]["failures"][0];
        assert_eq!((&failure["code"], &failure["message"]), (&json!("exit-1"), &json!("no\u{fffd} disk")));
        assert!(failure["diagnostics"][0].as_str().unwrap().ends_with("[cut: 4000 of 9000 bytes]"));
    }
}
