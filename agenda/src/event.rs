//! The events of a run. The journal stores them; state, history and reports are derived from them.

use crate::files::FileRecord;
use crate::gate::{Answer, Gate};
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::reuse::{NamedFile, ParentRun};
use pop_contract::{Exit, Failure, Millis, Progress, Usage};
use pop_policy::{PatternMatch, Resources};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Milliseconds since the run began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunTime(pub u64);

impl RunTime {
    /// This time plus `ms` milliseconds.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Options of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunOptions {
    /// Maximum number of operations that run at once.
    pub parallel: u32,
    /// Whether operations that do not depend on a failed one still start after a failure.
    pub keep_going: bool,
    /// Time between the request to stop an attempt and its kill, in milliseconds.
    pub grace_ms: u64,
    /// Time limit of the run, in milliseconds; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit_ms: Option<u64>,
    /// Time for clean-up after the time limit, in milliseconds; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup_limit_ms: Option<u64>,
    /// Totals of the resources that running operations share; one without a total is not limited.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            parallel: 1,
            keep_going: false,
            grace_ms: 10_000,
            time_limit_ms: None,
            cleanup_limit_ms: None,
            resources: Resources::default(),
        }
    }
}

/// Reason to end a run early. A later variant outranks an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CancelReason {
    /// An operation failed: running operations may finish, no new one starts.
    Failure,
    /// An operation with `onFail: FATAL` failed: running operations are stopped.
    Fatal,
    /// The run exceeded its time limit: running operations are stopped.
    TimeLimit,
    /// Ctrl-C: running operations are stopped.
    Interrupted,
    /// SIGTERM: running operations are stopped.
    Terminated,
}

/// Reason to stop an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StopReason {
    /// The attempt ran longer than `timeoutMs`.
    TimedOut,
    /// The attempt printed nothing for `noOutputTimeoutMs`.
    Stalled,
    /// The attempt was not scheduled within `pendingTimeoutMs`.
    NeverScheduled,
    /// The operation took longer than `totalTimeoutMs`.
    TotalTimeout,
    /// The run is ending.
    Cancelled,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// The attempt succeeded.
    Succeeded {
        /// Result of the operation.
        result: Arc<Value>,
    },
    /// The attempt failed.
    Failed(Box<Failure>),
    /// The attempt was stopped because the run is ending.
    Cancelled,
    /// The attempt was lost with the executor that followed it. This is not a failure; another attempt starts.
    Lost,
    /// The platform removed the attempt (its node, pod or container). Another attempt starts, a limited number of times.
    Displaced(Box<Failure>),
}

/// Outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunOutcome {
    /// No operation failed.
    Succeeded,
    /// An operation failed.
    Failed,
    /// No operation failed, and at least one became a dead letter.
    DeadLettered,
    /// An operation with `onFail: FATAL` failed.
    Fatal,
    /// The run's time limit was reached.
    TimeLimit,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// No operation can proceed and some are not settled: a bug in pop.
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

    /// The name in documents and output.
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

/// Result or progress of one operation in an earlier run of the agenda.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PriorOutcome<Id = OpIx> {
    /// Number of the operation, or its name while it is not in the plan.
    pub op: Id,
    /// Result, if the operation succeeded; it does not run again. The result may be null.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub result: Option<Arc<Value>>,
    /// Last progress of an operation without a result, passed to its next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Arc<Progress>>,
}

/// What a run adopts from an earlier run of its agenda.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PriorOutcomes {
    /// Outcomes of operations in the plan.
    pub planned: Vec<PriorOutcome>,
    /// Outcomes of operations that the run may add to the plan, by name.
    pub by_name: Vec<PriorOutcome<Box<str>>>,
    /// The run whose unchanged results are reused; none unless the run is a rerun.
    pub parent: Option<Box<ParentRun>>,
}

/// Reads a field that is present, also with null; only an absent field is none.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<Value>>, D::Error> {
    Value::deserialize(from).map(|value| Some(Arc::new(value)))
}

/// One event of a run. The journal stores these, so a change here changes its format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunEvent {
    /// The run began.
    RunStarted {
        /// Name of the run.
        run: Box<str>,
        /// Start of the run by the wall clock, in epoch milliseconds.
        started: Millis,
        /// Options of the run.
        options: RunOptions,
        /// Results and progress that the run takes from an earlier run of the agenda.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        adopted: Vec<PriorOutcome>,
        /// The same for operations that are not in the plan yet, by name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        adoptable: Vec<PriorOutcome<Box<str>>>,
        /// The run whose unchanged results this run reuses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Box<ParentRun>>,
    },
    /// Another executor continues the run.
    RunResumed {
        /// Options from now on.
        options: RunOptions,
    },
    /// The dead letter of an operation was replayed by another run. The next [`RunEvent::RunReopened`] gives the result
    /// to the operation.
    DeadLetterReplayed {
        /// The operation.
        op: OpIx,
        /// The run that replayed the dead letter.
        run: Box<str>,
        /// The result.
        result: Arc<Value>,
    },
    /// A finished run is resumed: these operations lose their outcome and run again. The event follows
    /// [`RunEvent::RunResumed`]; a run whose executor died continues without it.
    RunReopened {
        /// The operations, in ascending order.
        ops: Box<[OpIx]>,
    },
    /// Operations were added at the end of the plan.
    PlanGrown {
        /// The operation that added them: instances, calls or generated operations.
        by: OpIx,
        /// Number of added operations.
        count: u32,
        /// Results and progress of an earlier run for them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        adopted: Vec<PriorOutcome>,
    },
    /// The next attempt must pass these gates before it starts.
    GatesSet {
        /// The operation.
        op: OpIx,
        /// The gates, in the order in which they are passed.
        gates: Arc<[Gate]>,
    },
    /// The scheduler requests the next gate.
    GateAsked {
        /// The operation.
        op: OpIx,
    },
    /// The executor answered the request for the next gate.
    GateAnswered {
        /// The operation.
        op: OpIx,
        /// The answer.
        answer: Answer,
    },
    /// All instances or calls of an operation are settled, which settles the operation.
    Joined {
        /// The operation.
        op: OpIx,
        /// Combined ending of the parts.
        ending: Ending,
        /// Outcome of the operation.
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
    /// The attempt has left its pending phase and runs.
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
    /// The scheduler asks an attempt to stop.
    StopAsked {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
        /// Reason to stop it.
        reason: StopReason,
    },
    /// The scheduler kills an attempt that did not stop.
    KillAsked {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
    },
    /// An attempt succeeded. The files that it declared are verified and the versions that it read are committed; its
    /// result counts only after that.
    CommitAsked {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
        /// The result of the attempt.
        result: Arc<Value>,
        /// Files that the operation names, after a success of a local program.
        #[serde(default, skip_serializing_if = "<[NamedFile]>::is_empty")]
        named_files: Arc<[NamedFile]>,
        /// What the attempt used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// An attempt ended.
    AttemptEnded {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
        /// How the attempt ended.
        ending: Ending,
        /// Files that the operation names, after a success of a local program.
        #[serde(default, skip_serializing_if = "<[NamedFile]>::is_empty")]
        named_files: Arc<[NamedFile]>,
        /// Files that an attempt with `writes` has written, in the order of their paths; none otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<Arc<[FileRecord]>>,
        /// The instance of a warm handler that served the attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<Box<str>>,
        /// What the attempt used; none if the platform does not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// An attempt that the scheduler had given up has ended. The event has no effect.
    LateEnding {
        /// The operation.
        op: OpIx,
        /// The attempt's number.
        attempt: u32,
        /// Exit of the attempt's program.
        exit: Exit,
    },
    /// The operation waits for its next attempt, after a failure or a displacement.
    BackedOff {
        /// The operation.
        op: OpIx,
        /// End of the wait.
        until: RunTime,
    },
    /// A wait for another attempt is over.
    BackoffEnded {
        /// The operation.
        op: OpIx,
    },
    /// An operation has its outcome. Only [`RunEvent::RunReopened`] removes the outcome.
    OperationSettled {
        /// The operation.
        op: OpIx,
        /// Outcome of the operation.
        outcome: Outcome,
        /// Failure code that matched `ignoreErrors`; none otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ignored: Option<Box<str>>,
        /// The `skipPattern` that held; none unless it skipped the operation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skipped: Option<Box<PatternMatch>>,
    },
    /// The run ends early.
    CancelRaised {
        /// Reason to end the run.
        reason: CancelReason,
        /// Whether running operations are killed at once.
        force: bool,
    },
    /// The run has ended.
    RunEnded {
        /// Outcome of the run.
        outcome: RunOutcome,
    },
}

impl RunEvent {
    /// The operation of the event; none for an event of the run.
    pub fn operation(&self) -> Option<OpIx> {
        match self {
            Self::RunStarted { .. }
            | Self::RunResumed { .. }
            | Self::RunReopened { .. }
            | Self::CancelRaised { .. }
            | Self::RunEnded { .. } => None,
            Self::PlanGrown { by, .. } => Some(*by),
            Self::DeadLetterReplayed { op, .. }
            | Self::GatesSet { op, .. }
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

/// An event with the time of the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Time of the event, since the start of the run.
    pub at: RunTime,
    /// The event.
    pub event: RunEvent,
}

/// Receiver of the events of a run, after the journal has stored them.
pub trait Sink: Send {
    /// Takes one event.
    fn on_event(&mut self, plan: &Arc<crate::Plan>, recorded: &EventRecord);

    /// Takes a message for the user that is not an event: about an obstacle, or the end of an obstacle.
    fn on_notice(&mut self, _notice: &str) {}

    /// Publishes the events taken so far; called when no more events are pending.
    fn flush(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_l1_adopted_null_result_round_trips() {
        for result in [None, Some(Arc::new(Value::Null)), Some(Arc::new(Value::from(1)))] {
            let adopted = PriorOutcome { op: OpIx(0), result, progress: None };
            let text = serde_json::to_string(&adopted).unwrap();
            assert_eq!(serde_json::from_str::<PriorOutcome>(&text).unwrap(), adopted, "{text}");
        }
    }
}
