//! The states of an operation, and the number of operations in each.

use crate::event::{RunTime, StopReason};
use crate::outcome::Outcome;
use crate::reuse::NamedFile;
use pop_contract::{Failure, Usage};
use serde_json::Value;
use std::sync::Arc;

/// State of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum OpState {
    /// Dependencies have not settled yet.
    Waiting {
        /// Dependencies that have not settled yet.
        unmet: u32,
    },
    /// All dependencies are settled; the operation starts when `parallel` allows.
    Ready,
    /// The operation must pass a gate before it starts.
    Gated(Hold),
    /// The operation has instances or calls that are not all settled.
    Parted {
        /// Parts that have not settled yet.
        left: u32,
    },
    /// An attempt was launched and has not ended.
    Launched {
        /// Time of the launch.
        since: RunTime,
        /// Whether the attempt is in its pending phase; processes have none.
        is_pending: bool,
    },
    /// The attempt is being stopped.
    Stopping {
        /// Reason to stop it.
        reason: StopReason,
        /// Time of the kill; none once it was killed.
        kill_at: Option<RunTime>,
    },
    /// The attempt succeeded, and the versions that it read are being committed.
    Committing(Box<Commit>),
    /// The attempt failed, and the policies have not been applied yet.
    Judging {
        /// Failure of the attempt.
        failure: Box<Failure>,
    },
    /// The platform removed the attempt, and the wait before the next one is not decided yet.
    Displaced,
    /// The operation waits for its next attempt.
    BackingOff {
        /// End of the wait.
        until: RunTime,
    },
    /// The operation has its outcome.
    Settled(Outcome),
}

/// A successful attempt whose commit was requested.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Result of the attempt.
    pub result: Arc<Value>,
    /// Files that the operation names.
    pub named_files: Arc<[NamedFile]>,
    /// What the attempt used.
    pub usage: Option<Usage>,
    /// Time at which the ending run stops waiting for the commit; none while the run is not ending.
    pub give_up_at: Option<RunTime>,
}

/// State of an operation at its next gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The gate is free; the operation requests it when fewer than the maximum hold gates.
    Free,
    /// Another operation of the run holds the gate.
    Queued,
    /// The request has no answer yet.
    Asked,
    /// An operation of another run holds the gate; another answer follows.
    Busy,
    /// The operation requests the gate at this time.
    Until(RunTime),
}

impl OpState {
    /// State of an operation with `unmet` dependencies to wait for.
    pub(crate) fn waiting_for(unmet: u32) -> Self {
        if unmet == 0 { Self::Ready } else { Self::Waiting { unmet } }
    }

    /// Whether an attempt is launched or being stopped or committed.
    pub fn is_out(&self) -> bool {
        matches!(self, Self::Launched { .. } | Self::Stopping { .. } | Self::Committing(_))
    }

    /// Whether its attempt was launched and has not ended.
    pub fn is_followed(&self) -> bool {
        matches!(self, Self::Launched { .. } | Self::Stopping { .. })
    }

    /// Whether the policies must decide about the end of its attempt.
    pub(crate) fn is_judged(&self) -> bool {
        matches!(self, Self::Judging { .. } | Self::Displaced)
    }

    /// The outcome, once settled.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Settled(outcome) => Some(*outcome),
            _ => None,
        }
    }
}

/// Attempt counters of an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AttemptCounts {
    /// Number of the last attempt; part of the names of containers and logs.
    pub(crate) attempt: u32,
    /// Failed attempts since the run began or was resumed; `retry` counts these.
    pub(crate) failures: u32,
    /// Displaced attempts since then.
    pub(crate) displaced: u32,
}

impl AttemptCounts {
    /// Resets the counters. The number of the last attempt stays, because names contain it.
    pub(crate) fn reset(&mut self) {
        *self = Self { attempt: self.attempt, ..Self::default() };
    }
}

/// Number of operations in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Waiting for dependencies.
    pub waiting: u32,
    /// Ready to start.
    pub ready: u32,
    /// At a gate.
    pub gated: u32,
    /// With unsettled instances or calls.
    pub parted: u32,
    /// Launched, stopping or committing.
    pub running: u32,
    /// Between attempts.
    pub backing_off: u32,
    /// Succeeded.
    pub succeeded: u32,
    /// Succeeded with a result from the cache.
    pub from_cache: u32,
    /// Skipped.
    pub skipped: u32,
    /// In the dead-letter queue.
    pub dead_lettered: u32,
    /// Failed.
    pub failed: u32,
    /// Cancelled.
    pub cancelled: u32,
}

impl Tally {
    /// Number of operations.
    pub fn total(&self) -> u32 {
        self.waiting
            + self.ready
            + self.gated
            + self.parted
            + self.running
            + self.backing_off
            + self.settled()
    }

    /// Number of settled operations.
    pub fn settled(&self) -> u32 {
        self.succeeded + self.from_cache + self.skipped + self.dead_lettered + self.failed + self.cancelled
    }

    pub(crate) fn count(&mut self, state: &OpState) -> &mut u32 {
        match state {
            OpState::Waiting { .. } => &mut self.waiting,
            OpState::Ready => &mut self.ready,
            OpState::Gated(_) => &mut self.gated,
            OpState::Parted { .. } => &mut self.parted,
            OpState::Launched { .. } | OpState::Stopping { .. } | OpState::Committing(_) => &mut self.running,
            OpState::Judging { .. } | OpState::Displaced | OpState::BackingOff { .. } => {
                &mut self.backing_off
            }
            OpState::Settled(Outcome::Succeeded) => &mut self.succeeded,
            OpState::Settled(Outcome::FromCache) => &mut self.from_cache,
            OpState::Settled(Outcome::Skipped) => &mut self.skipped,
            OpState::Settled(Outcome::DeadLettered) => &mut self.dead_lettered,
            OpState::Settled(Outcome::Failed) => &mut self.failed,
            OpState::Settled(Outcome::Cancelled) => &mut self.cancelled,
        }
    }
}
