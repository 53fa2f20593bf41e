//! Parts of operations: the instances of a `forEach` and the calls of a dispatch.

use super::Scheduler;
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::plan::{Dispatch, Origin, Payload, PlannedCalls, Referent};
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
    /// Values of the inputs of the file with the operations inside; none if they are written in place.
    pub(super) inputs: Option<Arc<Value>>,
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
    /// The item of an operation and its index: that of the innermost instance around it.
    pub(super) fn item(&self, op: OpIx) -> Option<(&Value, u32)> {
        self.items_outwards(op).next()
    }

    /// The items of all instances around an operation with their indices, the innermost first.
    fn items_outwards(&self, op: OpIx) -> impl Iterator<Item = (&Value, u32)> {
        let origin = |op: OpIx| self.plan.operation(op).origin;
        let outwards = std::iter::successors(origin(op), move |inner| match inner {
            Origin::Part { of, .. } | Origin::Inner { of, .. } => origin(*of),
            Origin::Generated { .. } => None,
        });
        outwards.filter_map(|origin| match origin {
            Origin::Part { of, index } => Some((self.parts.get(&of)?.items.get(index as usize)?, index)),
            Origin::Inner { .. } | Origin::Generated { .. } => None,
        })
    }

    /// The values of the inputs that an operation sees.
    pub(super) fn inputs(&self, op: OpIx) -> &Value {
        let mut at = op;
        while let Some(of) = self.plan.operation(at).part_of() {
            if let Some(inputs) = self.parts.get(&of).and_then(|parts| parts.inputs.as_deref()) {
                return inputs;
            }
            at = of;
        }
        self.plan.inputs()
    }

    /// The items of all instances around an operation, the innermost last, for a payload that refers to them.
    pub(super) fn items_around(&self, op: OpIx, payload: &Payload) -> Option<Value> {
        payload.reads(Referent::Items).then(|| {
            let mut items: Vec<Value> = self.items_outwards(op).map(|(item, _)| item.clone()).collect();
            items.reverse();
            Value::Array(items)
        })
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

    /// Records the failure of a call, or one that only counts for its item.
    pub(super) fn note_failure(&mut self, op: OpIx, failure: &Failure) {
        let planned = self.plan.operation(op);
        if planned.is_absorbed {
            self.failures.insert(op, Box::new(failure.clone()));
        }
        let Some(of) = planned.part_of() else { return };
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

    /// The first operation of a part that failed, and its failure.
    pub(super) fn failure_in(&self, part: OpIx) -> Option<(OpIx, &Failure)> {
        let is_bad = matches!(self.table[part].outcome(), Some(Outcome::Failed | Outcome::DeadLettered));
        if let Some(failure) = self.failures.get(&part).filter(|_| is_bad) {
            return Some((part, failure));
        }
        self.parts.get(&part)?.all.iter().find_map(|inner| self.failure_in(*inner))
    }

    /// Removes what is known of the parts of a settled operation.
    pub(super) fn forget_parts(&mut self, op: OpIx) {
        let parts = self.parts.get(&op).map(|parts| parts.all.clone()).unwrap_or_default();
        for part in parts {
            // no other operation reads the parts
            self.results.remove(&part);
            if self.failures.remove(&part).is_some() || self.plan.operation(part).is_whole() {
                self.forget_parts(part);
            }
        }
    }

    /// Removes the failure of an operation that is repeated.
    pub(super) fn forget_failure(&mut self, op: OpIx) {
        self.failures.remove(&op);
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
