//! The reason for the state of an operation, as data.

use super::Scheduler;
use super::gates::turn_name;
use super::resources::Shortage;
use super::state::{Hold, OpState};
use crate::event::{CancelReason, RunTime, StopReason};
use crate::gate::Gate;
use crate::ops::OpIx;
use crate::outcome::{Outcome, Outcomes};
use crate::plan::{OpRef, Origin, OutcomeGroup};

/// Reason for the state of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Explanation {
    /// The operation waits for these dependencies.
    WaitsFor(Vec<OpIx>),
    /// The operation is ready, but `parallel` operations are running.
    NoRoom {
        /// Number of running operations.
        running: u32,
        /// Maximum number of running operations.
        parallel: u32,
    },
    /// The operation is ready, but too little of what it needs is left.
    NoResources {
        /// The resources that it waits for.
        shortages: Vec<Shortage>,
        /// The operations that hold them.
        held_by: Vec<OpIx>,
        /// The first operation in line, for which the rest is reserved; none if this is the first one itself.
        reserved_for: Option<OpIx>,
    },
    /// The operation waits for these instances or calls.
    WaitsForParts(Vec<OpIx>),
    /// `maxParallel` instances of the same operation are running.
    NoPlace {
        /// The operation of which this one is an instance.
        of: OpIx,
    },
    /// The operation waits at a gate.
    Held {
        /// The gate.
        gate: Gate,
        /// Operation of the run that holds the gate; none if no other one does.
        by: Option<OpIx>,
        /// Holder outside the run; none if unknown.
        outside: Option<Box<str>>,
        /// Time at which the gate is free; none if unknown.
        until: Option<RunTime>,
    },
    /// The operation proceeds at the next step.
    Next,
    /// The operation runs.
    Runs {
        /// Time of the launch.
        since: RunTime,
        /// Time at which the next limit of the operation ends; none without limits.
        deadline: Option<RunTime>,
    },
    /// The operation is being stopped.
    Stops {
        /// Reason to stop it.
        reason: StopReason,
        /// Time of the kill; none once it was killed.
        kill_at: Option<RunTime>,
    },
    /// The attempt succeeded; its files are being verified and its versions committed.
    Commits,
    /// The operation waits for its next attempt.
    BacksOff {
        /// End of the wait.
        until: RunTime,
        /// Number of failed attempts.
        failures: u32,
    },
    /// Skipped because these dependencies do not have the outcome that it waits for.
    NotAsked(Vec<OpIx>),
    /// Cancelled because these dependencies did not succeed.
    Needed(Vec<OpIx>),
    /// Cancelled because the run was ending, with the reason.
    RunEnding(Option<CancelReason>),
    /// The operation is settled.
    Settled(Outcome),
}

impl Scheduler {
    /// The reason for the state of `op`.
    pub fn explain(&self, op: OpIx) -> Explanation {
        if let Some(waits) = self.no_resources(op) {
            return waits;
        }
        match &self.table[op] {
            OpState::Waiting { .. } => match (self.unmet(op), self.plan.operation(op).origin) {
                (unmet, Some(Origin::Part { of, .. })) if unmet.is_empty() => Explanation::NoPlace { of },
                // a resumed run starts it again when the item has a place
                (unmet, Some(Origin::Inner { of, .. })) if unmet.is_empty() => {
                    Explanation::WaitsFor(vec![of])
                }
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
            OpState::Committing(_) => Explanation::Commits,
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

    /// The resources that an operation in line waits for; none if it has what it needs.
    fn no_resources(&self, op: OpIx) -> Option<Explanation> {
        let planned = self.plan.operation(op);
        let need = self.table.need(op, planned)?;
        let own = self.table.position(op, planned, &self.gates)?;
        let (resources, totals) = (self.table.resources(), &self.options.resources);
        let first = resources.first_waiting(totals).filter(|(first, _)| *first < own);
        let shortages: Vec<Shortage> =
            resources.shortages(need, totals, first.map(|(_, need)| need)).collect();
        if shortages.is_empty() {
            return None;
        }
        let held_by = resources.holders(&shortages);
        Some(Explanation::NoResources {
            shortages,
            held_by,
            reserved_for: first.map(|(position, _)| position.op),
        })
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
        let turn = turn_name(gate, op, &self.plan).and_then(|name| self.gates.turns.get(&name));
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

    /// The dependencies of `op` without an outcome that it needs.
    fn unmet(&self, op: OpIx) -> Vec<OpIx> {
        if self.plan.operation(op).is_last() && self.table[op].outcome().is_none() {
            let open = self.table.iter().filter(|(_, state)| state.outcome().is_none()).map(|(op, _)| op);
            return open.filter(|open| !self.plan.operation(*open).is_last()).collect();
        }
        let edges = self.plan.graph().dependencies(op);
        let is_met = |outcome: Outcome, needs: Outcomes| needs.contains(outcome);
        let unmet =
            edges.filter(|edge| !self.table[edge.on].outcome().is_some_and(|of| is_met(of, edge.needs)));
        let unmet: Vec<OpIx> = unmet.map(|edge| edge.on).collect();
        if unmet.is_empty() { self.unmet_in_groups(op) } else { unmet }
    }

    /// The operations of a group of `dependsOn` that does not hold, without those that have an outcome it names.
    fn unmet_in_groups(&self, op: OpIx) -> Vec<OpIx> {
        let groups = self.plan.operation(op).rare.iter().flat_map(|rare| &rare.groups);
        let outcome = |on| self.table.outcome(self.plan.resolve(op, on));
        let unmet = groups.filter(|group| !group.holds(&outcome));
        let leaves = unmet.flat_map(OutcomeGroup::leaves);
        let is_met = |(on, needs): &(OpRef, Outcomes)| outcome(*on).is_some_and(|of| needs.contains(of));
        leaves.filter(|leaf| !is_met(leaf)).map(|(on, _)| self.plan.resolve(op, on)).collect()
    }
}
