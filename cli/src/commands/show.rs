//! `pop show`: shows a run, or one of its operations, from its journal.

mod tree;

use super::file_lines::file_lines;
use super::saved_run::{TimesOfDay, agenda_words, closing, operation, read, took, until, wall, word};
use crate::args::{Output, ShowArgs};
use crate::error::CommandError;
use crate::ui;
use pop_agenda::{Ending, Explanation, OpIx, Outcome};
use pop_assembly::SavedRun;
use pop_contract::{Millis, Usage};
use pop_reporters::run::{
    failure_with_blame, how_long, operation_json, run_json, tail_lines, usage_text, visible,
};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::mem::ManuallyDrop;

pub(crate) fn show(args: &ShowArgs) -> Result<u8, CommandError> {
    // the process exits next; dropping a large run piece by piece would only delay that
    let saved = ManuallyDrop::new(read(&args.runs.runs, &args.run)?);
    let named = args.operation.as_deref().map(|name| operation(&saved, name)).transpose()?;
    let text = match (args.output, named) {
        (Output::Json, None) => {
            let settings = &saved.inputs.settings;
            let mut run = run_json(&saved.plan, &saved.history, &settings.agenda);
            if !settings.inputs.is_empty() {
                run["inputs"] = json!(settings.inputs);
            }
            let totals = &saved.scheduler.options().resources;
            if !totals.is_empty() {
                run["resources"] = json!(totals.to_json());
            }
            if settings.trace.is_some() {
                run["traceId"] = json!(saved.trace().id().to_string());
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
    // looked up once: each look-up reads /proc
    let running = if word(saved) == "running" { "running" } else { "stopped" };
    let end = until(saved);
    let heads = ["OPERATION", "TYPE", "STATE", "STARTED", "TOOK", ""].map(Cow::from);
    let spans = tree::spans(saved, end);
    let operations = tree::in_order(&saved.plan).into_iter();
    let mut times = TimesOfDay::of(history.started);
    let rows = operations.map(|op| row(saved, op, running, spans[op], &mut times));
    let mut text = format!(
        "run {} of {}: {}, started {}, took {}\n{}{}{}{}\n",
        saved.folder.run(),
        agenda_words(saved),
        word(saved),
        wall(history.started),
        how_long(took(saved)),
        history.parent.as_ref().map(|parent| format!("rerun of {}\n", parent.run)).unwrap_or_default(),
        saved
            .inputs
            .settings
            .trace
            .as_ref()
            .map(|_| format!("trace {}\n", saved.trace().id()))
            .unwrap_or_default(),
        used_text(saved),
        inputs_text(&saved.inputs.settings.inputs)
    );
    ui::add_table(&mut text, std::iter::once(heads).chain(rows));
    text + &format!("\n{}\n", closing(saved))
}

/// One operation: name, type, state, start, duration, and a note about attempts and failure. `running` is the state of an
/// operation that was started and has no end, and `span` its start and end.
fn row<'s>(
    saved: &'s SavedRun,
    op: OpIx,
    running: &'static str,
    span: Option<(Millis, Millis)>,
    times: &mut TimesOfDay,
) -> [Cow<'s, str>; 6] {
    let planned = saved.plan.operation(op);
    let seen = saved.history.operation(op);
    let state = match seen.outcome() {
        Some(outcome) => outcome.word(),
        None if span.is_none() => "-",
        None => running,
    };
    let needed = match saved.scheduler.explain(op) {
        Explanation::Needed(ops) => ops.first().map(|on| unmet(saved, *on)),
        _ => None,
    };
    let failure = seen.failure().map(|failure| format!("[{}] {}", failure.code, visible(&failure.message)));
    let reused = seen.reused.as_ref().map(|reused| format!("reused from {}", reused.run));
    let replayed = seen.replayed.as_ref().filter(|replayed| replayed.is_given);
    let replayed = replayed.map(|replayed| format!("replayed by {}", replayed.run));
    let tries = (seen.attempts.len() > 1).then(|| format!("{} attempts", seen.attempts.len()));
    [
        visible(&saved.plan.shown_name(op)).into(),
        (&*planned.handler_type).into(),
        state.into(),
        span.map(|(from, _)| times.text(from)).unwrap_or_default().into(),
        span.map(|(from, to)| how_long(to.saturating_sub(from))).unwrap_or_default().into(),
        tries
            .into_iter()
            .chain(reused)
            .chain(replayed)
            .chain(failure)
            .chain(needed)
            .collect::<Vec<_>>()
            .join(", ")
            .into(),
    ]
}

/// An operation whose outcome cancelled another one.
fn unmet(saved: &SavedRun, on: OpIx) -> String {
    let name = &saved.plan.operation(on).name;
    match saved.history.operation(on).outcome() {
        Some(Outcome::DeadLettered) => format!("depends on `{name}`, which is in the dead-letter queue"),
        Some(outcome) => format!("depends on `{name}`, which has outcome {}", outcome.word()),
        None => format!("depends on `{name}`, which has not finished"),
    }
}

/// What all attempts of the run used together, with the operation that used most memory.
fn used_text(saved: &SavedRun) -> String {
    let used = saved.plan.operations().filter_map(|(op, _)| Some((op, saved.history.operation(op).usage()?)));
    let used: Vec<(OpIx, Usage)> = used.collect();
    let Some(total) = used.iter().map(|(_, usage)| *usage).reduce(Usage::and) else { return String::new() };
    let largest = used.iter().find(|(_, usage)| total.mem_kib > 0 && usage.mem_kib == total.mem_kib);
    let largest = largest.map(|(op, _)| format!("; most memory: {}", visible(&saved.plan.shown_name(*op))));
    format!("used {}{}\n", usage_text(&total), largest.unwrap_or_default())
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
                        let tail: String = tail_lines(failure)
                            .map(|line| format!("\n      | {}", visible(line)))
                            .collect::<Vec<_>>()
                            .concat();
                        format!("failed after {took}: {}{tail}", failure_with_blame(failure))
                    }
                }
            }
        };
        writeln!(text, "  attempt {} at {started}: {how}", attempt.number).ok();
        if let Some(usage) = attempt.usage {
            writeln!(text, "      used {}", usage_text(&usage)).ok();
        }
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
    for line in seen.files.as_deref().into_iter().flat_map(file_lines) {
        writeln!(text, "  {line}").ok();
    }
    if let Some(result) = seen.result() {
        writeln!(text, "result {result:#}").ok();
    }
    text
}
