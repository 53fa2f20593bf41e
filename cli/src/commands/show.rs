//! `pop show`: shows a run, or one of its operations, from its journal.

use super::runs::table;
use super::saved_run::{operation, read, wall, word};
use crate::args::{Output, ShowArgs};
use crate::error::CommandError;
use crate::ui;
use pop_agenda::{Ending, OpIx, Outcome};
use pop_assembly::SavedRun;
use pop_reporters::run::{failure_with_blame, how_long, operation_json, run_json, summary, visible};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

pub(crate) fn show(args: &ShowArgs) -> Result<u8, CommandError> {
    let saved = read(&args.runs.runs, &args.run)?;
    let named = args.operation.as_deref().map(|name| operation(&saved, name)).transpose()?;
    let text = match (args.output, named) {
        (Output::Json, None) => {
            let settings = &saved.inputs.settings;
            let mut run = run_json(&saved.plan, &saved.history, &settings.agenda);
            if !settings.inputs.is_empty() {
                run["inputs"] = json!(settings.inputs);
            }
            if let Some(letter) = &settings.replay_of {
                run["replayOf"] = json!(letter);
            }
            format!("{run:#}\n")
        }
        (Output::Json, Some(op)) => format!("{:#}\n", operation_json(&saved.plan, &saved.history, op)),
        (Output::Text, None) => run_text(&saved),
        (Output::Text, Some(op)) => operation_text(&saved, op),
    };
    ui::print(&text);
    Ok(0)
}

fn run_text(saved: &SavedRun) -> String {
    let history = &saved.history;
    let rows: Vec<[String; 5]> = saved
        .plan
        .operations()
        .map(|(op, planned)| {
            let seen = history.operation(op);
            let took = seen.started().map(|from| {
                let until = seen.completed().unwrap_or(history.last);
                how_long(until.0.saturating_sub(from.0))
            });
            let state =
                seen.outcome().map_or(if seen.attempts.is_empty() { "-" } else { "running" }, Outcome::word);
            let failure =
                seen.failure().map(|failure| format!("[{}] {}", failure.code, visible(&failure.message)));
            let tries = if seen.attempts.len() > 1 {
                format!("{} attempts", seen.attempts.len())
            } else {
                String::new()
            };
            let note = [tries, failure.unwrap_or_default()].into_iter().filter(|part| !part.is_empty());
            let note = note.collect::<Vec<_>>().join(", ");
            [
                planned.name.to_string(),
                planned.handler_type.to_string(),
                state.to_owned(),
                took.unwrap_or_default(),
                note,
            ]
        })
        .collect();
    let head = format!(
        "run {} of {}: {}, started {}\n{}\n",
        saved.folder.run(),
        saved.inputs.settings.agenda,
        word(saved),
        wall(history.started),
        inputs_text(&saved.inputs.settings.inputs)
    );
    let closing = summary(&saved.plan, history);
    let closing = closing.lines().last().unwrap_or_default();
    format!("{head}{}\n{closing}\n", table(&rows))
}

/// The values of the inputs, one line each.
fn inputs_text(inputs: &Map<String, Value>) -> String {
    const LONGEST: usize = 80;
    let line = |(name, value): (&String, &Value)| {
        let text = visible(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("input {name}: {}…\n", &text[..end]),
            None => format!("input {name}: {text}\n"),
        }
    };
    inputs.iter().map(line).collect()
}

fn operation_text(saved: &SavedRun, op: OpIx) -> String {
    let planned = saved.plan.operation(op);
    let seen = saved.history.operation(op);
    let mut text = format!(
        "{} ({}): {}\n",
        planned.name,
        planned.handler_type,
        seen.outcome().map_or("not finished", Outcome::word)
    );
    // writing to a string cannot fail
    for attempt in &seen.attempts {
        let started = wall(saved.history.wall(attempt.started));
        let how = match &attempt.ended {
            None => "has not ended".to_owned(),
            Some((at, ending)) => {
                let took = how_long(at.0.saturating_sub(attempt.started.0));
                match ending {
                    Ending::Succeeded { .. } => format!("succeeded in {took}"),
                    Ending::Cancelled => format!("stopped after {took}"),
                    Ending::Lost => format!("lost after {took} with its executor"),
                    Ending::Displaced(failure) => {
                        format!("displaced after {took}: {}", visible(&failure.message))
                    }
                    Ending::Failed(failure) => {
                        let tail: String = failure
                            .log_tail
                            .iter()
                            .map(|line| format!("\n      | {}", visible(line)))
                            .collect::<Vec<_>>()
                            .concat();
                        format!("failed after {took}: {}{tail}", failure_with_blame(failure))
                    }
                }
            }
        };
        writeln!(text, "  attempt {} at {started}: {how}", attempt.number).ok();
    }
    for start in &seen.failed_starts {
        let (at, failure) = (wall(saved.history.wall(start.at)), &start.failure);
        writeln!(text, "  start at {at} failed: {}", failure_with_blame(failure)).ok();
    }
    // an operation with forEach has no attempt of its own
    if let Some(Ending::Failed(failure)) = &seen.joined {
        writeln!(text, "  {}", failure_with_blame(failure)).ok();
        for report in failure.diagnostics.iter().filter_map(|event| event.payload.as_ref()) {
            writeln!(text, "report {report:#}").ok();
        }
    }
    if let Some(result) = seen.result() {
        writeln!(text, "result {result:#}").ok();
    }
    text
}
