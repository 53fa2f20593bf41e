//! The states of an operation, and how many are in each.

use crate::event::{RunTime, StopReason};
use crate::outcome::Outcome;
use pop_contract::Failure;
use serde_json::Value;
use std::sync::Arc;

/// Where an operation is.
#[derive(Debug, Clone, PartialEq)]
pub enum OpState {
    /// Some operation that it needs is not settled well.
    Waiting {
        /// How many.
        unmet: u32,
    },
    /// Everything it needs is there; it starts when there is room.
    Ready,
    /// It must be granted something before it starts.
    Gated(Hold),
    /// It was made into several, which are not all settled.
    Parted {
        /// How many are not.
        left: u32,
    },
    /// An attempt was launched and has not ended.
    Launched {
        /// Since when.
        since: RunTime,
        /// Whether it has left its pending phase; processes have none.
        is_pending: bool,
    },
    /// Its attempt was asked to stop.
    Stopping {
        /// Why.
        reason: StopReason,
        /// When it is killed; none once it was.
        kill_at: Option<RunTime>,
    },
    /// Its attempt succeeded, and the versions that it read are being committed.
    Committing {
        /// The result of the attempt.
        result: Arc<Value>,
        /// When the run, which is being ended, stops waiting for the commit.
        give_up_at: Option<RunTime>,
    },
    /// Its attempt failed, and the rules have not spoken yet.
    Judging {
        /// Why it failed.
        failure: Box<Failure>,
    },
    /// The platform took its attempt away, and the wait before the next attempt is not decided yet.
    Displaced,
    /// It waits before its next attempt.
    BackingOff {
        /// End of the wait.
        until: RunTime,
    },
    /// It has its outcome.
    Settled(Outcome),
}

/// How it stands at the next of its gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It is its turn, when there is room.
    Free,
    /// Another operation of the run has what it needs.
    Queued,
    /// The world was asked and has not answered.
    Asked,
    /// Somebody outside the run has what it needs; the world says when no longer.
    Busy,
    /// It is its turn at this time.
    Until(RunTime),
}

impl OpState {
    /// Of an operation that waits for so many things.
    pub(crate) fn waiting_for(unmet: u32) -> Self {
        if unmet == 0 { Self::Ready } else { Self::Waiting { unmet } }
    }

    /// Whether an attempt of it is out in the world.
    pub fn is_out(&self) -> bool {
        matches!(self, Self::Launched { .. } | Self::Stopping { .. } | Self::Committing { .. })
    }

    /// Whether its attempt was launched and its end has not been heard.
    pub fn is_followed(&self) -> bool {
        matches!(self, Self::Launched { .. } | Self::Stopping { .. })
    }

    /// Whether the policies have to decide what follows from the end of its attempt.
    pub(crate) fn is_judged(&self) -> bool {
        matches!(self, Self::Judging { .. } | Self::Displaced)
    }

    /// Its outcome, once it has one.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Settled(outcome) => Some(*outcome),
            _ => None,
        }
    }
}

/// How often an operation was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    /// The number of its last attempt; names of containers and logs bear it.
    pub(crate) attempt: u32,
    /// How many attempts failed since the run began or was resumed; the retry rule counts these.
    pub(crate) failures: u32,
    /// How many attempts the platform took away since then.
    pub(crate) displaced: u32,
}

impl Tries {
    /// Gives the tries back; the number of the last attempt stays, for names bear it.
    pub(crate) fn give_back(&mut self) {
        *self = Self { attempt: self.attempt, ..Self::default() };
    }
}

/// How many operations are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Waiting for others.
    pub waiting: u32,
    /// Could start.
    pub ready: u32,
    /// To be granted something first.
    pub gated: u32,
    /// Made into several.
    pub parted: u32,
    /// Launched or stopping.
    pub running: u32,
    /// Between attempts.
    pub backing_off: u32,
    /// Settled well.
    pub succeeded: u32,
    /// Settled with a result from the cache.
    pub from_cache: u32,
    /// Settled without a result.
    pub skipped: u32,
    /// Put aside.
    pub dead_lettered: u32,
    /// Settled badly.
    pub failed: u32,
    /// Not started, or stopped.
    pub cancelled: u32,
}

impl Tally {
    /// How many operations there are.
    pub fn total(&self) -> u32 {
        self.waiting
            + self.ready
            + self.gated
            + self.parted
            + self.running
            + self.backing_off
            + self.settled()
    }

    /// How many have their outcome.
    pub fn settled(&self) -> u32 {
        self.succeeded + self.from_cache + self.skipped + self.dead_lettered + self.failed + self.cancelled
    }

    pub(crate) fn count(&mut self, state: &OpState) -> &mut u32 {
        match state {
            OpState::Waiting { .. } => &mut self.waiting,
            OpState::Ready => &mut self.ready,
            OpState::Gated(_) => &mut self.gated,
            OpState::Parted { .. } => &mut self.parted,
            OpState::Launched { .. } | OpState::Stopping { .. } | OpState::Committing { .. } => {
                &mut self.running
            }
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
