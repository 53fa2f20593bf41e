//! What happened in a run: the events that the journal keeps and everything later is told from.

use crate::gate::{Answer, Gate};
use crate::ops::OpIx;
use crate::outcome::Outcome;
use pop_contract::{Exit, Failure, Millis, Progress};
use pop_policy::PatternMatch;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Milliseconds since the run began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunTime(pub u64);

impl RunTime {
    /// This time and `ms` more.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// How a run is to go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunOptions {
    /// How many operations run at once, at most.
    pub parallel: u32,
    /// After a failure, whether everything that does not need the failed operation still runs.
    pub keep_going: bool,
    /// How long an operation that is asked to stop may take before it is killed.
    pub grace_ms: u64,
    /// How long the whole run may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit_ms: Option<u64>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { parallel: 1, keep_going: false, grace_ms: 10_000, time_limit_ms: None }
    }
}

/// Why a run is being ended early; a later reason in this list outranks an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CancelReason {
    /// An operation failed: nothing new starts, what runs may finish.
    Failure,
    /// An operation with `onFail: FATAL` failed: what runs is stopped.
    Fatal,
    /// The run took too long: what runs is stopped.
    TimeLimit,
    /// Ctrl-C: what runs is stopped.
    Interrupted,
    /// SIGTERM: what runs is stopped.
    Terminated,
}

/// Why an attempt is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StopReason {
    /// It ran longer than `timeoutMs`.
    TimedOut,
    /// It printed nothing for `noOutputTimeoutMs`.
    Stalled,
    /// It was not scheduled within `pendingTimeoutMs`.
    NeverScheduled,
    /// The run is being ended.
    Cancelled,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// Well, with this result.
    Succeeded {
        /// The operation's result.
        result: Arc<Value>,
    },
    /// Badly.
    Failed(Box<Failure>),
    /// It was stopped because the run was being ended.
    Cancelled,
    /// It is gone with the executor that followed it; that is no fault of its own and it starts anew.
    Lost,
    /// The platform took it away: its node, its pod, its container. It starts anew, a few times at most.
    Displaced(Box<Failure>),
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunOutcome {
    /// Every operation is settled as allowed.
    Succeeded,
    /// Some operation failed.
    Failed,
    /// None failed, and some were put aside as dead letters.
    DeadLettered,
    /// An operation with `onFail: FATAL` failed.
    Fatal,
    /// The run's time limit was reached.
    TimeLimit,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// Nothing can move and something is not settled: a fault in pop.
    Stuck,
}

impl RunOutcome {
    /// The exit code of `pop` for this outcome (docs/formats/exit-codes.md).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Stuck => 1,
            Self::Failed => 10,
            Self::DeadLettered => 11,
            Self::Fatal => 12,
            Self::TimeLimit => 13,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The word of documents and screens.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::DeadLettered => "deadLettered",
            Self::Fatal => "fatal",
            Self::TimeLimit => "timeLimit",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::Stuck => "stuck",
        }
    }
}

/// What an earlier run of the agenda is known to have reached for one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PriorOutcome {
    /// The operation.
    pub op: OpIx,
    /// Its result, if it succeeded then: it is not run again. A result of null is a result.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub result: Option<Arc<Value>>,
    /// Its last progress otherwise, handed to its next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Arc<Progress>>,
}

/// A value that is there, null too: only a field that is absent is none.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<Value>>, D::Error> {
    Value::deserialize(from).map(|value| Some(Arc::new(value)))
}

/// One fact of a run. The journal's records are these; a change here is a change of its format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunEvent {
    /// The run began.
    RunStarted {
        /// The run.
        run: Box<str>,
        /// When, by the wall clock.
        started: Millis,
        /// How it is to go.
        options: RunOptions,
        /// What an earlier run had reached.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        adopted: Vec<PriorOutcome>,
    },
    /// Another executor goes on with the run.
    RunResumed {
        /// How it is to go from here.
        options: RunOptions,
    },
    /// A run that was over is resumed: these settled operations lose their outcome and are to be done again. It
    /// follows [`RunEvent::RunResumed`]; a run whose executor died continues without it.
    RunReopened {
        /// The operations, in ascending order.
        ops: Box<[OpIx]>,
    },
    /// The plan has grown: operations were added behind those that it had.
    PlanGrown {
        /// The operation that they come from: its items, its calls, or what it generated.
        by: OpIx,
        /// How many.
        count: u32,
    },
    /// The attempt that comes next must pass these before it starts.
    GatesSet {
        /// The operation.
        op: OpIx,
        /// What is asked, in this order.
        gates: Arc<[Gate]>,
    },
    /// The world is asked about the next gate.
    GateAsked {
        /// The operation.
        op: OpIx,
    },
    /// The world has answered about the next gate.
    GateAnswered {
        /// The operation.
        op: OpIx,
        /// What it said.
        answer: Answer,
    },
    /// All operations that an operation was made into are settled, and this is what it comes to.
    Joined {
        /// The operation.
        op: OpIx,
        /// What it comes to.
        ending: Ending,
        /// Its outcome.
        outcome: Outcome,
    },
    /// An attempt cannot be launched: a reference, an expression or the payload has no usable value.
    StartFailed {
        /// The operation.
        op: OpIx,
        /// Reason.
        failure: Box<Failure>,
    },
    /// An attempt is about to be launched.
    AttemptStarted {
        /// The operation.
        op: OpIx,
        /// The attempt's number, from 1.
        attempt: u32,
    },
    /// What was launched has left its pending phase and runs.
    AttemptRunning {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
    },
    /// An attempt reported progress.
    ProgressReported {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
        /// The progress.
        progress: Arc<Progress>,
    },
    /// An attempt is asked to stop.
    StopAsked {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
        /// Why.
        reason: StopReason,
    },
    /// An attempt that was asked to stop has not, and is killed.
    KillAsked {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
    },
    /// An attempt succeeded, and the versions that it read are to be committed. Its result counts once they are.
    CommitAsked {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
        /// The result of the attempt.
        result: Arc<Value>,
    },
    /// An attempt ended.
    AttemptEnded {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
        /// How.
        ending: Ending,
    },
    /// An attempt that had been given up has ended after all. It was superseded: its end is noted and never used.
    LateEnding {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
        /// How its program ended.
        exit: Exit,
    },
    /// The scheduler waits before the next attempt of an operation that failed or was displaced.
    BackedOff {
        /// The operation.
        op: OpIx,
        /// Until when.
        until: RunTime,
    },
    /// A wait before another attempt is over.
    BackoffEnded {
        /// The operation.
        op: OpIx,
    },
    /// An operation has its outcome, for ever unless a [`RunEvent::RunReopened`] takes it away.
    OperationSettled {
        /// The operation.
        op: OpIx,
        /// Its outcome.
        outcome: Outcome,
        /// The code that `ignoreErrors` let pass, if one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ignored: Option<Box<str>>,
        /// The `skipPattern` that held, if it was skipped by one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skipped: Option<Box<PatternMatch>>,
    },
    /// The run is to be ended early.
    CancelRaised {
        /// Why.
        reason: CancelReason,
        /// Whether running operations are killed at once.
        force: bool,
    },
    /// The run is over.
    RunEnded {
        /// What became of it.
        outcome: RunOutcome,
    },
}

impl RunEvent {
    /// The operation that it is about, if it is about one.
    pub fn operation(&self) -> Option<OpIx> {
        match self {
            Self::RunStarted { .. }
            | Self::RunResumed { .. }
            | Self::RunReopened { .. }
            | Self::CancelRaised { .. }
            | Self::RunEnded { .. } => None,
            Self::PlanGrown { by, .. } => Some(*by),
            Self::GatesSet { op, .. }
            | Self::GateAsked { op }
            | Self::GateAnswered { op, .. }
            | Self::Joined { op, .. }
            | Self::StartFailed { op, .. }
            | Self::AttemptStarted { op, .. }
            | Self::AttemptRunning { op, .. }
            | Self::ProgressReported { op, .. }
            | Self::StopAsked { op, .. }
            | Self::KillAsked { op, .. }
            | Self::CommitAsked { op, .. }
            | Self::AttemptEnded { op, .. }
            | Self::LateEnding { op, .. }
            | Self::BackedOff { op, .. }
            | Self::BackoffEnded { op }
            | Self::OperationSettled { op, .. } => Some(*op),
        }
    }
}

/// An event and the time at which it was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When, in the run's own time.
    pub at: RunTime,
    /// What.
    pub event: RunEvent,
}

/// Somebody who is told of a run, event by event, after the journal has them.
pub trait Sink: Send {
    /// Takes one event.
    fn on_event(&mut self, plan: &Arc<crate::Plan>, recorded: &EventRecord);

    /// Takes words about the run that are no event of it: what holds it up, and that this is over.
    fn on_notice(&mut self, _words: &str) {}

    /// Makes what was taken visible; called when there is nothing more to take for now.
    fn flush(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_l1_a_result_of_null_that_was_taken_over_is_read_back() {
        for result in [None, Some(Arc::new(Value::Null)), Some(Arc::new(Value::from(1)))] {
            let adopted = PriorOutcome { op: OpIx(0), result, progress: None };
            let text = serde_json::to_string(&adopted).unwrap();
            assert_eq!(serde_json::from_str::<PriorOutcome>(&text).unwrap(), adopted, "{text}");
        }
    }
}
