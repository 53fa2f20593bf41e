//! The text of an event: one short line, the same on a terminal and in a file.

use pop_agenda::{
    Answer, CancelReason, Ending, EventRecord, OpIx, Origin, Outcome, Plan, RunEvent, RunTime, StopReason,
};
use pop_contract::Failure;
use pop_contract::{how_long, visible};
use std::collections::{BTreeMap, BTreeSet};

/// Data of earlier events that the text of later events needs.
#[derive(Debug, Default)]
pub(crate) struct EventContext {
    /// The run's id.
    run: Box<str>,
    /// Launch time and number of each attempt that has not settled its operation.
    started: BTreeMap<OpIx, (RunTime, u32)>,
    /// Reason of the latest end of an operation's attempt.
    endings: BTreeMap<OpIx, String>,
    /// Operations whose latest attempt was displaced; the following wait needs no line.
    displaced: BTreeSet<OpIx>,
    /// Last shown quarter of each operation's progress, 1 to 3.
    quarter: BTreeMap<OpIx, u32>,
}

/// Returns the text of an event. `None` for an event that needs no line.
pub(crate) fn event_text(plan: &Plan, recorded: &EventRecord, context: &mut EventContext) -> Option<String> {
    let name = |op: &OpIx| shown(plan, *op);
    let at = recorded.at;
    Some(match &recorded.event {
        RunEvent::RunStarted { run, options, parent, .. } => {
            let (count, parallel) = (plan.len(), options.parallel);
            let of = parent.as_ref().map(|parent| format!(", rerun of {}", parent.run)).unwrap_or_default();
            format!("run {run}: {count} {}, at most {parallel} at once{of}", operations(count))
        }
        RunEvent::RunResumed { .. } => format!("resumed {}", context.run),
        RunEvent::DeadLetterReplayed { op, run, .. } => {
            format!("replayed  {}: result of run {run}", name(op))
        }
        RunEvent::RunReopened { ops } => return reopened_text(plan, ops),
        RunEvent::PlanGrown { by, count, .. } => return growth_text(plan, *by, *count),
        RunEvent::AttemptStarted { op, attempt } => {
            context.started.insert(*op, (at, *attempt));
            context.displaced.remove(op);
            context.quarter.remove(op);
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            format!("start     {}{again}", name(op))
        }
        RunEvent::StartFailed { op, failure } => {
            context.endings.insert(*op, failure_text(failure));
            return None;
        }
        RunEvent::ProgressReported { op, progress, .. } => {
            let quarter = (progress.percent_complete? / 25.0) as u32;
            if !(1..4).contains(&quarter) || context.quarter.insert(*op, quarter) == Some(quarter) {
                return None;
            }
            format!("progress  {} {}%", name(op), quarter * 25)
        }
        RunEvent::StopAsked { op, reason, .. } => format!("stop      {}: {}", name(op), stop_words(*reason)),
        RunEvent::KillAsked { op, .. } => format!("kill      {}: it did not stop when asked", name(op)),
        RunEvent::AttemptEnded { op, ending, .. } => return context.ending_text(&name(op), *op, ending, at),
        RunEvent::LateEnding { op, attempt, exit } => {
            format!(
                "late      {}: attempt {attempt}, which pop had given up, ended with {exit}; pop ignores it",
                name(op)
            )
        }
        RunEvent::BackedOff { op, until } => return context.backoff_text(plan, *op, *until, at),
        RunEvent::OperationSettled { op, outcome: Outcome::Skipped, skipped: Some(decided), .. } => {
            format!("skipped   {}: {}", name(op), visible(&decided.to_string()))
        }
        RunEvent::OperationSettled { op, outcome, ignored, .. } => {
            context.settled_text(&name(op), *op, *outcome, ignored.as_deref(), at)
        }
        RunEvent::CancelRaised { reason, force } => cancel_text(*reason, *force).to_owned(),
        RunEvent::GateAnswered { op, answer } => match answer {
            Answer::Reused { run, .. } => format!("reused    {}: result of run {run}", name(op)),
            Answer::Hit { by, restored, .. } => {
                let restored = match restored {
                    0 => String::new(),
                    1 => ", 1 file put back".to_owned(),
                    count => format!(", {count} files put back"),
                };
                format!("cached    {}: result of {by}{restored}", name(op))
            }
            Answer::Busy { holder } => format!("wait      {}: for {holder}", name(op)),
            Answer::Failed(failure) => {
                context.endings.insert(*op, failure_text(failure));
                return None;
            }
            _ => return None,
        },
        RunEvent::Joined { op, ending, outcome } => joined_text(&name(op), ending, *outcome),
        RunEvent::RunEnded { .. }
        | RunEvent::AttemptRunning { .. }
        | RunEvent::BackoffEnded { .. }
        | RunEvent::CommitAsked { .. }
        | RunEvent::GatesSet { .. }
        | RunEvent::GateAsked { .. } => return None,
    })
}

impl EventContext {
    /// Creates the context of a run before its first event.
    pub(crate) fn new(run: &str) -> Self {
        Self { run: run.into(), ..Self::default() }
    }

    /// Returns the text for the end of an attempt, unless a later event has the text.
    fn ending_text(&mut self, name: &str, op: OpIx, ending: &Ending, at: RunTime) -> Option<String> {
        match ending {
            Ending::Succeeded { .. } => {
                self.endings.remove(&op);
                Some(format!("succeeded {name}{}", self.took(op, at, "in")))
            }
            Ending::Failed(failure) => {
                self.endings.insert(op, failure_text(failure));
                None
            }
            Ending::Cancelled => {
                self.endings.insert(op, "stopped".to_owned());
                None
            }
            Ending::Lost => Some(format!("lost      {name} (ended with the previous executor)")),
            Ending::Displaced(failure) => {
                self.displaced.insert(op);
                Some(format!("displaced {name}: {}", visible(&failure.message)))
            }
        }
    }

    /// Returns the text for a wait after a failed attempt.
    fn backoff_text(&self, plan: &Plan, op: OpIx, until: RunTime, at: RunTime) -> Option<String> {
        if self.displaced.contains(&op) {
            return None;
        }
        let planned = plan.operation(op);
        let reason = self.endings.get(&op).map_or("", String::as_str);
        let limit = planned.policies.retry.value.max_attempts;
        let attempt = self.started.get(&op).map_or(1, |(_, attempt)| *attempt);
        let wait = how_long(until.0.saturating_sub(at.0));
        // a resumed run may start more attempts than `maxAttempts`
        let of = if attempt <= limit { format!(" of {limit}") } else { String::new() };
        Some(format!("retry     {} in {wait}: attempt {attempt}{of} failed: {reason}", planned.name))
    }

    fn settled_text(
        &mut self,
        name: &str,
        op: OpIx,
        outcome: Outcome,
        ignored: Option<&str>,
        at: RunTime,
    ) -> String {
        let reason = self.endings.remove(&op).map(|reason| format!(": {reason}")).unwrap_or_default();
        let took = self.took(op, at, if outcome.has_result() { "in" } else { "after" });
        match (outcome, ignored) {
            (_, Some(code)) => format!("succeeded {name}{took} (its failure `{code}` is ignored){reason}"),
            (Outcome::Succeeded | Outcome::FromCache, None) => format!("succeeded {name}{took}"),
            (Outcome::DeadLettered, None) => format!("dlq       {name}{took}{reason}"),
            (Outcome::Skipped, None) if reason.is_empty() => {
                format!("skipped   {name}: its dependsOn conditions do not hold")
            }
            (Outcome::Skipped, None) => format!("skipped   {name}{took}{reason}"),
            (Outcome::Failed, None) => format!("failed    {name}{took}{reason}"),
            (Outcome::Cancelled, None) => format!("cancelled {name}{reason}"),
        }
    }

    /// Returns the text for the duration of an operation; empty if an earlier executor launched it.
    fn took(&mut self, op: OpIx, at: RunTime, word: &str) -> String {
        let since = self.started.remove(&op);
        since.map(|(since, _)| format!(" {word} {}", how_long(at.0 - since.0))).unwrap_or_default()
    }
}

fn operations(count: usize) -> &'static str {
    if count == 1 { "operation" } else { "operations" }
}

fn failure_text(failure: &Failure) -> String {
    format!("[{}] {}", failure.code, visible(&failure.message))
}

fn reopened_text(plan: &Plan, ops: &[OpIx]) -> Option<String> {
    const SHOWN: usize = 5;
    let names: Vec<_> = ops.iter().take(SHOWN).map(|op| shown(plan, *op)).collect();
    let more = match ops.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!ops.is_empty()).then(|| format!("reopen    {}{more}", names.join(", ")))
}

fn growth_text(plan: &Plan, by: OpIx, count: u32) -> Option<String> {
    let planned = plan.operation(by);
    let (name, noun) = (shown(plan, by), operations(count as usize));
    Some(match (planned.is_whole(), count) {
        (false, 0) => format!("generate  {name}: no operations"),
        (false, _) => format!("generate  {name}: {count} {noun} added"),
        // the operations of an item need no line beside those of their own
        (true, _) if matches!(planned.origin, Some(Origin::Part { .. })) && planned.body().is_some() => {
            return None;
        }
        (true, _) => format!("expand    {name}: {count} {noun}"),
    })
}

/// The name of an operation for people, without control characters.
pub(crate) fn shown(plan: &Plan, op: OpIx) -> String {
    visible(&plan.shown_name(op))
}

fn joined_text(name: &str, ending: &Ending, outcome: Outcome) -> String {
    let Ending::Failed(failure) = ending else { return format!("succeeded {name}") };
    let word = match outcome {
        Outcome::Skipped => "skipped  ",
        Outcome::DeadLettered => "dlq      ",
        _ => "failed   ",
    };
    format!("{word} {name}: {}", failure_text(failure))
}

/// Returns the message of a failure with its code and blame: `ended with exit status 3 [exit, blame: handler]`.
pub fn failure_with_blame(failure: &Failure) -> String {
    format!("{} [{}, blame: {}]", visible(&failure.message), failure.code, failure.blame)
}

/// Returns the text for the reason of a stop.
pub fn stop_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::TimedOut => "it ran longer than its timeoutMs",
        StopReason::Stalled => "it printed nothing for its noOutputTimeoutMs",
        StopReason::NeverScheduled => "it was not scheduled within its pendingTimeoutMs",
        StopReason::TotalTimeout => "the operation took longer than its totalTimeoutMs",
        StopReason::Cancelled => "the run is being ended",
    }
}

fn cancel_text(reason: CancelReason, force: bool) -> &'static str {
    match (reason, force) {
        (_, true) => "ending: running operations are killed",
        (CancelReason::Failure, _) => {
            "ending: an operation failed, no more operations start (--keep-going continues)"
        }
        (CancelReason::Fatal, _) => "ending: an operation with onFail FATAL failed",
        (CancelReason::TimeLimit, _) => "ending: the run's time limit is reached",
        (CancelReason::Interrupted, _) => {
            "ending: interrupted, stopping running operations (interrupt again to kill them)"
        }
        (CancelReason::Terminated, _) => "ending: terminated, stopping running operations",
    }
}
