//! Time limits over more than one state of an operation: `totalTimeoutMs` over all attempts and waits, `lockTimeoutMs`
//! over the waits for locks before an attempt.
//!
//! The limits of a single state, such as `timeoutMs`, follow from the state ([`super::table`]).

use super::Scheduler;
use super::state::{Hold, OpState};
use crate::event::{RunEvent, RunTime, StopReason};
use crate::gate::Gate;
use crate::ops::OpIx;
use pop_contract::{Blame, Failure};
use pop_policy::Limits;
use std::collections::{BTreeSet, HashMap};

/// What a limit covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Scope {
    /// All attempts and waits since the operation first started.
    Total,
    /// The waits for locks before one attempt.
    Locks,
}

/// The limits that are running.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TimeLimits {
    ends: HashMap<(OpIx, Scope), RunTime>,
    /// The limits that have an effect when they end, by time.
    pending: BTreeSet<(RunTime, OpIx, Scope)>,
}

impl TimeLimits {
    fn start(&mut self, op: OpIx, scope: Scope, end: RunTime) {
        if self.ends.contains_key(&(op, scope)) {
            return;
        }
        self.ends.insert((op, scope), end);
        self.pending.insert((end, op, scope));
    }

    fn remove(&mut self, op: OpIx, scope: Scope) {
        if let Some(end) = self.ends.remove(&(op, scope)) {
            self.pending.remove(&(end, op, scope));
        }
    }

    /// Lets a limit have its effect only while the operation can be stopped or waits.
    fn enable(&mut self, op: OpIx, scope: Scope, is_enabled: bool) {
        let Some(end) = self.ends.get(&(op, scope)) else { return };
        if is_enabled {
            self.pending.insert((*end, op, scope));
        } else {
            self.pending.remove(&(*end, op, scope));
        }
    }

    /// The end of the next limit.
    pub(super) fn next(&self) -> Option<RunTime> {
        self.pending.first().map(|(end, ..)| *end)
    }
}

impl Scheduler {
    /// The event of the first limit that is over by now.
    pub(super) fn limit_over(&self, now: RunTime) -> Option<RunEvent> {
        let (_, op, scope) = *self.time_limits.pending.first().filter(|(end, ..)| *end <= now)?;
        if let OpState::Launched { .. } = self.table[op] {
            let (attempt, reason) = (self.tries[op].attempt, StopReason::TotalTimeout);
            return Some(RunEvent::StopAsked { op, attempt, reason });
        }
        let limits = self.plan.operation(op).policies.limits();
        let failure = match scope {
            Scope::Total => Failure::new(Blame::Handler, "timeout", total_timeout_message(&limits)),
            Scope::Locks => {
                let ms = limits.locks_ms.unwrap_or_default();
                let message = format!("waited longer for its locks than its lockTimeoutMs of {ms}");
                Failure::new(Blame::Platform, "lock-timeout", message)
            }
        };
        Some(RunEvent::StartFailed { op, failure: Box::new(failure) })
    }

    /// Whether the operation has no time for another attempt at this time.
    pub(super) fn is_out_of_time(&self, op: OpIx, at: RunTime) -> bool {
        self.time_limits.ends.get(&(op, Scope::Total)).is_some_and(|end| *end <= at)
    }

    /// Starts and ends limits after an event of an operation.
    pub(super) fn follow_limits(&mut self, event: &RunEvent, now: RunTime) {
        let Some(op) = event.operation() else { return };
        let limits = self.plan.operation(op).policies.limits();
        if limits.total_ms.is_none() && limits.locks_ms.is_none() {
            return;
        }
        if let Some(ms) = limits.total_ms
            && matches!(event, RunEvent::GatesSet { .. } | RunEvent::AttemptStarted { .. })
        {
            self.time_limits.start(op, Scope::Total, now.plus(ms));
        }
        let waits_for_lock = matches!(self.table[op], OpState::Gated(hold) if hold != Hold::Free)
            && matches!(self.gate(op), Some(Gate::Lock { .. }));
        match limits.locks_ms {
            Some(ms) if waits_for_lock => self.time_limits.start(op, Scope::Locks, now.plus(ms)),
            _ => self.time_limits.remove(op, Scope::Locks),
        }
        self.enable_total(op);
    }

    fn enable_total(&mut self, op: OpIx) {
        match self.table[op] {
            OpState::Settled(_) => self.time_limits.remove(op, Scope::Total),
            OpState::Stopping { .. } | OpState::Committing(_) | OpState::Judging { .. } => {
                self.time_limits.enable(op, Scope::Total, false);
            }
            _ => self.time_limits.enable(op, Scope::Total, true),
        }
    }

    /// Continues the limits under a new executor, which requests locks anew and stops no attempt yet.
    pub(super) fn resume_limits(&mut self) {
        let all: Vec<(OpIx, Scope)> = self.time_limits.ends.keys().copied().collect();
        for (op, scope) in all {
            match scope {
                Scope::Total => self.enable_total(op),
                Scope::Locks => self.time_limits.remove(op, scope),
            }
        }
    }

    /// Ends the limits of a reopened operation.
    pub(super) fn reset_limits(&mut self, op: OpIx) {
        self.time_limits.remove(op, Scope::Total);
    }
}

/// The message of a failure with `totalTimeoutMs`.
pub(super) fn total_timeout_message(limits: &Limits) -> String {
    let ms = limits.total_ms.unwrap_or_default();
    format!("took longer than its totalTimeoutMs of {ms} over all attempts and waits")
}
