//! Parts of operations: the instances of a `forEach` and the calls of a dispatch.

use super::Scheduler;
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::plan::{Dispatch, Origin, PlannedCalls};
use pop_contract::{Call, CallEnd, DispatchReport, Failure, Method, wants_reboot};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The parts of one operation.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    /// Numbers of the parts, in order.
    pub(super) all: Vec<OpIx>,
    /// Parts that wait for a place because of `maxParallel`.
    pub(super) waiting: BTreeSet<OpIx>,
    /// Items of the instances, in order.
    pub(super) items: Arc<Vec<Value>>,
    /// Calls, if the operation is a dispatch.
    pub(super) calls: Option<Box<Calls>>,
}

/// The calls of a dispatch.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    dispatch: Dispatch,
    /// The call of each part, in order.
    served: Vec<Call>,
    /// Calls without a handler.
    unserved: Vec<Call>,
    /// Failures of parts.
    failures: HashMap<OpIx, Box<Failure>>,
}

impl Parts {
    /// The instances for the items of a list, without numbers until they are in the plan.
    pub(super) fn of_items(items: Vec<Value>) -> Self {
        Self { items: Arc::new(items), ..Self::default() }
    }

    /// The calls of a dispatch, without numbers until they are in the plan.
    pub(super) fn of_calls(dispatch: Dispatch, served: Vec<Call>, unserved: Vec<Call>) -> Self {
        let calls = Calls { dispatch, served, unserved, failures: HashMap::new() };
        Self { calls: Some(Box::new(calls)), ..Self::default() }
    }
}

impl Scheduler {
    /// The item of an instance and its index.
    pub(super) fn item(&self, op: OpIx) -> Option<(&Value, u32)> {
        let Some(Origin::Part { of, index }) = self.plan.operation(op).origin else { return None };
        Some((self.parts.get(&of)?.items.get(index as usize)?, index))
    }

    /// The restart of the machine after the other calls of a dispatch; none if it was made already.
    pub(super) fn restart_of(&self, op: OpIx) -> Option<PlannedCalls> {
        let calls = self.parts.get(&op)?.calls.as_ref()?;
        self.restart_after(op, calls, &self.report(op, calls))
    }

    pub(super) fn restart_after(
        &self,
        op: OpIx,
        calls: &Calls,
        report: &DispatchReport,
    ) -> Option<PlannedCalls> {
        let mut all = calls.served.iter().chain(&calls.unserved);
        let options = &calls.dispatch.options;
        if all.any(|call| call.method == Method::Reboot) || !wants_reboot(options, report) {
            return None;
        }
        let restart = self.plan.reboot(None, options);
        let keys = self.lock_keys(op).unwrap_or_default();
        let index = self.parts.get(&op).map_or(0, |parts| parts.all.len() as u32);
        Some(self.plan.called(op, index, std::slice::from_ref(&restart), &keys))
    }

    /// Adds the restart to the parts of its dispatch, before its operation is added to the plan.
    pub(super) fn note_restart(&mut self, op: OpIx, served: Vec<Call>, unserved: Vec<Call>) {
        let first = self.plan.len() as u32;
        if let Some(parts) = self.parts.get_mut(&op) {
            parts.all.extend((first..first + served.len() as u32).map(OpIx));
            if let Some(calls) = &mut parts.calls {
                calls.served.extend(served);
                calls.unserved.extend(unserved);
            }
        }
    }

    /// Records the failure of a call.
    pub(super) fn note_failure(&mut self, op: OpIx, failure: &Failure) {
        let Some(of) = self.plan.operation(op).part_of() else { return };
        if let Some(calls) = self.parts.get_mut(&of).and_then(|parts| parts.calls.as_mut()) {
            calls.failures.insert(op, Box::new(failure.clone()));
        }
    }

    /// The calls of a dispatch that failed in the end.
    pub(super) fn failed_calls<'s>(&'s self, parts: &'s Parts) -> impl Iterator<Item = OpIx> + 's {
        let failures = parts.calls.iter().flat_map(|calls| calls.failures.keys().copied());
        // a call that succeeded after a failure is not repeated
        failures.filter(|call| self.table[*call].outcome() == Some(Outcome::Skipped))
    }

    /// Removes the failure of a call that is repeated.
    pub(super) fn forget_failure(&mut self, op: OpIx) {
        let Some(of) = self.plan.operation(op).part_of() else { return };
        if let Some(calls) = self.parts.get_mut(&of).and_then(|parts| parts.calls.as_mut()) {
            calls.failures.remove(&op);
        }
    }

    /// Combines the reports of all calls of a dispatch.
    pub(super) fn report(&self, op: OpIx, calls: &Calls) -> DispatchReport {
        let parts = self.parts.get(&op).map_or(&[][..], |parts| &parts.all);
        let ended = |part: &OpIx| -> CallEnd {
            match (self.table[*part].outcome(), calls.failures.get(part)) {
                (Some(Outcome::Skipped), Some(failure)) => Err(failure.as_ref().clone()).into(),
                _ => Ok(self.results.get(part).map_or(Value::Null, |result| result.as_ref().clone())).into(),
            }
        };
        let served = calls.served.iter().cloned().zip(parts.iter().map(ended));
        let unserved = calls.unserved.iter().map(|call| (call.clone(), CallEnd::no_handler(&call.type_id)));
        DispatchReport::aggregate(served.chain(unserved))
    }
}
