//! Why an operation is where it is, as data.

use super::Scheduler;
use super::state::OpState;
use crate::event::{CancelReason, Outcome, RunTime, StopReason};
use crate::ops::OpIx;

/// Why an operation is in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explanation {
    /// It needs operations that are not settled well yet.
    WaitsFor(Vec<OpIx>),
    /// It could start, but as many as may run at once are running.
    NoRoom {
        /// How many run.
        running: u32,
        /// How many may.
        parallel: u32,
    },
    /// It will start at the next step.
    Next,
    /// It runs.
    Runs {
        /// Since when.
        since: RunTime,
        /// When something is due for it, if ever.
        deadline: Option<RunTime>,
    },
    /// It is being stopped.
    Stops {
        /// Why.
        reason: StopReason,
        /// When it is killed.
        kill_at: Option<RunTime>,
    },
    /// It waits before its next attempt.
    BacksOff {
        /// Until when.
        until: RunTime,
        /// How many attempts failed.
        failures: u32,
    },
    /// It was cancelled because operations that it needs did not end well.
    Needed(Vec<OpIx>),
    /// It was cancelled because the run was being ended.
    RunEnding(Option<CancelReason>),
    /// It has its outcome.
    Settled(Outcome),
}

impl Scheduler {
    /// Why `op` is where it is.
    pub fn explain(&self, op: OpIx) -> Explanation {
        match &self.state[op] {
            OpState::Waiting { .. } => Explanation::WaitsFor(self.unmet(op)),
            OpState::Ready if self.tally.running >= self.options.parallel => {
                Explanation::NoRoom { running: self.tally.running, parallel: self.options.parallel }
            }
            OpState::Ready => Explanation::Next,
            OpState::Launched { since, .. } => {
                Explanation::Runs { since: *since, deadline: self.deadline_of(op) }
            }
            OpState::Stopping { reason, kill_at } => {
                Explanation::Stops { reason: *reason, kill_at: *kill_at }
            }
            OpState::Judging { .. } => Explanation::Next,
            OpState::BackingOff { until } => {
                Explanation::BacksOff { until: *until, failures: self.tries[op].failures }
            }
            OpState::Settled(Outcome::Cancelled) => match self.unmet(op) {
                unmet if unmet.is_empty() => Explanation::RunEnding(self.cancel.map(|cancel| cancel.reason)),
                unmet => Explanation::Needed(unmet),
            },
            OpState::Settled(outcome) => Explanation::Settled(*outcome),
        }
    }

    /// The operations that `op` needs and that are not settled well.
    fn unmet(&self, op: OpIx) -> Vec<OpIx> {
        let edges = self.plan.graph().dependencies(op).iter();
        let is_unmet = |on: OpIx| !self.state[on].outcome().is_some_and(Outcome::lets_others_start);
        edges.map(|edge| edge.on).filter(|on| is_unmet(*on)).collect()
    }
}
