//! State of an operation and its reason, as a sentence.

use super::super::operation_words::name_from;
use super::super::saved_run::wall;
use super::gates::gate_name;
use super::names::{few, names};
use super::resources::resource_words;
use pop_agenda::{CancelReason, Explanation, Gate, OpIx, OpRef, Outcome, RunTime};
use pop_assembly::SavedRun;
use pop_reporters::run::stop_words;

/// Describes the state of an operation and its reason.
pub(super) fn reason(saved: &SavedRun, op: OpIx) -> String {
    let words = state_words(saved, op);
    let is_stopped = saved.history.ended.is_none() && !saved.folder.is_held();
    if is_stopped && saved.scheduler.state(op).outcome().is_none() {
        let resume = format!("no executor is running; `pop resume {}` continues the run", saved.folder.run());
        return format!("{words}; {resume}");
    }
    words
}

fn state_words(saved: &SavedRun, op: OpIx) -> String {
    let time = |at| wall(saved.history.wall(at));
    match saved.scheduler.explain(op) {
        Explanation::WaitsFor(ops) => format!("waits for {}", few(saved, &ops)),
        Explanation::NoRoom { running, parallel } => {
            format!("is ready and queued: {running} of {parallel} slots are in use (--parallel)")
        }
        Explanation::NoResources { shortages, held_by, reserved_for } => {
            format!("is ready and queued: {}", resource_words(saved, &shortages, &held_by, reserved_for))
        }
        Explanation::WaitsForParts(ops) => {
            format!("was expanded by forEach and waits for {}", few(saved, &ops))
        }
        Explanation::NoPlace { of } => {
            let most = saved.plan.operation(of).for_each().and_then(|for_each| for_each.max_parallel);
            let name = &saved.plan.operation(of).name;
            format!("is ready and queued: maxParallel of `{name}` is {}", most.unwrap_or_default())
        }
        Explanation::Held { gate, by, outside, until } => {
            gate_reason(saved, &gate, by, outside.as_deref(), until)
        }
        Explanation::NotAsked(ops) => {
            format!("was skipped: {}", skip_reason(saved, op, &ops))
        }
        Explanation::Next => "is ready and starts next".to_owned(),
        Explanation::Runs { since, deadline } => {
            let deadline = deadline.map(|at| format!(", times out at {}", time(at)));
            format!("has been running since {}{}", time(since), deadline.unwrap_or_default())
        }
        Explanation::Stops { reason, kill_at } => {
            let why = stop_words(reason);
            let kill = kill_at
                .map_or("; it was killed".to_owned(), |at| format!("; it will be killed at {}", time(at)));
            format!("is stopping because {why}{kill}")
        }
        Explanation::Commits => {
            "has succeeded; its files are being verified and its versions committed".to_owned()
        }
        Explanation::BacksOff { until, failures } => {
            let most = saved.plan.operation(op).policies.retry.value.max_attempts;
            format!("waits until {} for its next attempt; {failures} of {most} attempts failed", time(until))
        }
        Explanation::Needed(ops) => {
            format!("was cancelled: it depends on {}, which did not succeed", names(saved, &ops))
        }
        Explanation::RunEnding(reason) => format!("was cancelled: {}", cancel_words(reason)),
        Explanation::Settled(outcome) => settled_words(saved, op, outcome),
    }
}

fn settled_words(saved: &SavedRun, op: OpIx, outcome: Outcome) -> String {
    let seen = saved.history.operation(op);
    let replayed = seen.replayed.as_ref().filter(|replayed| replayed.is_given);
    match (&seen.reused, replayed) {
        (Some(reused), _) => format!("succeeded: the result of run {} was reused", reused.run),
        (None, Some(replayed)) => format!("succeeded: run {} replayed its dead letter", replayed.run),
        (None, None) => outcome.word().to_owned(),
    }
}

fn gate_reason(
    saved: &SavedRun,
    gate: &Gate,
    by: Option<OpIx>,
    outside: Option<&str>,
    until: Option<RunTime>,
) -> String {
    let holder = match (by, outside) {
        (Some(op), _) => format!(", held by {}", names(saved, &[op])),
        (None, Some(holder)) => format!(", held by {holder}"),
        (None, None) => String::new(),
    };
    let until = until.map(|at| format!(" until {}", wall(saved.history.wall(at)))).unwrap_or_default();
    format!("waits{until} for {}{holder}", gate_name(gate))
}

fn cancel_words(reason: Option<CancelReason>) -> &'static str {
    match reason {
        Some(CancelReason::Failure) => "another operation failed (--keep-going would have run it)",
        Some(CancelReason::Fatal) => "an operation with onFail FATAL failed",
        Some(CancelReason::TimeLimit) => "the run's time limit was reached",
        Some(CancelReason::Interrupted) => "the run was interrupted",
        Some(CancelReason::Terminated) => "the run was terminated",
        None => "the run was ending",
    }
}

/// Why an operation was skipped: a group of `dependsOn` that does not hold, or outcomes of its dependencies.
fn skip_reason(saved: &SavedRun, op: OpIx, unmet: &[OpIx]) -> String {
    let groups = saved.plan.operation(op).rare.iter().flat_map(|rare| &rare.groups);
    let outcome = |on| saved.history.operation(saved.plan.resolve(op, on)).outcome();
    let mut failing = groups.filter(|group| !group.holds(&outcome));
    if let Some(group) = failing.next() {
        let name = name_from(&saved.plan, op);
        let mut seen: Vec<OpRef> = group.leaves().into_iter().map(|(on, _)| on).collect();
        seen.sort_unstable();
        seen.dedup();
        let word = |on| outcome_word(saved, saved.plan.resolve(op, on));
        let seen = seen.into_iter().map(|on| format!("`{}` {}", name(on), word(on)));
        let seen = seen.collect::<Vec<_>>().join(", ");
        return format!("it requires {}, but the outcomes are {seen}", group.words(&name));
    }
    unmet.iter().map(|on| unmet_dependency(saved, op, *on)).collect::<Vec<_>>().join(", ")
}

fn outcome_word(saved: &SavedRun, op: OpIx) -> &'static str {
    saved.history.operation(op).outcome().map_or("not finished", Outcome::word)
}

/// The outcome that `op` requires of `on`, and the outcome that `on` has.
fn unmet_dependency(saved: &SavedRun, op: OpIx, on: OpIx) -> String {
    let name = &saved.plan.operation(on).name;
    let outcome = outcome_word(saved, on);
    let edge = saved.plan.graph().dependencies(op).find(|edge| edge.on == on);
    edge.map_or_else(
        || format!("`{name}` has outcome {outcome}"),
        |edge| format!("it requires outcome {} of `{name}`, which has outcome {outcome}", edge.needs),
    )
}
