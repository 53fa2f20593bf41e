//! What the world tells the scheduler, and what the scheduler asks of the world.

use crate::event::{CancelReason, PriorOutcome, RunEvent, RunOptions};
use crate::gate::{Answer, CacheAsk, Gate};
use crate::ops::OpIx;
use crate::plan::BoundPayload;
use pop_contract::{Exit, Failure, Millis, Progress};
use serde_json::Value;
use std::sync::Arc;

/// How an attempt ended, as its launcher and its reports say together.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Its result, or why it failed.
    pub result: Result<Arc<Value>, Box<Failure>>,
    /// Whether the handler itself said that it succeeded; an exit status alone does not.
    pub is_reported: bool,
}

impl Verdict {
    /// A verdict of success that the handler reported.
    pub fn succeeded(result: Value) -> Self {
        Self { result: Ok(Arc::new(result)), is_reported: true }
    }

    /// A verdict of failure.
    pub fn failed(failure: Failure) -> Self {
        Self { result: Err(Box::new(failure)), is_reported: false }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The run begins.
    Begun {
        /// Its id.
        run: Box<str>,
        /// When, by the wall clock.
        started: Millis,
        /// What an earlier run had reached.
        adopted: Vec<PriorOutcome>,
    },
    /// The run goes on under a new executor.
    Resumed {
        /// How it is to go from here.
        options: RunOptions,
    },
    /// What was launched has left its pending phase.
    Running {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
    },
    /// An attempt reported progress.
    Progressed {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// The progress.
        progress: Arc<Progress>,
    },
    /// An attempt has printed nothing for as long as it may.
    WentSilent {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
    },
    /// An attempt ended.
    Ended {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// How.
        verdict: Verdict,
    },
    /// The versions of a successful attempt were committed, or could not be.
    Committed {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// `Err` holds why the attempt has failed after all.
        outcome: Result<(), Box<Failure>>,
    },
    /// An attempt that had been given up has ended after all.
    Late {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// How its program ended.
        exit: Exit,
    },
    /// An attempt of an earlier executor is not to be found.
    Lost {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
    },
    /// The world has answered about a gate.
    Answered {
        /// The operation that asked.
        op: OpIx,
        /// What it said.
        answer: Answer,
    },
    /// The run is to be ended early; asked again, running operations are killed.
    CancelAsked {
        /// Why.
        reason: CancelReason,
    },
    /// Time went by.
    Ticked,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Ask the world about a gate, to be answered by an [`Input::Answered`].
    Ask {
        /// The operation that asks.
        op: OpIx,
        /// The gate.
        gate: Gate,
    },
    /// Take what an earlier executor had been granted for an attempt that is still out.
    Reclaim {
        /// The operation.
        op: OpIx,
        /// What it had passed.
        gates: Arc<[Gate]>,
    },
    /// Give back whatever was granted to an operation.
    Release {
        /// The operation.
        op: OpIx,
    },
    /// Keep a result in the cache.
    Fill {
        /// The operation.
        op: OpIx,
        /// Where.
        ask: Arc<CacheAsk>,
        /// The result.
        result: Arc<Value>,
    },
    /// Commit the versions that a successful attempt read ([`Scheduler::versions`](super::Scheduler::versions)), to be
    /// answered by an [`Input::Committed`]. A commit that an earlier executor asked for is asked for again.
    Commit {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
    },
    /// The outcome of a commit is on record, so its name need not be remembered any more.
    ConfirmCommit {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// The keys whose versions were committed.
        keys: Vec<Box<str>>,
    },
    /// Put an operation aside, with its input and its error.
    DeadLetter {
        /// The operation.
        op: OpIx,
    },
    /// Launch an attempt.
    Launch {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// The payload with every reference filled.
        payload: BoundPayload,
        /// Whether an earlier executor may have launched it: find it before launching it.
        again: bool,
    },
    /// Stop an attempt.
    Stop {
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// Whether it is killed at once.
        force: bool,
    },
}

/// What one input led to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// What is now true; recorded and reported before anything is done.
    pub events: Vec<RunEvent>,
    /// What is to be done.
    pub actions: Vec<Action>,
}
