//! Evaluates the conditions of an operation whose dependencies are settled.

use super::{Scheduler, StartError};
use crate::event::RunEvent;
use crate::ops::OpIx;
use crate::outcome::{Outcome, Outcomes};
use crate::plan::{OpRef, When};
use serde_json::{Map, Value, json};

impl Scheduler {
    /// The event that settles an operation without an attempt because a condition does not hold.
    pub(super) fn unmet_condition(&self, op: OpIx) -> Result<Option<RunEvent>, StartError> {
        let planned = self.plan.operation(op);
        let Some(rare) = &planned.rare else { return Ok(None) };
        let settled =
            |outcome, skipped| Some(RunEvent::OperationSettled { op, outcome, ignored: None, skipped });
        let outcome = |on| self.table.outcome(self.plan.resolve(op, on));
        if let Some(group) = rare.groups.iter().find(|group| !group.holds(&outcome)) {
            // as for plain dependencies: only an operation that names an outcome is skipped
            let is_plain = |(_, needs): &(OpRef, Outcomes)| needs.accepts_all_good();
            let is_skipped = !group.leaves().iter().all(is_plain);
            return Ok(settled(if is_skipped { Outcome::Skipped } else { Outcome::Cancelled }, None));
        }
        let is_for_instances = |when: &&When| planned.for_each().is_some() && when.reads_item;
        let Some(when) = rare.when.as_deref().filter(|when| !is_for_instances(when)) else { return Ok(None) };
        let (holds, decided) = when.pattern.decide(&self.facts(op, when)?)?;
        Ok(if holds { None } else { settled(Outcome::Skipped, Some(Box::new(decided))) })
    }

    /// The value that a `when` is evaluated for, with no more than the expression reads.
    fn facts(&self, op: OpIx, when: &When) -> Result<Value, StartError> {
        let mut facts = Map::new();
        if when.reads_inputs {
            facts.insert("inputs".to_owned(), self.inputs(op).clone());
        }
        if when.reads_payload {
            facts.insert("payload".to_owned(), self.payload(op)?.into_owned());
        }
        if let Some((item, index)) = self.item(op).filter(|_| when.reads_item) {
            facts.insert("item".to_owned(), item.clone());
            facts.insert("index".to_owned(), json!(index));
        }
        let result = |(name, on): &(Box<str>, OpRef)| {
            let result = self.results.get(&self.plan.resolve(op, *on)).map(|result| result.as_ref().clone());
            (name.to_string(), result.unwrap_or_default())
        };
        facts.insert("results".to_owned(), Value::Object(when.results.iter().map(result).collect()));
        let outcome = |(name, on): &(Box<str>, OpRef)| {
            let outcome = self.table.outcome(self.plan.resolve(op, *on));
            (name.to_string(), json!(outcome.map(Outcome::word)))
        };
        facts.insert("outcomes".to_owned(), Value::Object(when.outcomes.iter().map(outcome).collect()));
        Ok(Value::Object(facts))
    }
}
