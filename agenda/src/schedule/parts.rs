//! Operations that are made into several: their parts, how many of them are under way, and what they come to.

use super::state::OpState;
use super::{Scheduler, StartError};
use crate::event::{Ending, RunEvent, RunTime};
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::plan::{Asked, Called, Dispatch, Edge, Grown, MOST_OPERATIONS, Origin, Plan, Serves};
use pop_document::kind_of;
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

/// What an operation is made into.
pub(super) enum Split {
    Items(Vec<Value>),
    Calls(Dispatch),
}

impl Scheduler {
    /// What an operation is made into, if it is.
    pub(super) fn split(&self, op: OpIx) -> Result<Option<Split>, StartError> {
        let Some(for_each) = self.plan.operation(op).for_each() else {
            if self.plan.operation(op).serves != Serves::Dispatch {
                return Ok(None);
            }
            // a key without a value fails it before anybody is asked
            self.lock_keys(op)?;
            let dispatch = self.plan.dispatch(self.payload(op)?.as_ref()).map_err(StartError::Payload)?;
            return Ok(Some(Split::Calls(dispatch)));
        };
        match for_each.items.bind(&self.values(op))?.into_owned() {
            Value::Array(items) if self.plan.len() + items.len() > MOST_OPERATIONS => {
                Err(StartError::Payload(format!(
                    "`forEach` has {} items, and a run at most {MOST_OPERATIONS} operations",
                    items.len()
                )))
            }
            Value::Array(items) => Ok(Some(Split::Items(items))),
            // what was skipped, or is not there, has no items if something may stand in for it
            Value::Null if for_each.items.has_fallback() => Ok(Some(Split::Items(Vec::new()))),
            other => Err(StartError::Items(format!(
                "`forEach` needs a list, and this is {}: {}",
                kind_of(&other),
                for_each.items.template()
            ))),
        }
    }

    /// The item that a part is for, and its number.
    pub(super) fn item(&self, op: OpIx) -> Option<(&Value, u32)> {
        let Some(Origin::Part { of, index }) = self.plan.operation(op).origin else { return None };
        Some((self.parts.get(&of)?.items.get(index as usize)?, index))
    }

    /// How many parts an operation is made into.
    pub(super) fn count_parts(&self, op: OpIx, split: &Split) -> u32 {
        match split {
            Split::Items(items) => items.len() as u32,
            Split::Calls(dispatch) => self.plan.called(op, 0, &dispatch.calls, &[]).grown.len() as u32,
        }
    }

    /// Lets the plan grow by what follows from an operation: its parts, or what it generated.
    pub(super) fn grow(&mut self, by: OpIx) {
        if self.growing.remove(&by) {
            let result = self.results.get(&by).cloned().unwrap_or_default();
            if let Ok(grown) = self.plan.generated(by, &result) {
                self.take_in(grown);
            }
            return;
        }
        if let OpState::Parted { .. } = self.state[by] {
            return self.grow_reboot(by);
        }
        let Ok(Some(split)) = self.split(by) else { return };
        let mut parts = Parts::default();
        let grown = match split {
            Split::Items(items) => {
                let grown = self.plan.instances(by, items.len());
                parts.items = Arc::new(items);
                grown
            }
            Split::Calls(dispatch) => {
                let keys = self.lock_keys(by).unwrap_or_default();
                let Called { grown, asked, unserved } = self.plan.called(by, 0, &dispatch.calls, &keys);
                parts.calls = Some(Box::new(Calls { dispatch, asked, unserved, failures: HashMap::new() }));
                grown
            }
        };
        let first = self.plan.len() as u32;
        let most = self.plan.operation(by).for_each().and_then(|for_each| for_each.max_parallel);
        parts.all = (first..first + grown.len() as u32).map(OpIx).collect();
        parts.waiting = parts.all.iter().copied().skip(most.unwrap_or(u32::MAX) as usize).collect();
        self.set(by, OpState::Parted { left: grown.len() as u32 });
        self.parts.insert(by, parts);
        self.take_in(grown);
    }

    /// The restart that a dispatch asks for after all else, if it is still to be asked for.
    fn reboot_of(&self, op: OpIx) -> Option<Asked> {
        let calls = self.parts.get(&op)?.calls.as_ref()?;
        let all = || calls.asked.iter().chain(&calls.unserved);
        if all().any(|call| call.method == Method::Reboot) {
            return None;
        }
        let wants = wants_reboot(&calls.dispatch.options, &self.report(op, calls));
        wants.then(|| self.plan.reboot(None, &calls.dispatch.options))
    }

    fn grow_reboot(&mut self, op: OpIx) {
        let Some(reboot) = self.reboot_of(op) else { return };
        let keys = self.lock_keys(op).unwrap_or_default();
        let first = self.plan.len() as u32;
        let index = self.parts.get(&op).map_or(0, |parts| parts.all.len() as u32);
        let Called { grown, asked, unserved } =
            self.plan.called(op, index, std::slice::from_ref(&reboot), &keys);
        let count = grown.len() as u32;
        if let Some(parts) = self.parts.get_mut(&op) {
            parts.all.extend((first..first + count).map(OpIx));
            if let Some(calls) = &mut parts.calls {
                calls.asked.extend(asked);
                calls.unserved.extend(unserved);
            }
        }
        self.set(op, OpState::Parted { left: count });
        self.take_in(grown);
    }

    /// Notes why a part of a dispatch failed.
    pub(super) fn note_failure(&mut self, op: OpIx, failure: &Failure) {
        let Some(of) = self.plan.operation(op).part_of() else { return };
        if let Some(calls) = self.parts.get_mut(&of).and_then(|parts| parts.calls.as_mut()) {
            calls.failures.insert(op, Box::new(failure.clone()));
        }
    }

    /// The calls that failed are made once more when their dispatch is.
    pub(super) fn reopen_calls(&mut self) {
        let mut failed: Vec<OpIx> = Vec::new();
        for (op, parts) in &mut self.parts {
            if self.state[*op].outcome().is_none()
                && let Some(calls) = &mut parts.calls
            {
                failed.extend(calls.failures.drain().map(|(part, _)| part));
            }
        }
        failed.sort_unstable();
        for op in failed {
            self.tries[op].give_back();
            self.set(op, OpState::Ready);
        }
    }

    /// The reports of all calls of a dispatch as one.
    fn report(&self, op: OpIx, calls: &Calls) -> DispatchReport {
        let parts = self.parts.get(&op).map_or(&[][..], |parts| &parts.all);
        let ended = |part: &OpIx| -> Ended {
            match (self.state[*part].outcome(), calls.failures.get(part)) {
                (Some(Outcome::Skipped), Some(failure)) => Err(failure.as_ref().clone()).into(),
                _ => Ok(self.results.get(part).map_or(Value::Null, |result| result.as_ref().clone())).into(),
            }
        };
        let served = calls.asked.iter().cloned().zip(parts.iter().map(ended));
        let unserved = calls.unserved.iter().map(|call| (call.clone(), Ended::no_handler(&call.type_id)));
        DispatchReport::aggregate(served.chain(unserved))
    }

    fn take_in(&mut self, grown: Grown) {
        let first = self.plan.len();
        Arc::make_mut(&mut self.plan).grow(grown);
        let plan = Arc::clone(&self.plan);
        for op in (first as u32..plan.len() as u32).map(OpIx) {
            self.state.push(OpState::Waiting { unmet: 0 });
            self.tries.push(super::state::Tries::default());
            self.tally.waiting += 1;
            self.open(op);
            if self.is_doomed(&plan, op) {
                self.doomed.insert(op);
            }
        }
        // also for those that thought that everything was done
        for last in plan.last() {
            if matches!(self.state[*last], OpState::Waiting { .. } | OpState::Ready) {
                self.open(*last);
            }
        }
    }

    /// Whether an operation that is not settled can only be settled without being run.
    pub(super) fn is_doomed(&self, plan: &Plan, op: OpIx) -> bool {
        let mut missed = self.missed(plan, op).peekable();
        let is_missing = missed.peek().is_some();
        let is_needed = missed.any(|edge| edge.needs.is_met_by_good());
        is_needed || (is_missing && self.count_unmet(plan, op) == 0) || !self.may_start(plan, op)
    }

    /// The dependencies of an operation that are settled otherwise than it needs them.
    pub(super) fn missed<'p>(&self, plan: &'p Plan, op: OpIx) -> impl Iterator<Item = &'p Edge> {
        let is_missed =
            |edge: &&Edge| self.state[edge.on].outcome().is_some_and(|of| !edge.needs.contains(of));
        plan.graph().dependencies(op).iter().filter(is_missed)
    }

    /// How many things an operation waits for: dependencies, a place among the parts of its whole, everything else.
    pub(super) fn count_unmet(&self, plan: &Plan, op: OpIx) -> u32 {
        let planned = plan.operation(op);
        let is_open = |edge: &&Edge| match self.state[edge.on].outcome() {
            None => true,
            Some(outcome) => !edge.needs.contains(outcome) && edge.needs.is_met_by_good(),
        };
        let edges = plan.graph().dependencies(op).iter();
        let edges = edges.filter(|edge| !planned.is_last() || plan.operation(edge.on).is_last());
        let edges = edges.filter(is_open).count();
        let is_waiting = planned
            .part_of()
            .and_then(|of| self.parts.get(&of))
            .is_some_and(|parts| parts.waiting.contains(&op));
        let others = if planned.is_last() { self.unsettled_others(plan) } else { 0 };
        edges as u32 + u32::from(is_waiting) + others
    }

    /// How many operations are not settled, without those that wait for all others.
    fn unsettled_others(&self, plan: &Plan) -> u32 {
        let last = plan.last().iter().filter(|op| self.state[**op].outcome().is_none()).count() as u32;
        self.tally.total() - self.tally.settled() - last
    }

    /// Tells whoever waits for any operation, or for a part, that one is settled.
    pub(super) fn count_down(&mut self, plan: &Plan, op: OpIx) {
        if !plan.operation(op).is_last() {
            for last in plan.last() {
                self.meet(plan, *last);
            }
        }
        let Some(of) = plan.operation(op).part_of() else { return };
        if let OpState::Parted { left } = self.state[of] {
            self.set(of, OpState::Parted { left: left.saturating_sub(1) });
        }
        let Some(parts) = self.parts.get_mut(&of) else { return };
        if !parts.waiting.remove(&op)
            && let Some(next) = parts.waiting.pop_first()
        {
            self.meet(plan, next);
        }
    }

    /// One thing less that an operation waits for.
    pub(super) fn meet(&mut self, plan: &Plan, op: OpIx) {
        let OpState::Waiting { unmet } = self.state[op] else { return };
        let unmet = unmet.saturating_sub(1);
        self.set(op, OpState::waiting_for(unmet));
        let is_missing = unmet == 0 && self.missed(plan, op).next().is_some();
        if is_missing || !self.may_start(plan, op) {
            self.doomed.insert(op);
        }
    }

    /// What an operation comes to whose parts are all settled.
    pub(super) fn join(&self, op: OpIx) -> RunEvent {
        let none = Parts::default();
        let parts = self.parts.get(&op).unwrap_or(&none);
        let is_any = |outcome| parts.all.iter().any(|part| self.state[*part].outcome() == Some(outcome));
        let worst = [Outcome::Failed, Outcome::Cancelled, Outcome::DeadLettered];
        if let Some(outcome) = worst.into_iter().find(|outcome| is_any(*outcome)) {
            return RunEvent::OperationSettled { op, outcome, ignored: None, skipped: None };
        }
        if let Some(calls) = &parts.calls {
            return self.join_calls(op, calls);
        }
        let result =
            |part: &OpIx| self.results.get(part).map_or(Value::Null, |result| result.as_ref().clone());
        let result = Arc::new(Value::Array(parts.all.iter().map(result).collect()));
        self.joined_event(op, self.ending_with(op, result))
    }

    /// The ending of an operation whose parts came to a result, if that is what the operation may give.
    fn ending_with(&self, op: OpIx, result: Arc<Value>) -> Ending {
        match self.check_generated(op, &result) {
            Ok(()) => Ending::Succeeded { result },
            Err(failure) => Ending::Failed(failure),
        }
    }

    fn join_calls(&self, op: OpIx, calls: &Calls) -> RunEvent {
        if let Some(reboot) = self.reboot_of(op) {
            let count = self.plan.called(op, 0, &[reboot], &[]).grown.len() as u32;
            return RunEvent::PlanGrown { by: op, count };
        }
        let report = self.report(op, calls);
        if report.succeeded {
            return self.joined_event(op, self.ending_with(op, Arc::new(json!(report))));
        }
        let words = said(&report);
        let mut failure = Failure::new(Blame::Handler, "dispatch", words.clone());
        failure
            .diagnostics
            .push(DiagnosticEvent { payload: Some(json!(report)), ..DiagnosticEvent::new(words) });
        self.joined_event(op, Ending::Failed(Box::new(failure)))
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
            self.note_unstarted(op, ending.clone(), now);
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

    /// Whether a result is what a generator may give; anything is, of an operation that generates nothing.
    pub(super) fn check_generated(&self, op: OpIx, result: &Value) -> Result<(), Box<Failure>> {
        if self.plan.operation(op).generator().is_none() {
            return Ok(());
        }
        let checked = self.plan.generated(op, result).map(drop);
        checked.map_err(|words| Box::new(Failure::new(Blame::Handler, "generated", words)))
    }

    /// How many operations follow from one.
    pub(super) fn growth(&self, by: OpIx) -> RunEvent {
        let result = self.results.get(&by).cloned().unwrap_or_default();
        let count = self.plan.generated(by, &result).map_or(0, |grown| grown.len() as u32);
        RunEvent::PlanGrown { by, count }
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
