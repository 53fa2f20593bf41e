//! Why an operation is in its state, in words.

use super::super::saved_run::wall;
use super::gates::gate_name;
use pop_agenda::{CancelReason, Explanation, Gate, OpIx, RunTime};
use pop_assembly::SavedRun;
use pop_reporters::run::stop_words;

/// The most operations that are named in a list.
const SHOWN: usize = 10;

/// Why an operation is in its state.
pub(super) fn reason(saved: &SavedRun, op: OpIx) -> String {
    let words = state_words(saved, op);
    let is_stopped = saved.history.ended.is_none() && !saved.folder.is_held();
    if is_stopped && saved.scheduler.state(op).outcome().is_none() {
        let resume = format!("no executor is at work; `pop resume {}` goes on", saved.folder.run());
        return format!("{words}; {resume}");
    }
    words
}

fn state_words(saved: &SavedRun, op: OpIx) -> String {
    let time = |at| wall(saved.history.wall(at));
    match saved.scheduler.explain(op) {
        Explanation::WaitsFor(ops) => format!("waits for {}", few(saved, &ops)),
        Explanation::NoRoom { running, parallel } => {
            format!("is ready and waits for room: {running} of {parallel} at once are running (--parallel)")
        }
        Explanation::WaitsForParts(ops) => {
            format!("is made into several, and waits for {}", few(saved, &ops))
        }
        Explanation::NoPlace { of } => {
            let most = saved.plan.operation(of).for_each().and_then(|for_each| for_each.max_parallel);
            let name = &saved.plan.operation(of).name;
            format!("waits for a place: maxParallel of `{name}` is {}", most.unwrap_or_default())
        }
        Explanation::Held { gate, by, outside, until } => {
            gate_reason(saved, &gate, by, outside.as_deref(), until)
        }
        Explanation::NotAsked(ops) => {
            format!("was skipped: {} did not end as it asks for", names(saved, &ops))
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
            let most = saved.plan.operation(op).policies.retry.value.max_attempts;
            format!("waits until {} for its next attempt; {failures} of {most} failed", time(until))
        }
        Explanation::Needed(ops) => {
            format!("was cancelled: it needs {}, which did not end well", names(saved, &ops))
        }
        Explanation::RunEnding(reason) => format!("was cancelled: {}", cancel_words(reason)),
        Explanation::Settled(outcome) => outcome.word().to_owned(),
    }
}

fn gate_reason(
    saved: &SavedRun,
    gate: &Gate,
    by: Option<OpIx>,
    outside: Option<&str>,
    until: Option<RunTime>,
) -> String {
    let who = match (by, outside) {
        (Some(op), _) => format!(", which {} has", names(saved, &[op])),
        (None, Some(who)) => format!(", which {who} has"),
        (None, None) => String::new(),
    };
    let until = until.map(|at| format!(" until {}", wall(saved.history.wall(at)))).unwrap_or_default();
    format!("waits{until} for {}{who}", gate_name(gate))
}

fn cancel_words(reason: Option<CancelReason>) -> &'static str {
    match reason {
        Some(CancelReason::Failure) => "another operation failed (--keep-going would have run it)",
        Some(CancelReason::Fatal) => "an operation with onFail FATAL failed",
        Some(CancelReason::TimeLimit) => "the run's time limit was reached",
        Some(CancelReason::Interrupted) => "the run was interrupted",
        Some(CancelReason::Terminated) => "the run was terminated",
        None => "the run was being ended",
    }
}

fn names(saved: &SavedRun, ops: &[OpIx]) -> String {
    let names: Vec<_> = ops.iter().map(|op| format!("`{}`", saved.plan.operation(*op).name)).collect();
    names.join(", ")
}

/// The names of some operations, and how many more there are.
fn few(saved: &SavedRun, ops: &[OpIx]) -> String {
    let more = ops.len().saturating_sub(SHOWN);
    let shown = names(saved, &ops[..ops.len().min(SHOWN)]);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
