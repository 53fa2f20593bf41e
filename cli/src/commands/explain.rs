//! `pop explain`: why an operation is where it is, what it would be given, and where each of its policies comes from.

use super::told::{Told, wall};
use crate::args::ExplainArgs;
use crate::error::CommandError;
use crate::ui;
use pop_agenda::{CancelReason, EdgeKind, Ending, Explanation, OpIx, Outcome, Planned, Scheduler, Serves};
use pop_policy::{Layered, Retry};
use pop_reporters::run::{stop_words, visible};
use std::fmt::Write as _;

pub(crate) fn explain(args: &ExplainArgs) -> Result<u8, CommandError> {
    let told = Told::read(&args.runs.runs, &args.run)?;
    let op = told.operation(&args.operation)?;
    ui::print(&explanation(&told, op));
    Ok(0)
}

fn explanation(told: &Told, op: OpIx) -> String {
    let scheduler = told.scheduler();
    let planned = told.plan.operation(op);
    let mut text = String::new();
    let mut line = |words: String| {
        // writing into a text does not fail
        writeln!(text, "{words}").ok();
    };
    line(format!("{}: {}", planned.name, why(told, &scheduler, op)));
    line(format!("  serves    type `{}`: {}", planned.handler_type, who(planned)));
    if let Some(letter) = &told.inputs.settings.replay_of {
        line(format!("  replays   dead letter {}/{}", letter.run, letter.operation));
    }
    for edge in told.plan.graph().dependencies(op) {
        let on = told.plan.operation(edge.on);
        let how = match edge.kind {
            EdgeKind::Reads => "reads",
            EdgeKind::Follows => "follows",
        };
        let state = told.history.operation(edge.on).outcome().map_or("not settled", Outcome::word);
        line(format!("  {how:<9} {} ({state})", on.name));
    }
    for attempt in &told.history.operation(op).attempts {
        let how = match &attempt.ended {
            None => "has not ended".to_owned(),
            Some((_, Ending::Succeeded { .. })) => "succeeded".to_owned(),
            Some((_, Ending::Cancelled)) => "was stopped because the run was being ended".to_owned(),
            Some((_, Ending::Lost)) => {
                "was lost with its executor; that does not count as a failure".to_owned()
            }
            Some((_, Ending::Displaced(failure))) => {
                format!("was taken away: {}; that does not count as a failure", visible(&failure.message))
            }
            Some((_, Ending::Failed(failure))) => {
                format!(
                    "failed: {} [codes {}; blame: {}]",
                    visible(&failure.message),
                    failure.codes().join(", "),
                    failure.blame
                )
            }
        };
        line(format!("  attempt {} at {} {how}", attempt.number, wall(told.history.wall(attempt.started))));
        if let Some(exit) = attempt.late {
            line(format!("            ended after all with {exit}, too late to be used"));
        }
    }
    match scheduler.payload(op) {
        Ok(payload) => line(format!("  payload   {}", cut(&payload.to_string()))),
        Err(_) => line(format!(
            "  payload   {} (references not filled yet)",
            cut(&planned.payload.template().to_string())
        )),
    }
    for (name, value, scope) in policies(planned) {
        line(format!("  policy    {name} = {value} ({scope})"));
    }
    text
}

fn why(told: &Told, scheduler: &Scheduler, op: OpIx) -> String {
    let names = |ops: &[OpIx]| {
        let names: Vec<_> = ops.iter().map(|op| format!("`{}`", told.plan.operation(*op).name)).collect();
        names.join(", ")
    };
    let time = |at| wall(told.history.wall(at));
    let is_stopped = told.history.ended.is_none() && !told.folder.is_held();
    let words = match scheduler.explain(op) {
        Explanation::WaitsFor(ops) => format!("waits for {}", names(&ops)),
        Explanation::NoRoom { running, parallel } => {
            format!("is ready and waits for room: {running} of {parallel} at once are running (--parallel)")
        }
        Explanation::Next => "is ready and starts next".to_owned(),
        Explanation::Runs { since, deadline } => {
            let deadline = deadline.map(|at| format!(", is stopped at {} if it has not ended", time(at)));
            format!("runs since {}{}", time(since), deadline.unwrap_or_default())
        }
        Explanation::Stops { reason, kill_at } => {
            let why = stop_words(reason);
            let kill =
                kill_at.map_or("; it was killed".to_owned(), |at| format!("; it is killed at {}", time(at)));
            format!("was asked to stop because {why}{kill}")
        }
        Explanation::BacksOff { until, failures } => {
            let most = told.plan.operation(op).policies.retry.value.max_attempts;
            format!("waits until {} for its next attempt; {failures} of {most} failed", time(until))
        }
        Explanation::Needed(ops) => {
            format!("was cancelled: it needs {}, which did not end well", names(&ops))
        }
        Explanation::RunEnding(reason) => {
            let why = match reason {
                Some(CancelReason::Failure) => "another operation failed (--keep-going would have run it)",
                Some(CancelReason::Fatal) => "an operation with onFail FATAL failed",
                Some(CancelReason::TimeLimit) => "the run's time limit was reached",
                Some(CancelReason::Interrupted) => "the run was interrupted",
                Some(CancelReason::Terminated) => "the run was terminated",
                None => "the run was being ended",
            };
            format!("was cancelled: {why}")
        }
        Explanation::Settled(outcome) => outcome.word().to_owned(),
    };
    if is_stopped && scheduler.state(op).outcome().is_none() {
        let resume = format!("no executor is at work; `pop resume {}` goes on", told.folder.run());
        return format!("{words}; {resume}");
    }
    words
}

pub(crate) fn who(planned: &Planned) -> String {
    match &planned.serves {
        Serves::Exec => "the command in its payload".to_owned(),
        Serves::Resident(_) => "a handler inside the executor".to_owned(),
        Serves::Program(entry) => {
            let argv = entry.command.as_deref().unwrap_or_default();
            format!("program {}", quoted(argv))
        }
    }
}

/// An argv as a shell would read it; shown, never run.
pub(crate) fn quoted(argv: &[String]) -> String {
    shlex::try_join(argv.iter().map(String::as_str)).unwrap_or_else(|_| format!("{argv:?}"))
}

fn cut(text: &str) -> String {
    const SHOWN: usize = 600;
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(SHOWN);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

fn tries(retry: &Retry, on: &str) -> String {
    match retry.max_attempts {
        1 => "1 attempt".to_owned(),
        most => format!("{most} attempts, {} ms apart times {}, on {on}", retry.delay_ms, retry.factor),
    }
}

fn policies(planned: &Planned) -> Vec<(&'static str, String, String)> {
    fn limit(name: &'static str, limit: &Layered<Option<u64>>) -> (&'static str, String, String) {
        let value = limit.value.filter(|ms| *ms > 0).map_or("none".to_owned(), |ms| ms.to_string());
        (name, value, limit.scope.to_string())
    }
    let policies = &planned.policies;
    let retry = &policies.retry.value;
    let on = if retry.on.is_empty() { "any failure".to_owned() } else { retry.on.join(", ") };
    vec![
        ("retry", tries(retry, &on), policies.retry.scope.to_string()),
        limit("timeoutMs", &policies.run_ms),
        limit("noOutputTimeoutMs", &policies.silence_ms),
        limit("pendingTimeoutMs", &policies.pending_ms),
        ("onFail", policies.on_fail.value.to_string(), policies.on_fail.scope.to_string()),
        (
            "ignoreErrors",
            if policies.ignore_errors.value.codes().is_empty() {
                "none".to_owned()
            } else {
                policies.ignore_errors.value.codes().join(", ")
            },
            policies.ignore_errors.scope.to_string(),
        ),
    ]
}
