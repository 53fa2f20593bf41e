//! Operations that are made into several: their parts, how many of them are under way, and what they come to.

use super::Scheduler;
use super::growth::{Decision, Growth};
use crate::event::{Ending, RunEvent, RunTime};
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::plan::{Called, Dispatch, Origin};
use pop_policy::OnFail;
use pop_registry::contract::{
    Blame, Call, DiagnosticEvent, DispatchReport, Ended, Failure, Method, wants_reboot,
};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The parts of one operation.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    /// Them, in order.
    pub(super) all: Vec<OpIx>,
    /// Those that wait until another has settled, for enough are under way.
    pub(super) waiting: BTreeSet<OpIx>,
    /// The items that they are for.
    pub(super) items: Arc<Vec<Value>>,
    /// What handlers are asked for, if it is a dispatch.
    calls: Option<Box<Calls>>,
}

/// The calls of a dispatch.
#[derive(Debug, Clone)]
struct Calls {
    dispatch: Dispatch,
    /// What each part asks for, in order.
    asked: Vec<Call>,
    /// What nobody could be asked for.
    unserved: Vec<Call>,
    /// Why parts failed.
    failures: HashMap<OpIx, Box<Failure>>,
}

impl Parts {
    /// The parts for the items of a list; their numbers follow when the plan has grown by them.
    pub(super) fn of_items(items: Vec<Value>) -> Self {
        Self { items: Arc::new(items), ..Self::default() }
    }

    /// The calls of a dispatch, likewise.
    pub(super) fn of_calls(dispatch: Dispatch, asked: Vec<Call>, unserved: Vec<Call>) -> Self {
        let calls = Calls { dispatch, asked, unserved, failures: HashMap::new() };
        Self { calls: Some(Box::new(calls)), ..Self::default() }
    }
}

impl Scheduler {
    /// The item that a part is for, and its number.
    pub(super) fn item(&self, op: OpIx) -> Option<(&Value, u32)> {
        let Some(Origin::Part { of, index }) = self.plan.operation(op).origin else { return None };
        Some((self.parts.get(&of)?.items.get(index as usize)?, index))
    }

    /// The restart that a dispatch calls for after its other calls, unless it was called for already.
    pub(super) fn restart_of(&self, op: OpIx) -> Option<Called> {
        let calls = self.parts.get(&op)?.calls.as_ref()?;
        self.restart_after(op, calls, &self.report(op, calls))
    }

    fn restart_after(&self, op: OpIx, calls: &Calls, report: &DispatchReport) -> Option<Called> {
        let mut all = calls.asked.iter().chain(&calls.unserved);
        let options = &calls.dispatch.options;
        if all.any(|call| call.method == Method::Reboot) || !wants_reboot(options, report) {
            return None;
        }
        let restart = self.plan.reboot(None, options);
        let keys = self.lock_keys(op).unwrap_or_default();
        let index = self.parts.get(&op).map_or(0, |parts| parts.all.len() as u32);
        Some(self.plan.called(op, index, std::slice::from_ref(&restart), &keys))
    }

    /// Notes the restart among the parts of its dispatch; its operation comes into the plan next.
    pub(super) fn note_restart(&mut self, op: OpIx, asked: Vec<Call>, unserved: Vec<Call>) {
        let first = self.plan.len() as u32;
        if let Some(parts) = self.parts.get_mut(&op) {
            parts.all.extend((first..first + asked.len() as u32).map(OpIx));
            if let Some(calls) = &mut parts.calls {
                calls.asked.extend(asked);
                calls.unserved.extend(unserved);
            }
        }
    }

    /// Notes why a part of a dispatch failed.
    pub(super) fn note_failure(&mut self, op: OpIx, failure: &Failure) {
        let Some(of) = self.plan.operation(op).part_of() else { return };
        if let Some(calls) = self.parts.get_mut(&of).and_then(|parts| parts.calls.as_mut()) {
            calls.failures.insert(op, Box::new(failure.clone()));
        }
    }

    /// The calls of a dispatch that came to nothing in the end.
    pub(super) fn failed_calls<'s>(&'s self, parts: &'s Parts) -> impl Iterator<Item = OpIx> + 's {
        let failures = parts.calls.iter().flat_map(|calls| calls.failures.keys().copied());
        // a call that succeeded after a failure is not made again
        failures.filter(|call| self.table[*call].outcome() == Some(Outcome::Skipped))
    }

    /// Forgets the failure of a call that is made again.
    pub(super) fn forget_failure(&mut self, op: OpIx) {
        let Some(of) = self.plan.operation(op).part_of() else { return };
        if let Some(calls) = self.parts.get_mut(&of).and_then(|parts| parts.calls.as_mut()) {
            calls.failures.remove(&op);
        }
    }

    /// The reports of all calls of a dispatch as one.
    fn report(&self, op: OpIx, calls: &Calls) -> DispatchReport {
        let parts = self.parts.get(&op).map_or(&[][..], |parts| &parts.all);
        let ended = |part: &OpIx| -> Ended {
            match (self.table[*part].outcome(), calls.failures.get(part)) {
                (Some(Outcome::Skipped), Some(failure)) => Err(failure.as_ref().clone()).into(),
                _ => Ok(self.results.get(part).map_or(Value::Null, |result| result.as_ref().clone())).into(),
            }
        };
        let served = calls.asked.iter().cloned().zip(parts.iter().map(ended));
        let unserved = calls.unserved.iter().map(|call| (call.clone(), Ended::no_handler(&call.type_id)));
        DispatchReport::aggregate(served.chain(unserved))
    }

    /// What an operation comes to whose parts are all settled.
    pub(super) fn join(&self, op: OpIx) -> Decision {
        let none = Parts::default();
        let parts = self.parts.get(&op).unwrap_or(&none);
        let is_any = |outcome| parts.all.iter().any(|part| self.table.outcome(*part) == Some(outcome));
        let worst = [Outcome::Failed, Outcome::Cancelled, Outcome::DeadLettered];
        if let Some(outcome) = worst.into_iter().find(|outcome| is_any(*outcome)) {
            return RunEvent::OperationSettled { op, outcome, ignored: None, skipped: None }.into();
        }
        if let Some(calls) = &parts.calls {
            return self.join_calls(op, calls);
        }
        let result =
            |part: &OpIx| self.results.get(part).map_or(Value::Null, |result| result.as_ref().clone());
        self.join_with(op, Value::Array(parts.all.iter().map(result).collect()))
    }

    fn join_calls(&self, op: OpIx, calls: &Calls) -> Decision {
        let report = self.report(op, calls);
        if let Some(called) = self.restart_after(op, calls, &report) {
            return Decision::grow(op, Growth::Restart(called));
        }
        if report.succeeded {
            return self.join_with(op, json!(report));
        }
        let words = said(&report);
        let mut failure = Failure::new(Blame::Handler, "dispatch", words.clone());
        failure
            .diagnostics
            .push(DiagnosticEvent { payload: Some(json!(report)), ..DiagnosticEvent::new(words) });
        self.joined_event(op, Ending::Failed(Box::new(failure))).into()
    }

    /// Joins parts that came to a result, if the operation may have it.
    fn join_with(&self, op: OpIx, result: Value) -> Decision {
        match self.generated(op, &result) {
            Ok(grown) => {
                let ending = Ending::Succeeded { result: Arc::new(result) };
                Decision::with_generated(self.joined_event(op, ending), grown)
            }
            Err(failure) => self.joined_event(op, Ending::Failed(failure)).into(),
        }
    }

    fn joined_event(&self, op: OpIx, ending: Ending) -> RunEvent {
        let outcome = match (&ending, self.plan.operation(op).policies.on_fail.value) {
            (Ending::Succeeded { .. }, _) => Outcome::Succeeded,
            (_, OnFail::Skip) => Outcome::Skipped,
            (_, OnFail::Dlq) => Outcome::DeadLettered,
            (_, OnFail::Reply | OnFail::Fatal) => Outcome::Failed,
        };
        RunEvent::Joined { op, ending, outcome }
    }

    pub(super) fn joined(&mut self, op: OpIx, ending: &Ending, outcome: Outcome, now: RunTime) {
        let Ending::Succeeded { result } = ending else {
            if outcome == Outcome::Skipped {
                self.keep_result(op, &Arc::new(Value::Null));
            }
            return self.settle(op, outcome, now);
        };
        self.keep_result(op, result);
        self.settle(op, Outcome::Succeeded, now);
        // the parts are read by nobody else
        if let Some(parts) = self.parts.get(&op) {
            for part in &parts.all {
                self.results.remove(part);
            }
        }
    }
}

/// What the handlers say that did not succeed.
fn said(report: &DispatchReport) -> String {
    const LONGEST: usize = 400;
    let mut words = Vec::new();
    for (type_id, told) in &report.details {
        let one = std::slice::from_ref(told);
        for told in told.as_array().map_or(one, Vec::as_slice).iter().filter(|told| told["succeeded"] != true)
        {
            let details = &told["details"];
            let message = details["message"].as_str().map_or_else(|| details.to_string(), str::to_owned);
            words.push(format!("`{type_id}`: {message}"));
        }
    }
    if words.is_empty() {
        words.push(format!("restart: {}", json!(report.reboot.details)));
    }
    let words = words.join("; ");
    let end = words.floor_char_boundary(LONGEST);
    if end < words.len() { format!("{}…", &words[..end]) } else { words }
}
