//! Operations that wait, and why, as far as the events of a run tell.

use super::event_text::shown;
use pop_agenda::{Answer, EventRecord, Gate, OpIx, Plan, RunEvent};
use pop_contract::visible;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The waiting operations of a run.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    waits: BTreeMap<OpIx, Wait>,
    /// Gates of operations that are at one, with the number of the next gate.
    gates: BTreeMap<OpIx, (Arc<[Gate]>, usize)>,
}

/// Why an operation waits.
#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) name: String,
    reason: String,
    /// End of the wait, if it is known.
    until: Option<Instant>,
}

impl Wait {
    /// The reason, with the seconds that are left.
    pub(crate) fn text(&self, now: Instant) -> String {
        match self.until {
            Some(until) => format!(
                "{} in {}s",
                self.reason,
                until.saturating_duration_since(now).as_millis().div_ceil(1_000)
            ),
            None => self.reason.clone(),
        }
    }
}

impl Waits {
    /// Number of waiting operations.
    pub(crate) fn len(&self) -> usize {
        self.waits.len()
    }

    /// The waiting operations, in the order of the agenda.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Wait> {
        self.waits.values()
    }

    /// Takes an event that happened at `at`.
    pub(crate) fn add(&mut self, plan: &Plan, recorded: &EventRecord, at: Instant) {
        let Some(op) = recorded.event.operation() else {
            if matches!(recorded.event, RunEvent::RunResumed { .. } | RunEvent::RunEnded { .. }) {
                *self = Self::default();
            }
            return;
        };
        let until = |ms: u64| Some(at + Duration::from_millis(ms));
        match &recorded.event {
            RunEvent::BackedOff { until: end, .. } => {
                self.set(plan, op, "next attempt".to_owned(), until(end.0.saturating_sub(recorded.at.0)));
            }
            RunEvent::GatesSet { gates, .. } => {
                self.gates.insert(op, (Arc::clone(gates), 0));
                self.at_gate(plan, op);
            }
            // the answer follows soon
            RunEvent::GateAsked { .. } => drop(self.waits.remove(&op)),
            RunEvent::GateAnswered { answer, .. } => match answer {
                Answer::Busy { holder } => {
                    self.set(plan, op, format!("waits for {}", visible(holder)), None);
                }
                Answer::Later { ms } => self.set(plan, op, "delayed: starts".to_owned(), until(*ms)),
                answer if answer.passes() => {
                    if let Some((_, next)) = self.gates.get_mut(&op) {
                        *next += 1;
                    }
                    self.at_gate(plan, op);
                }
                _ => self.forget(op),
            },
            RunEvent::PlanGrown { .. } | RunEvent::LateEnding { .. } => {}
            _ => self.forget(op),
        }
    }

    fn forget(&mut self, op: OpIx) {
        self.waits.remove(&op);
        self.gates.remove(&op);
    }

    /// The operation stands at its next gate. Until the gate is asked, another operation of the run holds it.
    fn at_gate(&mut self, plan: &Plan, op: OpIx) {
        let gate = self.gates.get(&op).and_then(|(gates, next)| gates.get(*next));
        let reason = match gate {
            Some(Gate::Lock { name }) => format!("waits for the lock {}", visible(name)),
            Some(Gate::Delay { id: Some(id), .. }) => format!("waits for the delay {}", visible(id)),
            _ => return drop(self.waits.remove(&op)),
        };
        self.set(plan, op, reason, None);
    }

    fn set(&mut self, plan: &Plan, op: OpIx, reason: String, until: Option<Instant>) {
        self.waits.insert(op, Wait { name: shown(plan, op), reason, until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::{Agenda, RunTime};
    use pop_contract::LaunchType;
    use pop_registry::Catalog;
    use serde_json::json;

    #[test]
    fn operation_waits_from_its_gate_or_back_off_to_its_next_attempt() {
        let operations = json!([{"name": "a", "type": "sample"}, {"name": "b", "type": "sample"}]);
        let mut faults = Vec::new();
        let agenda = Agenda::parse(json!({"operations": operations}), &mut faults).unwrap();
        let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap();
        let (mut waits, now) = (Waits::default(), Instant::now());
        let mut add = |event: RunEvent| {
            waits.add(&plan, &EventRecord { at: RunTime(1_000), event }, now);
            waits
                .iter()
                .map(|wait| format!("{} {}", wait.name, wait.text(now)))
                .collect::<Vec<_>>()
                .join("; ")
        };
        let (a, b) = (OpIx(0), OpIx(1));
        let lock = |name: &str| Gate::Lock { name: name.into() };
        assert_eq!(
            add(RunEvent::GatesSet { op: a, gates: [lock("k"), lock("l")].into() }),
            "a waits for the lock k"
        );
        assert_eq!(
            add(RunEvent::BackedOff { op: b, until: RunTime(3_500) }),
            "a waits for the lock k; b next attempt in 3s"
        );
        assert_eq!(add(RunEvent::GateAsked { op: a }), "b next attempt in 3s");
        let busy = Answer::Busy { holder: "run r".into() };
        assert_eq!(
            add(RunEvent::GateAnswered { op: a, answer: busy }),
            "a waits for run r; b next attempt in 3s"
        );
        assert_eq!(add(RunEvent::BackoffEnded { op: b }), "a waits for run r");
        assert_eq!(add(RunEvent::GateAnswered { op: a, answer: Answer::Granted }), "a waits for the lock l");
        assert_eq!(add(RunEvent::AttemptStarted { op: a, attempt: 1 }), "");
    }
}
