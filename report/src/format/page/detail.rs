//! What the page shows of one operation beside the columns (`Detail` in report/page/src/data.ts).

use super::shown;
use crate::cut::{LINE, MESSAGE, cut};
use crate::model::{OperationReport, Usage, Wait};
use pop_agenda::FileRecord;
use pop_contract::{Failure, Millis, visible_text};
use serde::Serialize;
use std::borrow::Cow;

/// Most bytes of failures in a page.
const MOST_FAILURES: usize = 6 * 1024 * 1024;
/// Most files in a page.
const MOST_FILES: usize = 20_000;
/// Most bytes of results in a page.
const MOST_RESULTS: usize = 2 * 1024 * 1024;
/// Most diagnostic events of a failure that are shown.
const MOST_DIAGNOSTICS: usize = 20;
/// Most lines of a log that are shown.
const MOST_LINES: usize = 200;

/// What is left of the space for details.
pub(super) struct Budget {
    failures: usize,
    files: usize,
    results: usize,
    left_out: (usize, usize, usize),
}

impl Default for Budget {
    fn default() -> Self {
        Self { failures: MOST_FAILURES, files: MOST_FILES, results: MOST_RESULTS, left_out: (0, 0, 0) }
    }
}

impl Budget {
    /// Number of failures, files and results for which there was no space.
    pub(super) fn left_out(&self) -> (usize, usize, usize) {
        self.left_out
    }
}

/// What only some operations have.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<ShownFailure<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat: Option<Cow<'r, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<ShownFiles<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    /// Texts that explain the outcome, such as the condition that skipped the operation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    /// Usage by the number of the attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    usage: Vec<(u32, Usage)>,
    /// Waits that have a name or a holder: number of the attempt (0 after the last one), time of their begin, text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waits: Vec<(u32, u64, String)>,
}

#[derive(Serialize)]
struct ShownFailure<'r> {
    /// Number of the attempt; none if there was none.
    attempt: Option<u32>,
    code: Cow<'r, str>,
    blame: String,
    message: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tail: Vec<Cow<'r, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<String>,
}

#[derive(Serialize)]
struct ShownFiles<'r> {
    folder: Cow<'r, str>,
    /// Path, size in bytes, digest.
    read: Vec<(Cow<'r, str>, u64, &'r str)>,
    written: Vec<(Cow<'r, str>, u64, &'r str)>,
}

impl<'r> Detail<'r> {
    /// The details of an operation; none if it has none.
    pub(super) fn of(one: &'r OperationReport<'_>, started: Millis, budget: &mut Budget) -> Option<Self> {
        let mut detail = Self {
            repeat: one.repeat_command.as_deref().map(|command| shown(command, MESSAGE)),
            notes: notes(one),
            percent: one.progress.and_then(|progress| progress.percent_complete),
            usage: one.attempts.iter().filter_map(|attempt| Some((attempt.number, attempt.usage?))).collect(),
            ..Self::default()
        };
        detail.add_failures(one, budget);
        detail.add_files(one, budget);
        detail.add_result(one, budget);
        for attempt in &one.attempts {
            detail.add_waits(attempt.number, &attempt.waits, started);
        }
        detail.add_waits(0, &one.waits, started);
        let Self { failures, repeat, files, result, notes, percent, usage, waits } = &detail;
        let is_empty = failures.is_empty() && notes.is_empty() && usage.is_empty() && waits.is_empty();
        let has_none = repeat.is_none() && files.is_none() && result.is_none() && percent.is_none();
        (!is_empty || !has_none).then_some(detail)
    }

    fn add_failures(&mut self, one: &'r OperationReport<'_>, budget: &mut Budget) {
        let of_attempts =
            one.attempts.iter().filter_map(|attempt| Some((Some(attempt.number), attempt.failure?)));
        for (attempt, failure) in of_attempts.chain(one.failures.iter().map(|failure| (None, *failure))) {
            let failure = ShownFailure::of(attempt, failure);
            let size = failure.size();
            if size > budget.failures {
                budget.left_out.0 += 1;
                continue;
            }
            budget.failures -= size;
            self.failures.push(failure);
        }
    }

    fn add_files(&mut self, one: &'r OperationReport<'_>, budget: &mut Budget) {
        let Some(files) = one.files else { return };
        let (read, written) = (files.read.as_deref(), files.written.as_deref());
        let count = read.map_or(0, <[_]>::len) + written.map_or(0, <[_]>::len);
        if count == 0 {
            return;
        }
        if count > budget.files {
            budget.left_out.1 += count;
            return;
        }
        budget.files -= count;
        let list = |files: Option<&'r [FileRecord]>| {
            let files = files.unwrap_or_default().iter();
            files.map(|file| (shown(&file.path, MESSAGE), file.size, file.digest.as_ref())).collect()
        };
        self.files = Some(ShownFiles {
            folder: shown(&files.declared.folder, MESSAGE),
            read: list(read),
            written: list(written),
        });
    }

    fn add_result(&mut self, one: &'r OperationReport<'_>, budget: &mut Budget) {
        let Some(result) = one.result.filter(|result| !is_plain(result)) else { return };
        let text = visible_text(&cut(&result.to_string(), MESSAGE));
        if text.len() > budget.results {
            budget.left_out.2 += 1;
            return;
        }
        budget.results -= text.len();
        self.result = Some(text);
    }

    fn add_waits(&mut self, attempt: u32, waits: &[Wait<'_>], started: Millis) {
        let named = waits.iter().filter(|wait| wait.name.is_some() || wait.held_by.is_some());
        self.waits.extend(named.map(|wait| {
            let name = wait.name.map(|name| shown(name, MESSAGE)).unwrap_or_default();
            let holder = wait.held_by.map(|holder| format!(" held by {}", shown(holder, MESSAGE)));
            (attempt, wait.from_time.saturating_sub(started), format!("{name}{}", holder.unwrap_or_default()))
        }));
    }
}

impl<'r> ShownFailure<'r> {
    fn of(attempt: Option<u32>, failure: &'r Failure) -> Self {
        let first = failure.log_tail.len().saturating_sub(MOST_LINES);
        let tail = failure.log_tail[first..].iter().map(|line| shown(line, LINE));
        let others = failure.diagnostics.iter().filter(|event| event.message != failure.message);
        let others = others.take(MOST_DIAGNOSTICS).map(|event| {
            let trace = event.stack_trace.as_deref().map(|trace| format!("\n{trace}")).unwrap_or_default();
            visible_text(&cut(&format!("{}{trace}", event.message), MESSAGE))
        });
        Self {
            attempt,
            code: shown(&failure.code, MESSAGE),
            blame: failure.blame.to_string(),
            message: shown(&failure.message, MESSAGE),
            exit: failure.exit.map(|exit| exit.to_string()),
            tail: tail.collect(),
            diagnostics: others.collect(),
        }
    }

    fn size(&self) -> usize {
        let tail = self.tail.iter().map(|line| line.len() + 3).sum::<usize>();
        self.message.len() + tail + self.diagnostics.iter().map(String::len).sum::<usize>() + 80
    }
}

fn notes(one: &OperationReport<'_>) -> Vec<String> {
    let skipped = one.skipped_by.as_ref().map(|by| format!("skipped: {}", shown(by, MESSAGE)));
    let ignored = one
        .ignored
        .map(|code| format!("its failure `{}` counts as success (ignoreErrors)", shown(code, MESSAGE)));
    let reused = one.reused_from.map(|run| format!("the result of run {} was reused", shown(run, MESSAGE)));
    let replayed = one.replayed_by.map(|run| format!("run {} replayed its dead letter", shown(run, MESSAGE)));
    let warm = one.attempts.last().and_then(|last| last.instance);
    let warm = warm.map(|instance| format!("served by the instance {}", shown(instance, MESSAGE)));
    skipped.into_iter().chain(ignored).chain(reused).chain(replayed).chain(warm).collect()
}

/// Whether a result says nothing but that the program succeeded.
fn is_plain(result: &serde_json::Value) -> bool {
    match result {
        serde_json::Value::Null => true,
        serde_json::Value::Object(map) => map.iter().all(|(key, value)| key == "exitCode" && value == 0),
        _ => false,
    }
}
