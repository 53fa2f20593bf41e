//! The summary of a run: its outcome, and its failures with their last log lines.

use super::event_text::failure_with_blame;
use pop_agenda::{History, ItemFailures, OpIx, Origin, Outcome, Plan, RunOutcome};
use pop_contract::{Failure, how_long, visible};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most failures that are shown in full.
const MOST_FAILURES: usize = 10;

/// Most lines of a stack trace that are shown.
const MOST_TRACE: usize = 8;

/// Builds the summary of a run that has ended or not.
pub fn summary(plan: &Plan, history: &History) -> String {
    let mut text = String::new();
    let mut failed: Vec<OpIx> = plan
        .operations()
        .map(|(op, _)| op)
        .filter(|op| {
            matches!(
                history.operation(*op).outcome(),
                Some(Outcome::Failed | Outcome::DeadLettered | Outcome::Skipped)
            )
        })
        .filter(|op| history.operation(*op).failure().is_some())
        .collect();
    failed.sort_by_key(|op| history.operation(*op).outcome() != Some(Outcome::Failed));
    for op in failed.iter().take(MOST_FAILURES) {
        add_failure(&mut text, plan, history, *op);
    }
    if failed.len() > MOST_FAILURES {
        line(
            &mut text,
            format_args!(
                "... and {} more; `pop show {}` lists them",
                failed.len() - MOST_FAILURES,
                history.run
            ),
        );
    }
    line(&mut text, format_args!("{}", closing_line(plan, history, "not ended", history.last.0)));
    text
}

/// Builds one line about a run: state, duration in milliseconds and outcomes of operations. `state` is the word for a run
/// that has no outcome.
pub fn closing_line(plan: &Plan, history: &History, state: &str, took: u64) -> String {
    let counted = counts(plan, history);
    let word = match history.ended {
        Some((_, RunOutcome::Succeeded)) => "succeeded",
        Some((_, RunOutcome::Failed)) => "failed",
        Some((_, RunOutcome::DeadLettered)) => "ended with dead letters (`pop dlq list` shows them)",
        Some((_, RunOutcome::Fatal)) => "ended by onFail FATAL",
        Some((_, RunOutcome::TimeLimit)) => "ended by its time limit",
        Some((_, RunOutcome::Interrupted)) => "interrupted",
        Some((_, RunOutcome::Terminated)) => "terminated",
        Some((_, RunOutcome::Stuck)) => "stuck (a bug in pop)",
        None => state,
    };
    format!("run {} {word} after {}: {counted}{}", history.run, how_long(took), failed_items(plan, history))
}

/// The lines that explain a failure: the end of its log, and the end of the stack trace that its handler reported.
pub fn tail_lines(failure: &Failure) -> impl Iterator<Item = &str> {
    let trace = failure.diagnostics.iter().rev().find_map(|event| event.stack_trace.as_deref());
    let mut trace: Vec<&str> =
        trace.unwrap_or_default().lines().filter(|line| !line.trim().is_empty()).collect();
    // a handler may have printed it, too
    if trace.last().is_some_and(|last| failure.log_tail.iter().any(|line| line == last)) {
        trace.clear();
    }
    let trace = trace.split_off(trace.len().saturating_sub(MOST_TRACE));
    failure.log_tail.iter().map(String::as_str).chain(trace)
}

fn add_failure(text: &mut String, plan: &Plan, history: &History, op: OpIx) {
    let past = history.operation(op);
    let name = &plan.operation(op).name;
    let shown = plan.shown_name(op);
    let shown = visible(&shown);
    let word = past.outcome().map_or("unsettled", Outcome::word);
    let Some(failure) = past.failure() else { return };
    let number = past.attempts.last().map_or(1, |attempt| attempt.number);
    let attempts = if number > 1 { format!(" after {number} attempts") } else { String::new() };
    line(text, format_args!("\n{word}: {shown}{attempts}"));
    line(text, format_args!("  why: {}", failure_with_blame(failure)));
    for event in failure.diagnostics.iter().filter(|event| event.message != failure.message) {
        line(text, format_args!("  diagnostic: {}", visible(&event.message)));
    }
    for log_line in tail_lines(failure) {
        line(text, format_args!("  | {}", visible(log_line)));
    }
    // an operation that could not start has no log
    let has_log = past.attempts.last().is_some_and(|attempt| attempt.ended.is_some())
        && !["reference", "too-large", "expression", "payload", "generated", "dispatch", "host"]
            .contains(&failure.code.as_str());
    let command = if has_log { "logs" } else { "show" };
    line(text, format_args!("  more: pop {command} {} {:?}\n", history.run, name.as_str()));
}

/// Counts the failed items that do not fail their run.
fn failed_items(plan: &Plan, history: &History) -> String {
    let mut items: BTreeMap<OpIx, (usize, usize)> = BTreeMap::new();
    for (op, planned) in plan.operations() {
        let Some(Origin::Part { of, .. }) = planned.origin else { continue };
        if plan.operation(of).for_each().is_none_or(|for_each| for_each.failures == ItemFailures::Fail) {
            continue;
        }
        let (all, failed) = items.entry(of).or_default();
        let is_failed =
            matches!(history.operation(op).outcome(), Some(Outcome::Failed | Outcome::DeadLettered));
        *all += 1;
        *failed += usize::from(is_failed);
    }
    let failed = items.into_iter().filter(|(_, (_, failed))| *failed > 0);
    let words = failed
        .map(|(of, (all, failed))| format!("{failed} of {all} items of `{}` failed", plan.shown_name(of)));
    let words: Vec<String> = words.collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

fn counts(plan: &Plan, history: &History) -> String {
    let count =
        |wanted| plan.operations().filter(|(op, _)| history.operation(*op).outcome() == wanted).count();
    let reused = plan.operations().filter(|(op, _)| history.operation(*op).reused.is_some()).count();
    let succeeded = if reused > 0 { format!("succeeded ({reused} reused)") } else { "succeeded".to_owned() };
    let all = [
        (count(Some(Outcome::Succeeded)), succeeded.as_str()),
        (count(Some(Outcome::FromCache)), "from the cache"),
        (count(Some(Outcome::Skipped)), "skipped"),
        (count(Some(Outcome::DeadLettered)), "dead-lettered"),
        (count(Some(Outcome::Failed)), "failed"),
        (count(Some(Outcome::Cancelled)), "cancelled"),
        (count(None), "not settled"),
    ];
    let some: Vec<_> =
        all.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if some.is_empty() { "nothing to do".to_owned() } else { some.join(", ") }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // writing to a string never fails
    writeln!(text, "{line}").ok();
}
