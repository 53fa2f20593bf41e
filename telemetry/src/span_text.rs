//! Words and attributes of spans, for values of events.

use crate::span::AttributeValue;
use pop_agenda::{CancelReason, Ending, Gate, Outcome, RunOutcome, StopReason};
use pop_contract::{Exit, Failure, Usage};

/// Longest text of an attribute, in bytes. Collectors refuse requests that are too large as a whole.
const MOST_TEXT: usize = 1_024;
/// Longest end of a log in an attribute, in bytes.
const MOST_LOG: usize = 4_096;

pub(crate) type Attributes = Vec<(&'static str, AttributeValue)>;

/// A text of at most `MOST_TEXT` bytes.
pub(crate) fn cut(text: &str) -> String {
    match text.len() {
        0..=MOST_TEXT => text.to_owned(),
        _ => format!("{}…", &text[..text.floor_char_boundary(MOST_TEXT)]),
    }
}

/// The end of a log, of at most `MOST_LOG` bytes.
fn log_end(lines: &[String]) -> String {
    let text = lines.join("\n");
    match text.len().checked_sub(MOST_LOG) {
        None | Some(0) => text,
        Some(over) => format!("…{}", &text[text.ceil_char_boundary(over)..]),
    }
}

/// The attributes of a failure.
pub(crate) fn of_failure(failure: &Failure, into: &mut Attributes) {
    into.push(("error.type", cut(&failure.code).into()));
    into.push(("pop.blame", failure.blame.to_string().into()));
    match failure.exit {
        Some(Exit::Code(code)) => into.push(("process.exit.code", code.into())),
        Some(Exit::Signal(number)) => into.push(("pop.exit.signal", number.into())),
        None => {}
    }
    if !failure.log_tail.is_empty() {
        into.push(("pop.log.tail", log_end(&failure.log_tail).into()));
    }
}

/// The attributes of what an attempt used.
pub(crate) fn of_usage(usage: &Usage, into: &mut Attributes) {
    let all = [
        ("pop.usage.user_us", usage.user_us),
        ("pop.usage.sys_us", usage.sys_us),
        ("pop.usage.mem_kib", usage.mem_kib),
        ("pop.usage.read_kib", usage.read_kib),
        ("pop.usage.write_kib", usage.write_kib),
        ("pop.usage.major_faults", usage.major_faults),
        ("pop.usage.preempted", usage.preempted),
    ];
    into.extend(all.into_iter().filter(|(_, value)| *value > 0).map(|(name, value)| (name, value.into())));
}

/// The result of an operation in the words of the conventions for CI/CD.
pub(crate) fn task_result(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded | Outcome::FromCache => "success",
        Outcome::Skipped => "skip",
        Outcome::DeadLettered | Outcome::Failed => "failure",
        Outcome::Cancelled => "cancellation",
    }
}

/// The result of a run in the same words.
pub(crate) fn pipeline_result(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Succeeded => "success",
        RunOutcome::Failed | RunOutcome::DeadLettered | RunOutcome::Fatal => "failure",
        RunOutcome::TimeLimit => "timeout",
        RunOutcome::Interrupted | RunOutcome::Terminated => "cancellation",
        RunOutcome::Stuck => "error",
    }
}

/// The reason of a stop, as in events.
pub(crate) fn stop_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::TimedOut => "timedOut",
        StopReason::Stalled => "stalled",
        StopReason::NeverScheduled => "neverScheduled",
        StopReason::TotalTimeout => "totalTimeout",
        StopReason::Cancelled => "cancelled",
    }
}

/// The kind of a gate and its name.
pub(crate) fn of_gate(gate: &Gate) -> (&'static str, Option<String>) {
    match gate {
        Gate::Reuse { run, .. } => ("reuse", Some(cut(run))),
        Gate::Lock { name } => ("lock", Some(cut(name))),
        Gate::Files(_) => ("files", None),
        Gate::Cache(ask) => ("cache", Some(cut(&ask.state))),
        Gate::Version { name } => ("version", Some(cut(name))),
        Gate::Delay { id, .. } => ("delay", id.as_deref().map(cut)),
    }
}

/// A failure in one line.
pub(crate) fn status_text(failure: &Failure) -> String {
    cut(&format!("[{}] {}", failure.code, failure.message))
}

/// How an attempt ended, as in documents.
pub(crate) fn ending_word(ending: &Ending) -> &'static str {
    match ending {
        Ending::Succeeded { .. } => "succeeded",
        Ending::Failed(_) => "failed",
        Ending::Cancelled => "cancelled",
        Ending::Lost => "lost",
        Ending::Displaced(_) => "displaced",
    }
}

/// Why a run ends early, as in events.
pub(crate) fn cancel_word(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::Failure => "failure",
        CancelReason::Fatal => "fatal",
        CancelReason::TimeLimit => "timeLimit",
        CancelReason::Interrupted => "interrupted",
        CancelReason::Terminated => "terminated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "ü".repeat(MOST_TEXT);
        let text = cut(&long);
        assert!(text.ends_with("ü…") && text.len() <= MOST_TEXT + "…".len(), "{}", text.len());
        assert_eq!(cut("short"), "short");
        let end = log_end(&[long.clone(), long, "last".to_owned()]);
        assert!(
            end.starts_with("…ü") && end.ends_with("\nlast") && end.len() <= MOST_LOG + 4,
            "{}",
            end.len()
        );
    }
}
