//! Events in words: one short line each, the same on a terminal and in a file.

use super::visible::visible;
use pop_agenda::{
    Answer, CancelReason, Ending, EventRecord, OpIx, Outcome, Plan, RunEvent, RunTime, StopReason,
};
use pop_contract::Failure;
use std::collections::{HashMap, HashSet};

/// A duration as people read it: `0.3 s`, `2 m 05 s`, `3 h 07 m`.
pub fn how_long(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// What earlier events of a run said that the words for later ones need.
#[derive(Debug, Default)]
pub(crate) struct EventContext {
    /// Launch time and number of each attempt that has not settled its operation.
    started: HashMap<OpIx, (RunTime, u32)>,
    /// Words for the latest end of an operation's attempt.
    endings: HashMap<OpIx, String>,
    /// Operations whose latest attempt was displaced; the wait after that needs no line of its own.
    displaced: HashSet<OpIx>,
    /// The quarter of each operation's progress that was shown last.
    quarter: HashMap<OpIx, u32>,
}

/// Puts an event into words; none for an event that needs no line.
pub(crate) fn event_words(plan: &Plan, recorded: &EventRecord, context: &mut EventContext) -> Option<String> {
    let name = |op: &OpIx| plan.operation(*op).name.as_str();
    let at = recorded.at;
    Some(match &recorded.event {
        RunEvent::RunStarted { run, options, .. } => {
            let (count, parallel) = (plan.len(), options.parallel);
            format!("run {run}: {count} {}, at most {parallel} at once", operations(count))
        }
        RunEvent::RunResumed { .. } => "resumed".to_owned(),
        RunEvent::RunReopened { ops } => return reopened_words(plan, ops),
        RunEvent::PlanGrown { by, count } => grown_words(plan, *by, *count),
        RunEvent::AttemptStarted { op, attempt } => {
            context.started.insert(*op, (at, *attempt));
            context.displaced.remove(op);
            context.quarter.remove(op);
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            format!("start     {}{again}", name(op))
        }
        RunEvent::StartFailed { op, failure } => {
            context.endings.insert(*op, failure_words(failure));
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
        RunEvent::AttemptEnded { op, ending, .. } => return context.ending_words(name(op), *op, ending, at),
        RunEvent::LateEnding { op, attempt, exit } => {
            format!(
                "late      {}: attempt {attempt} ended with {exit}; it was given up and is not used",
                name(op)
            )
        }
        RunEvent::BackedOff { op, until } => return context.backoff_words(plan, *op, *until, at),
        RunEvent::OperationSettled { op, outcome: Outcome::Skipped, skipped: Some(decided), .. } => {
            format!("skipped   {}: {}", name(op), visible(&decided.to_string()))
        }
        RunEvent::OperationSettled { op, outcome, ignored, .. } => {
            context.settled_words(name(op), *op, *outcome, ignored.as_deref(), at)
        }
        RunEvent::CancelRaised { reason, force } => cancel_words(*reason, *force).to_owned(),
        RunEvent::GateAnswered { op, answer } => match answer {
            Answer::Hit { by, .. } => format!("cached    {}: as {by} gave it", name(op)),
            Answer::Busy { holder } => format!("wait      {}: for {holder}", name(op)),
            Answer::Failed(failure) => {
                context.endings.insert(*op, failure_words(failure));
                return None;
            }
            _ => return None,
        },
        RunEvent::Joined { op, ending, outcome } => joined_words(name(op), ending, *outcome),
        RunEvent::RunEnded { .. }
        | RunEvent::AttemptRunning { .. }
        | RunEvent::BackoffEnded { .. }
        | RunEvent::CommitAsked { .. }
        | RunEvent::GatesSet { .. }
        | RunEvent::GateAsked { .. } => return None,
    })
}

impl EventContext {
    /// Words for the end of an attempt, where no later event has words for it.
    fn ending_words(&mut self, name: &str, op: OpIx, ending: &Ending, at: RunTime) -> Option<String> {
        match ending {
            Ending::Succeeded { .. } => {
                self.endings.remove(&op);
                Some(format!("succeeded {name}{}", self.took(op, at, "in")))
            }
            Ending::Failed(failure) => {
                self.endings.insert(op, failure_words(failure));
                None
            }
            Ending::Cancelled => {
                self.endings.insert(op, "stopped".to_owned());
                None
            }
            Ending::Lost => Some(format!("lost      {name} (it ended with the executor before this one)")),
            Ending::Displaced(failure) => {
                self.displaced.insert(op);
                Some(format!("displaced {name}: {}", visible(&failure.message)))
            }
        }
    }

    /// Words for a wait after a failed attempt.
    fn backoff_words(&self, plan: &Plan, op: OpIx, until: RunTime, at: RunTime) -> Option<String> {
        if self.displaced.contains(&op) {
            return None;
        }
        let planned = plan.operation(op);
        let why = self.endings.get(&op).map_or("", String::as_str);
        let tries = planned.policies.retry.value.max_attempts;
        let attempt = self.started.get(&op).map_or(1, |(_, attempt)| *attempt);
        let wait = how_long(until.0.saturating_sub(at.0));
        // a resumed run counts its tries anew
        let of = if attempt <= tries { format!(" of {tries}") } else { String::new() };
        Some(format!("retry     {} in {wait}: attempt {attempt}{of} failed: {why}", planned.name))
    }

    fn settled_words(
        &mut self,
        name: &str,
        op: OpIx,
        outcome: Outcome,
        ignored: Option<&str>,
        at: RunTime,
    ) -> String {
        let why = self.endings.remove(&op).map(|why| format!(": {why}")).unwrap_or_default();
        let took = self.took(op, at, if outcome.has_result() { "in" } else { "after" });
        match (outcome, ignored) {
            (_, Some(code)) => format!("succeeded {name}{took} (its failure `{code}` is ignored){why}"),
            (Outcome::Succeeded | Outcome::FromCache, None) => format!("succeeded {name}{took}"),
            (Outcome::DeadLettered, None) => format!("put aside {name}{took}{why}"),
            (Outcome::Skipped, None) if why.is_empty() => {
                format!("skipped   {name}: what it waits for did not end as it asks")
            }
            (Outcome::Skipped, None) => format!("skipped   {name}{took}{why}"),
            (Outcome::Failed, None) => format!("failed    {name}{took}{why}"),
            (Outcome::Cancelled, None) => format!("cancelled {name}{why}"),
        }
    }

    /// Words for the duration of an operation; empty if an earlier executor launched it.
    fn took(&mut self, op: OpIx, at: RunTime, word: &str) -> String {
        let since = self.started.remove(&op);
        since.map(|(since, _)| format!(" {word} {}", how_long(at.0 - since.0))).unwrap_or_default()
    }
}

fn operations(count: usize) -> &'static str {
    if count == 1 { "operation" } else { "operations" }
}

fn failure_words(failure: &Failure) -> String {
    format!("[{}] {}", failure.code, visible(&failure.message))
}

fn reopened_words(plan: &Plan, ops: &[OpIx]) -> Option<String> {
    const SHOWN: usize = 5;
    let names: Vec<&str> = ops.iter().take(SHOWN).map(|op| plan.operation(*op).name.as_str()).collect();
    let more = match ops.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!ops.is_empty()).then(|| format!("reopen    {}{more}", names.join(", ")))
}

fn grown_words(plan: &Plan, by: OpIx, count: u32) -> String {
    let planned = plan.operation(by);
    let what = operations(count as usize);
    match (planned.is_whole(), count) {
        (false, 0) => format!("generate  {}: nothing to add", planned.name),
        (false, _) => format!("generate  {}: {count} {what} more", planned.name),
        (true, _) => format!("expand    {}: {count} {what}", planned.name),
    }
}

fn joined_words(name: &str, ending: &Ending, outcome: Outcome) -> String {
    let Ending::Failed(failure) = ending else { return format!("succeeded {name}") };
    let word = match outcome {
        Outcome::Skipped => "skipped  ",
        Outcome::DeadLettered => "put aside",
        _ => "failed   ",
    };
    format!("{word} {name}: {}", failure_words(failure))
}

/// Why an attempt is stopped, in words.
pub fn stop_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::TimedOut => "it ran longer than its timeoutMs",
        StopReason::Stalled => "it printed nothing for its noOutputTimeoutMs",
        StopReason::NeverScheduled => "it was not scheduled within its pendingTimeoutMs",
        StopReason::Cancelled => "the run is being ended",
    }
}

fn cancel_words(reason: CancelReason, force: bool) -> &'static str {
    match (reason, force) {
        (_, true) => "ending: running operations are killed",
        (CancelReason::Failure, _) => {
            "ending: an operation failed, nothing new is started (--keep-going goes on)"
        }
        (CancelReason::Fatal, _) => "ending: an operation with onFail FATAL failed",
        (CancelReason::TimeLimit, _) => "ending: the run's time limit is reached",
        (CancelReason::Interrupted, _) => {
            "ending: interrupted, running operations are asked to stop (again: kill them)"
        }
        (CancelReason::Terminated, _) => "ending: terminated, running operations are asked to stop",
    }
}

#[cfg(test)]
mod tests {
    use super::how_long;

    #[test]
    fn durations_are_short() {
        let table = [
            (0, "0.0 s"),
            (340, "0.3 s"),
            (59_999, "59.9 s"),
            (125_000, "2 m 05 s"),
            (11_220_000, "3 h 07 m"),
        ];
        for (ms, words) in table {
            assert_eq!(how_long(ms), words);
        }
    }
}
