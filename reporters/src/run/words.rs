//! Events in words: one short line each, the same on a terminal and in a file.

use super::summary::visible;
use pop_agenda::{
    Answer, CancelReason, Ending, OpIx, Outcome, Plan, Recorded, RunEvent, RunTime, StopReason,
};
use std::collections::HashMap;

/// A duration as people read it: `0.3 s`, `2 m 05 s`, `3 h 07 m`.
pub fn how_long(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// What has to be remembered to put an event in words.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    started: HashMap<OpIx, (RunTime, u32)>,
    endings: HashMap<OpIx, String>,
    quarter: HashMap<OpIx, u32>,
}

/// An event in words, or none for one that is of no interest by itself.
pub(crate) fn event_words(plan: &Plan, recorded: &Recorded, remembered: &mut Remembered) -> Option<String> {
    let name = |op: &OpIx| plan.operation(*op).name.as_str();
    let at = recorded.at;
    Some(match &recorded.event {
        RunEvent::RunStarted { run, options, .. } => {
            let (count, parallel) = (plan.len(), options.parallel);
            let what = if count == 1 { "operation" } else { "operations" };
            format!("run {run}: {count} {what}, at most {parallel} at once")
        }
        RunEvent::RunResumed { .. } => "resumed".to_owned(),
        RunEvent::AttemptStarted { op, attempt } => {
            remembered.started.insert(*op, (at, *attempt));
            remembered.quarter.remove(op);
            if *attempt > 1 {
                format!("start     {} (attempt {attempt})", name(op))
            } else {
                format!("start     {}", name(op))
            }
        }
        RunEvent::ProgressReported { op, progress, .. } => {
            let quarter = (progress.percent_complete? / 25.0) as u32;
            if !(1..4).contains(&quarter) || remembered.quarter.insert(*op, quarter) == Some(quarter) {
                return None;
            }
            format!("progress  {} {}%", name(op), quarter * 25)
        }
        RunEvent::StopAsked { op, reason, .. } => format!("stop      {}: {}", name(op), stop_words(*reason)),
        RunEvent::KillAsked { op, .. } => format!("kill      {}: it did not stop when asked", name(op)),
        RunEvent::AttemptEnded { op, ending, .. } => {
            match ending {
                Ending::Failed(failure) => {
                    let words = format!("[{}] {}", failure.code, visible(&failure.message));
                    remembered.endings.insert(*op, words);
                }
                Ending::Lost => {
                    return Some(format!(
                        "lost      {} (it ended with the executor before this one)",
                        name(op)
                    ));
                }
                Ending::Displaced(failure) => {
                    return Some(format!("displaced {}: {}", name(op), visible(&failure.message)));
                }
                Ending::Succeeded { .. } => drop(remembered.endings.remove(op)),
                Ending::Cancelled => drop(remembered.endings.insert(*op, "stopped".to_owned())),
            }
            // without a word of its own: whatever it leads to has one
            let RunEvent::AttemptEnded { ending: Ending::Succeeded { .. }, .. } = &recorded.event else {
                return None;
            };
            format!("succeeded {}{}", name(op), took(remembered, *op, at, "in"))
        }
        RunEvent::LateEnding { op, attempt, exit } => {
            format!(
                "late      {}: attempt {attempt} ended with {exit}; it was given up and is not used",
                name(op)
            )
        }
        RunEvent::BackedOff { op, until } => {
            let why = remembered.endings.get(op).cloned().unwrap_or_default();
            let tries = &plan.operation(*op).policies.retry.value.max_attempts;
            let attempt = remembered.started.get(op).map_or(1, |(_, attempt)| *attempt);
            let wait = how_long(until.0.saturating_sub(at.0));
            // a resumed run counts its tries anew
            let of = if attempt <= *tries { format!(" of {tries}") } else { String::new() };
            format!("retry     {} in {wait}: attempt {attempt}{of} failed: {why}", name(op))
        }
        RunEvent::OperationSettled { op, outcome, skipped: Some(decided), .. }
            if *outcome == Outcome::Skipped =>
        {
            format!("skipped   {}: {}", name(op), visible(&decided.to_string()))
        }
        RunEvent::OperationSettled { op, outcome, ignored, .. } => {
            let why = remembered.endings.remove(op);
            let word = if outcome.has_result() { "in" } else { "after" };
            let took = took(remembered, *op, at, word);
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            match (outcome, ignored) {
                (_, Some(code)) => {
                    format!("succeeded {}{took} (its failure `{code}` is ignored){why}", name(op))
                }
                (Outcome::Succeeded | Outcome::FromCache, None) => format!("succeeded {}{took}", name(op)),
                (Outcome::DeadLettered, None) => {
                    format!("put aside {}{took}{why}", name(op))
                }
                (Outcome::Skipped, None) if why.is_empty() => {
                    format!("skipped   {}: what it waits for did not end as it asks", name(op))
                }
                (Outcome::Skipped, None) => format!("skipped   {}{took}{why}", name(op)),
                (Outcome::Failed, None) => format!("failed    {}{took}{why}", name(op)),
                (Outcome::Cancelled, None) => format!("cancelled {}{why}", name(op)),
            }
        }
        RunEvent::CancelRaised { reason, force } => cancel_words(*reason, *force).to_owned(),
        RunEvent::PlanGrown { by, count } => {
            let planned = plan.operation(*by);
            let what = if *count == 1 { "operation" } else { "operations" };
            match (planned.is_whole(), count) {
                (false, 0) => format!("generate  {}: nothing to add", planned.name),
                (false, _) => format!("generate  {}: {count} {what} more", planned.name),
                (true, _) => format!("expand    {}: {count} {what}", planned.name),
            }
        }
        RunEvent::GateAnswered { op, answer } => match answer {
            Answer::Hit { by, .. } => format!("cached    {}: as {by} gave it", name(op)),
            Answer::Busy { holder } => format!("wait      {}: for {holder}", name(op)),
            Answer::Failed(failure) => {
                remembered.endings.insert(*op, format!("[{}] {}", failure.code, visible(&failure.message)));
                return None;
            }
            _ => return None,
        },
        RunEvent::Joined { op, ending, outcome } => match ending {
            Ending::Failed(failure) => {
                let word = match outcome {
                    Outcome::Skipped => "skipped  ",
                    Outcome::DeadLettered => "put aside",
                    _ => "failed   ",
                };
                format!("{word} {}: [{}] {}", name(op), failure.code, visible(&failure.message))
            }
            _ => format!("succeeded {}", name(op)),
        },
        RunEvent::RunEnded { .. }
        | RunEvent::AttemptRunning { .. }
        | RunEvent::BackoffEnded { .. }
        | RunEvent::CommitAsked { .. }
        | RunEvent::GatesSet { .. }
        | RunEvent::GateAsked { .. } => return None,
    })
}

/// How long an operation took; nothing if it was started by an executor before this one, and taken over.
fn took(remembered: &mut Remembered, op: OpIx, at: RunTime, word: &str) -> String {
    let since = remembered.started.remove(&op);
    since.map(|(since, _)| format!(" {word} {}", how_long(at.0 - since.0))).unwrap_or_default()
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
