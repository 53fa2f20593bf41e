//! `pop dlq`: lists, shows and deletes dead letters.

use super::replay::replay;
use super::saved_run::wall;
use crate::args::{DlqCommand, DlqDropArgs, DlqListArgs, DlqShowArgs, Output};
use crate::error::CommandError;
use crate::ui;
use pop_executor::{DeadLetter, DeadLetters, RunFolder};
use pop_reporters::run::{failure_with_blame, tail_lines, visible};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(crate) fn dlq(command: &DlqCommand) -> Result<u8, CommandError> {
    match command {
        DlqCommand::List(args) => list(args),
        DlqCommand::Show(args) => show(args),
        DlqCommand::Replay(args) => replay(args),
        DlqCommand::Drop(args) => drop_letters(args),
    }
}

fn list(args: &DlqListArgs) -> Result<u8, CommandError> {
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for letter in DeadLetters::all(&args.runs.runs)? {
        match letter {
            Ok(letter) => {
                rows.push(row(&letter));
                list.push(brief(&letter));
            }
            // report an unreadable dead letter, and list the others
            Err(error) => ui::say(&format!("warning: {:#}", anyhow::Error::from(error))),
        }
    }
    if args.output == Output::Json {
        ui::print(&format!("{:#}\n", json!(list)));
    } else if rows.is_empty() {
        ui::say(&format!("no dead letters in `{}`", args.runs.runs.display()));
    } else {
        ui::print(&ui::table(&rows));
    }
    Ok(0)
}

fn row(letter: &DeadLetter) -> [String; 6] {
    let replayed = match letter.replays.as_slice() {
        [] => String::new(),
        runs => format!("replayed by {}", runs.join(", ")),
    };
    [
        letter.run.clone(),
        letter.operation.clone(),
        letter.handler_type.clone(),
        wall(letter.settled),
        format!("[{}] {}", letter.failure.code, visible(&letter.failure.message)),
        replayed,
    ]
}

/// JSON of a dead letter without its large fields.
fn brief(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id(), "run": letter.run, "operation": letter.operation, "type": letter.handler_type,
        "agenda": letter.agenda, "launcher": letter.launcher, "attempts": letter.attempts.len(),
        "failure": {
            "blame": letter.failure.blame, "code": letter.failure.code, "message": letter.failure.message,
        },
        "settledTime": letter.settled, "replays": letter.replays,
    })
}

fn show(args: &DlqShowArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    let letter = DeadLetters::of(folder.path()).find(&args.operation)?;
    ui::print(&match args.output {
        Output::Json => format!("{:#}\n", whole(&letter)),
        Output::Text => text(&letter),
    });
    Ok(0)
}

fn whole(letter: &DeadLetter) -> Value {
    let attempts = letter.attempts.iter().map(|attempt| {
        json!({
            "number": attempt.number, "startedTime": attempt.started, "completedTime": attempt.ended,
            "failure": attempt.failure,
        })
    });
    let mut whole = brief(letter);
    whole["attempts"] = attempts.collect();
    whole["failure"] = json!(letter.failure);
    whole["payload"] = letter.payload.clone();
    whole["params"] = Value::Object(letter.params.clone());
    whole
}

fn text(letter: &DeadLetter) -> String {
    let DeadLetter { failure, .. } = letter;
    let mut text = String::new();
    let mut line = |content: String| {
        // writing to a string cannot fail
        writeln!(text, "{content}").ok();
    };
    line(format!(
        "{} ({}) of {}, dead letter since {}",
        letter.id(),
        letter.handler_type,
        letter.agenda,
        wall(letter.settled)
    ));
    for attempt in &letter.attempts {
        let (number, started) = (attempt.number, wall(attempt.started));
        line(format!("  attempt {number} at {started}: {}", visible(&attempt.failure)));
    }
    line(format!("  failed: {}", failure_with_blame(failure)));
    for tail in tail_lines(failure) {
        line(format!("      | {}", visible(tail)));
    }
    for run in &letter.replays {
        line(format!("  replayed by {run}"));
    }
    line(format!("params {:#}", Value::Object(letter.params.clone())));
    line(format!("payload {:#}", letter.payload));
    text
}

fn drop_letters(args: &DlqDropArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    let letters = DeadLetters::of(folder.path());
    match &args.operation {
        Some(operation) => letters.drop(operation)?,
        None => {
            let count = letters.drop_all()?;
            let noun = if count == 1 { "dead letter" } else { "dead letters" };
            ui::say(&format!("{count} {noun} of run {} deleted", folder.run()));
        }
    }
    Ok(0)
}
