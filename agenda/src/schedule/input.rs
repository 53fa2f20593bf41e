//! Inputs and actions of the scheduler.

use crate::event::{CancelReason, PriorOutcomes, RunEvent, RunOptions};
use crate::files::FileRecord;
use crate::gate::{Answer, CacheAsk, Gate};
use crate::ops::OpIx;
use crate::plan::BoundPayload;
use crate::reuse::NamedFile;
use pop_contract::{Exit, Failure, Millis, Progress, Usage};
use serde_json::Value;
use std::sync::Arc;

/// Result or failure of an attempt, from its exit and its reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Result of the attempt, or its failure.
    pub result: Result<Arc<Value>, Box<Failure>>,
    /// Whether the handler itself reported success, not only by its exit status.
    pub is_reported: bool,
    /// Files that the operation names, after a success of a local program.
    pub named_files: Arc<[NamedFile]>,
    /// The instance of a warm handler that served the attempt.
    pub instance: Option<Box<str>>,
    /// What the attempt used; none if the platform does not tell.
    pub usage: Option<Usage>,
}

impl Verdict {
    /// A verdict of success that the handler reported.
    pub fn succeeded(result: Value) -> Self {
        Self { is_reported: true, ..Self::of(Ok(Arc::new(result))) }
    }

    /// A verdict of failure.
    pub fn failed(failure: Failure) -> Self {
        Self::of(Err(Box::new(failure)))
    }

    fn of(result: Result<Arc<Value>, Box<Failure>>) -> Self {
        Self { result, is_reported: false, named_files: Arc::default(), instance: None, usage: None }
    }
}

/// Something that happened, for the scheduler to process.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The run begins.
    Begun {
        /// Name of the run.
        run: Box<str>,
        /// Start by the wall clock, in epoch milliseconds.
        started: Millis,
        /// Results and progress of an earlier run.
        adopted: PriorOutcomes,
    },
    /// Another run replayed the dead letter of an operation. This input comes before [`Input::Resumed`].
    DeadLetterReplayed {
        /// The operation.
        op: OpIx,
        /// The run that replayed the dead letter.
        run: Box<str>,
        /// The result.
        result: Arc<Value>,
    },
    /// A new executor continues the run.
    Resumed {
        /// Options from now on.
        options: RunOptions,
    },
    /// An attempt has left its pending phase.
    Running {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
    },
    /// An attempt reported progress.
    Progressed {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
        /// The progress.
        progress: Arc<Progress>,
    },
    /// An attempt printed nothing for `noOutputTimeoutMs`.
    WentSilent {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
    },
    /// An attempt ended.
    Ended {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
        /// Result or failure of the attempt.
        verdict: Verdict,
    },
    /// The files of a successful attempt were verified and its versions committed, or one of these failed.
    Committed {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
        /// The files that the attempt has written, if it declares any; `Err` has the failure with which the attempt
        /// fails.
        outcome: Result<Option<Arc<[FileRecord]>>, Box<Failure>>,
    },
    /// An attempt that the scheduler had given up has ended.
    Late {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
        /// Exit of the attempt's program.
        exit: Exit,
    },
    /// An attempt of an earlier executor was not found.
    Lost {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
    },
    /// The answer to a gate request.
    Answered {
        /// The operation.
        op: OpIx,
        /// The answer.
        answer: Answer,
    },
    /// A request to end the run early. A second request kills running operations.
    CancelAsked {
        /// Reason to end the run.
        reason: CancelReason,
    },
    /// Time has passed.
    Ticked,
}

/// Something that the executor must do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Request a gate; the executor answers with [`Input::Answered`].
    Ask {
        /// The operation.
        op: OpIx,
        /// The gate.
        gate: Gate,
    },
    /// Acquire again the gates that an earlier executor passed for an attempt that still runs.
    Reclaim {
        /// The operation.
        op: OpIx,
        /// The passed gates.
        gates: Arc<[Gate]>,
        /// Digest of the key that missed in the cache; none if no cache was asked.
        key: Option<Box<str>>,
    },
    /// Release everything that an operation holds.
    Release {
        /// The operation.
        op: OpIx,
    },
    /// Write a result to the cache.
    Fill {
        /// The operation.
        op: OpIx,
        /// Cache and key of the entry.
        ask: Arc<CacheAsk>,
        /// The result.
        result: Arc<Value>,
    },
    /// Verify the files that a successful attempt declares ([`Scheduler::declared_files`](super::Scheduler::declared_files)),
    /// then commit the versions that it read ([`Scheduler::versions`](super::Scheduler::versions)). The executor answers with
    /// [`Input::Committed`]. An unanswered commit of an earlier executor is requested again.
    Commit {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
    },
    /// The outcome of a commit is in the journal: the record that makes it repeatable can be deleted.
    ConfirmCommit {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
        /// Keys whose versions were committed.
        keys: Vec<Box<str>>,
    },
    /// Write a dead letter for an operation.
    DeadLetter {
        /// The operation.
        op: OpIx,
    },
    /// Delete the dead letter of an operation, which has the result of its replay.
    RemoveDeadLetter {
        /// The operation.
        op: OpIx,
    },
    /// Launch an attempt.
    Launch {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
        /// Payload with all references filled.
        payload: BoundPayload,
        /// Whether an earlier executor may have launched the attempt: look for it before launching it.
        again: bool,
    },
    /// Stop an attempt.
    Stop {
        /// The operation.
        op: OpIx,
        /// Number of the attempt.
        attempt: u32,
        /// Whether to kill the attempt at once.
        force: bool,
    },
}

/// The effects of one input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Events, to be recorded and published before any action is done.
    pub events: Vec<RunEvent>,
    /// Actions to do, in order.
    pub actions: Vec<Action>,
}
