//! Joining: the ending of an operation whose parts are all settled.

use super::Scheduler;
use super::decide::{outcome_of_failure, settled};
use super::growth::{Decision, Growth};
use super::parts::{Calls, Parts};
use crate::document::ItemFailures;
use crate::event::{Ending, RunEvent, RunTime};
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::plan::Body;
use pop_contract::{Blame, DiagnosticEvent, DispatchReport, Failure};
use serde_json::{Value, json};
use std::sync::Arc;

impl Scheduler {
    /// The event that settles an operation whose parts are all settled.
    pub(super) fn join(&self, op: OpIx) -> Decision {
        let none = Parts::default();
        let parts = self.parts.get(&op).unwrap_or(&none);
        let is_any = |outcome| parts.all.iter().any(|part| self.table.outcome(*part) == Some(outcome));
        let failures = self.plan.operation(op).for_each().map(|for_each| for_each.failures);
        if let Some(failures @ (ItemFailures::Drop | ItemFailures::Keep)) = failures {
            if is_any(Outcome::Cancelled) {
                return settled(op, Outcome::Cancelled).into();
            }
            return self.join_with(op, self.items_result(parts, failures));
        }
        let worst = [Outcome::Failed, Outcome::Cancelled, Outcome::DeadLettered];
        if let Some(outcome) = worst.into_iter().find(|outcome| is_any(*outcome)) {
            return settled(op, outcome).into();
        }
        if let Some(calls) = &parts.calls {
            return self.join_calls(op, calls);
        }
        let planned = self.plan.operation(op);
        if let (Some(body), None) = (planned.body(), planned.for_each()) {
            return self.join_body(op, body, parts);
        }
        let result = |part: &OpIx| self.result_of(*part);
        self.join_with(op, Value::Array(parts.all.iter().map(result).collect()))
    }

    fn result_of(&self, part: OpIx) -> Value {
        self.results.get(&part).map_or(Value::Null, |result| result.as_ref().clone())
    }

    /// The result of an operation of type `agenda`: that of its body.
    fn join_body(&self, op: OpIx, body: &Body, parts: &Parts) -> Decision {
        // its references are those of an operation inside
        let (Some(result), Some(inside)) = (&body.result, parts.all.first()) else {
            return self.join_with(op, Value::Null);
        };
        match self.fill(*inside, result) {
            Ok(result) => self.join_with(op, result),
            Err(error) => {
                let message = format!("`{}` in its result: {}", error.token, error.problem);
                let failure = Failure::new(Blame::Handler, error.code, message);
                self.joined_event(op, Ending::Failed(Box::new(failure))).into()
            }
        }
    }

    /// The result of an operation whose items may fail.
    fn items_result(&self, parts: &Parts, failures: ItemFailures) -> Value {
        let items = parts.all.iter().zip(parts.items.iter());
        if failures == ItemFailures::Drop {
            let good = items.filter(|(part, _)| self.table.outcome(**part).is_some_and(Outcome::has_result));
            return good.map(|(part, _)| self.result_of(*part)).collect();
        }
        let entry = |(part, item): (&OpIx, &Value)| {
            let outcome = self.table.outcome(*part).map(Outcome::word);
            let mut entry = json!({"item": item, "outcome": outcome});
            match self.failure_in(*part) {
                Some((failed, failure)) => {
                    let name = self.plan.operation(failed).name.as_str();
                    entry["failure"] = json!({
                        "operation": name,
                        "code": failure.code,
                        "blame": failure.blame,
                        "message": failure.message,
                    });
                }
                None => entry["result"] = self.result_of(*part),
            }
            entry
        };
        items.map(entry).collect()
    }

    fn join_calls(&self, op: OpIx, calls: &Calls) -> Decision {
        let report = self.report(op, calls);
        if let Some(called) = self.restart_after(op, calls, &report) {
            return self.decide_growth(op, Growth::Restart(called));
        }
        if report.succeeded {
            return self.join_with(op, json!(report));
        }
        let message = failure_message(&report);
        let mut failure = Failure::new(Blame::Handler, "dispatch", message.clone());
        failure
            .diagnostics
            .push(DiagnosticEvent { payload: Some(json!(report)), ..DiagnosticEvent::new(message) });
        self.joined_event(op, Ending::Failed(Box::new(failure))).into()
    }

    /// Settles with a combined result, unless a generator's result breaks a rule.
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
        let outcome = match &ending {
            Ending::Succeeded { .. } => Outcome::Succeeded,
            _ => outcome_of_failure(self.plan.operation(op).policies.on_fail.value),
        };
        RunEvent::Joined { op, ending, outcome }
    }

    pub(super) fn joined(&mut self, op: OpIx, ending: &Ending, outcome: Outcome, now: RunTime) {
        let Ending::Succeeded { result } = ending else {
            if let Ending::Failed(failure) = ending {
                self.note_failure(op, failure);
            }
            if outcome == Outcome::Skipped {
                self.keep_result(op, &Arc::new(Value::Null));
            }
            return self.settle(op, outcome, now);
        };
        self.keep_result(op, result);
        self.settle(op, Outcome::Succeeded, now);
        self.forget_parts(op);
    }
}

/// The messages of the calls that did not succeed.
fn failure_message(report: &DispatchReport) -> String {
    const LONGEST: usize = 400;
    let mut words = Vec::new();
    for (type_id, calls) in &report.details {
        let one = std::slice::from_ref(calls);
        for call in
            calls.as_array().map_or(one, Vec::as_slice).iter().filter(|call| call["succeeded"] != true)
        {
            let details = &call["details"];
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
