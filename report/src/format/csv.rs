//! CSV (RFC 4180): one row for each attempt, and one for each operation without attempts.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line end for a formula or a command. Such a
//! text gets an apostrophe in front, so that it is shown as text. Columns with numbers never get one.

use super::instant::instant;
use crate::model::{AttemptReport, OperationReport, Report, Wait, WaitKind};
use pop_contract::Millis;

/// Names of the columns before those of waits and usage.
const COLUMNS: [&str; 18] = [
    "run",
    "operation",
    "shownName",
    "type",
    "state",
    "partOf",
    "attempt",
    "attemptOutcome",
    "started",
    "startedTime",
    "completedTime",
    "tookMs",
    "code",
    "blame",
    "exit",
    "message",
    "instance",
    "reusedFrom",
];

/// Names of the columns about usage.
const USAGE: [&str; 4] = ["cpuMs", "peakMemoryBytes", "readBytes", "writtenBytes"];

/// The report as CSV, with a line of names first.
pub fn csv(report: &Report<'_>) -> String {
    let mut text = String::new();
    let waits = WaitKind::ALL.map(|kind| format!("wait.{}Ms", kind.word()));
    let names = COLUMNS.into_iter().chain(waits.iter().map(String::as_str)).chain(USAGE);
    row(&mut text, names.map(str::to_owned));
    for operation in &report.operations {
        let rows = operation.attempts.iter().map(Some);
        let none = operation.attempts.is_empty().then_some(None);
        for attempt in rows.chain(none) {
            row(&mut text, cells(report, operation, attempt));
        }
    }
    text
}

fn cells<'c>(
    report: &'c Report<'_>,
    operation: &'c OperationReport<'_>,
    attempt: Option<&'c AttemptReport<'_>>,
) -> impl Iterator<Item = String> + 'c {
    let started = attempt.map(|attempt| attempt.started_time);
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let time = |time: Option<Millis>| number(time);
    let failure = attempt.map_or_else(|| operation.failures.last().copied(), |attempt| attempt.failure);
    let exit = failure.and_then(|failure| failure.exit).map(|exit| exit.to_string());
    let of = operation.of.map(|of| report.operations[of.index()].name);
    let waits = attempt.map_or(&operation.waits, |attempt| &attempt.waits);
    let usage = attempt.and_then(|attempt| attempt.usage).unwrap_or_default();
    let first = [
        safe(report.run.name),
        safe(operation.name),
        safe(operation.shown()),
        safe(operation.handler_type),
        operation.state.word().to_owned(),
        safe(of.unwrap_or_default()),
        number(attempt.map(|attempt| u64::from(attempt.number))),
        attempt.map(|attempt| attempt.outcome.word()).unwrap_or_default().to_owned(),
        started.map(instant).unwrap_or_default(),
        time(started),
        time(attempt.map_or(operation.settled_time, |attempt| attempt.completed_time)),
        number(attempt.map(|attempt| attempt.took_ms)),
        safe(failure.map(|failure| failure.code.as_str()).unwrap_or_default()),
        failure.map(|failure| failure.blame.to_string()).unwrap_or_default(),
        exit.unwrap_or_default(),
        safe(failure.map(|failure| failure.message.as_str()).unwrap_or_default()),
        safe(attempt.and_then(|attempt| attempt.instance).unwrap_or_default()),
        safe(operation.reused_from.unwrap_or_default()),
    ];
    let waited = WaitKind::ALL.map(|kind| number(waited(waits, kind)));
    let usage = [usage.cpu_ms, usage.peak_memory_bytes, usage.read_bytes, usage.written_bytes].map(number);
    first.into_iter().chain(waited).chain(usage)
}

fn waited(waits: &[Wait<'_>], kind: WaitKind) -> Option<u64> {
    waits.iter().filter(|wait| wait.kind == kind).map(|wait| wait.took_ms).reduce(u64::saturating_add)
}

/// A text that a spreadsheet takes for a text.
fn safe(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn row(text: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push(',');
        }
        if cell.contains(['"', ',', '\r', '\n']) {
            text.push('"');
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&cell);
        }
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_are_text() {
        let mut text = String::new();
        row(&mut text, ["a", "b,c", "\"d\"", "e\nf", ""].into_iter().map(str::to_owned));
        assert_eq!(text, "a,\"b,c\",\"\"\"d\"\"\",\"e\nf\",\r\n");
        let safe = ["=1+1", "+1", "-1", "@a", "\tx", "a=1", "1"].map(safe);
        assert_eq!(safe, ["'=1+1", "'+1", "'-1", "'@a", "'\tx", "a=1", "1"]);
    }
}
