//! `pop explain`: why an operation is where it is, what it would be given, and where each of its policies comes from.

mod gates;
mod policies;

use super::plan::special;
use super::told::{Told, wall};
use crate::args::ExplainArgs;
use crate::error::CommandError;
use crate::ui;
use gates::{gate_name, gate_words};
use policies::policies;
use pop_agenda::{
    CancelReason, EdgeKind, Ending, Explanation, OpIx, Origin, Outcome, Outcomes, Plan, Planned, Scheduler,
    Serves,
};
use pop_registry::Step;
use pop_reporters::run::{stop_words, visible};
use std::fmt::Write as _;

pub(crate) fn explain(args: &ExplainArgs) -> Result<u8, CommandError> {
    let told = Told::read(&args.runs.runs, &args.run)?;
    let op = told.operation(&args.operation)?;
    ui::print(&explanation(&told, op));
    Ok(0)
}

fn explanation(told: &Told, op: OpIx) -> String {
    let scheduler = &told.scheduler;
    let planned = told.plan.operation(op);
    let mut text = String::new();
    let mut line = |words: String| {
        // writing into a text does not fail
        writeln!(text, "{words}").ok();
    };
    line(format!("{}: {}", planned.name, why(told, scheduler, op)));
    line(format!("  serves    type `{}`: {}", planned.handler_type, who(planned)));
    if let Some(letter) = &told.inputs.settings.replay_of {
        line(format!("  replays   dead letter {}/{}", letter.run, letter.operation));
    }
    for words in route_words(planned) {
        line(format!("  route     {words}"));
    }
    for edge in told.plan.graph().dependencies(op) {
        let on = told.plan.operation(edge.on);
        let how = match edge.kind {
            EdgeKind::Reads => "reads",
            EdgeKind::Follows => "follows",
        };
        let state = told.history.operation(edge.on).outcome().map_or("not settled", Outcome::word);
        let asked = if edge.needs == Outcomes::GOOD { String::new() } else { format!(", if {}", edge.needs) };
        line(format!("  {how:<9} {} ({state}{asked})", on.name));
    }
    if let Some(origin) = planned.origin {
        line(format!("  comes from {}", origin_words(&told.plan, origin)));
    }
    for words in special(planned) {
        line(format!("  {words}"));
    }
    let seen = told.history.operation(op);
    if let Some(decided) = &seen.skipped {
        line(format!("  skipped   {decided}"));
    }
    for words in seen.admissions.last().iter().flat_map(|admission| gate_words(told, admission)) {
        line(format!("  gate      {words}"));
    }
    for start in &seen.failed_starts {
        let (at, failure) = (wall(told.history.wall(start.at)), &start.failure);
        line(format!(
            "  start at {at} failed: {} [codes {}; blame: {}]",
            visible(&failure.message),
            failure.codes().join(", "),
            failure.blame
        ));
    }
    for attempt in &seen.attempts {
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
    for policy in policies(planned) {
        line(format!("  policy    {} = {} ({})", policy.key, policy.value, policy.scope));
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
        Explanation::WaitsFor(ops) => format!("waits for {}", few(&names, &ops)),
        Explanation::NoRoom { running, parallel } => {
            format!("is ready and waits for room: {running} of {parallel} at once are running (--parallel)")
        }
        Explanation::WaitsForParts(ops) => {
            format!("is made into several, and waits for {}", few(&names, &ops))
        }
        Explanation::NoPlace { of } => {
            let most = told.plan.operation(of).for_each().and_then(|for_each| for_each.max_parallel);
            format!(
                "waits for a place: maxParallel of `{}` is {}",
                told.plan.operation(of).name,
                most.unwrap_or_default()
            )
        }
        Explanation::Held { gate, by, outside, until } => {
            let who = match (by, outside) {
                (Some(op), _) => format!(", which {} has", names(&[op])),
                (None, Some(who)) => format!(", which {who} has"),
                (None, None) => String::new(),
            };
            let until = until.map(|at| format!(" until {}", time(at))).unwrap_or_default();
            format!("waits{until} for {}{who}", gate_name(&gate))
        }
        Explanation::NotAsked(ops) => {
            format!("was skipped: {} did not end as it asks for", names(&ops))
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
        Explanation::Commits => "has succeeded, and its versions are being committed".to_owned(),
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

/// The first of many operations.
fn few(names: &impl Fn(&[OpIx]) -> String, ops: &[OpIx]) -> String {
    const SHOWN: usize = 10;
    let more = ops.len().saturating_sub(SHOWN);
    let shown = names(&ops[..ops.len().min(SHOWN)]);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

fn route_words(planned: &Planned) -> Vec<String> {
    let Some(route) = &planned.route else { return Vec::new() };
    // what is built in, and alone, needs no reason
    if route.step == Step::BuiltIn && route.passed_over.is_empty() {
        return Vec::new();
    }
    let handler = route.handler.as_deref().unwrap_or(&planned.handler_type);
    let version = route.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
    let chosen = format!("handler `{handler}`{version}: {}", route.step);
    let over = route.passed_over.iter().map(|other| format!("passed over: {other}"));
    std::iter::once(chosen).chain(over).collect()
}

fn origin_words(plan: &Plan, origin: Origin) -> String {
    match origin {
        Origin::Part { of, index } => format!("`{}`, as its part {index}", plan.operation(of).name),
        Origin::Generated { by, depth } => match depth {
            1 => format!("the result of `{}`", plan.operation(by).name),
            _ => format!("the result of `{}`, {depth} generators deep", plan.operation(by).name),
        },
    }
}

pub(crate) fn who(planned: &Planned) -> String {
    match &planned.serves {
        Serves::Dispatch => "the handlers of the types in its payload".to_owned(),
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
