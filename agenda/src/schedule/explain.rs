//! Why an operation is where it is, as data.

use super::Scheduler;
use super::gates::turn_name;
use super::state::{Hold, OpState};
use crate::event::{CancelReason, RunTime, StopReason};
use crate::gate::Gate;
use crate::ops::OpIx;
use crate::outcome::Outcome;

/// Why an operation is in its state.
#[derive(Debug, Clone, PartialEq)]
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
    /// It was made into several, and these are not settled.
    WaitsForParts(Vec<OpIx>),
    /// As many parts of the same operation as may be under way are.
    NoPlace {
        /// The operation that it is a part of.
        of: OpIx,
    },
    /// It is to be granted something first.
    Held {
        /// What.
        gate: Gate,
        /// The operation of the run that has it.
        by: Option<OpIx>,
        /// Who has it outside the run.
        outside: Option<Box<str>>,
        /// When it is its turn, if that is known.
        until: Option<RunTime>,
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
    /// Its attempt succeeded, and its versions are being committed.
    Commits,
    /// It waits before its next attempt.
    BacksOff {
        /// Until when.
        until: RunTime,
        /// How many attempts failed.
        failures: u32,
    },
    /// It was skipped because operations have not the outcome for which it is there.
    NotAsked(Vec<OpIx>),
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
        match &self.table[op] {
            OpState::Waiting { .. } => match (self.unmet(op), self.plan.operation(op).part_of()) {
                (unmet, Some(of)) if unmet.is_empty() => Explanation::NoPlace { of },
                (unmet, _) => Explanation::WaitsFor(unmet),
            },
            OpState::Parted { .. } => {
                let parts = self.parts.get(&op).map_or(&[][..], |parts| &parts.all);
                let open = parts.iter().copied().filter(|part| self.table[*part].outcome().is_none());
                Explanation::WaitsForParts(open.collect())
            }
            OpState::Gated(hold) => self.held(op, *hold),
            OpState::Ready if self.table.tally().running >= self.options.parallel => {
                Explanation::NoRoom { running: self.table.tally().running, parallel: self.options.parallel }
            }
            OpState::Ready => Explanation::Next,
            OpState::Launched { since, .. } => {
                Explanation::Runs { since: *since, deadline: self.deadline_of(op) }
            }
            OpState::Stopping { reason, kill_at } => {
                Explanation::Stops { reason: *reason, kill_at: *kill_at }
            }
            OpState::Committing { .. } => Explanation::Commits,
            OpState::Judging { .. } | OpState::Displaced => Explanation::Next,
            OpState::BackingOff { until } => {
                Explanation::BacksOff { until: *until, failures: self.tries[op].failures }
            }
            OpState::Settled(Outcome::Skipped) if !self.unmet(op).is_empty() => {
                Explanation::NotAsked(self.unmet(op))
            }
            OpState::Settled(Outcome::Cancelled) => match self.unmet(op) {
                unmet if unmet.is_empty() => Explanation::RunEnding(self.cancel.map(|cancel| cancel.reason)),
                unmet => Explanation::Needed(unmet),
            },
            OpState::Settled(outcome) => Explanation::Settled(*outcome),
        }
    }

    fn held(&self, op: OpIx, hold: Hold) -> Explanation {
        let passing = self.gates.passing.get(&op);
        let Some((passing, gate)) =
            passing.and_then(|passing| Some((passing, passing.gates.get(passing.passed)?)))
        else {
            return Explanation::NoRoom {
                running: self.table.tally().running,
                parallel: self.options.parallel,
            };
        };
        let turn = turn_name(gate, op, self.plan.operation(op)).and_then(|name| self.gates.turns.get(&name));
        Explanation::Held {
            gate: gate.clone(),
            by: turn.and_then(|turn| turn.holder).filter(|holder| *holder != op),
            outside: passing.holder.clone(),
            until: match hold {
                Hold::Until(until) => Some(until),
                _ => None,
            },
        }
    }

    /// The operations that `op` needs and that are not settled as it needs them.
    fn unmet(&self, op: OpIx) -> Vec<OpIx> {
        if self.plan.operation(op).is_last() && self.table[op].outcome().is_none() {
            let open = self.table.iter().filter(|(_, state)| state.outcome().is_none()).map(|(op, _)| op);
            return open.filter(|open| !self.plan.operation(*open).is_last()).collect();
        }
        let edges = self.plan.graph().dependencies(op).iter();
        let is_met = |outcome: Outcome, needs: crate::Outcomes| needs.contains(outcome);
        let unmet =
            edges.filter(|edge| !self.table[edge.on].outcome().is_some_and(|of| is_met(of, edge.needs)));
        unmet.map(|edge| edge.on).collect()
    }
}
