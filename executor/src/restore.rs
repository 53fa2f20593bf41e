//! Restores a scheduler from a journal, and reads outcomes to adopt from the progress of an earlier run.

use crate::journal::JournalError;
use pop_agenda::{
    EventRecord, Finally, OpIx, Plan, PriorOutcome, PriorOutcomes, RunEvent, RunOptions, RunTime, Scheduler,
};
use pop_contract::{AgendaProgress, Millis, OperationReached, ProcessingState};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// A run restored from its journal.
#[derive(Debug)]
pub struct RestoredRun {
    /// The scheduler in the state after the last event.
    pub scheduler: Scheduler,
    /// Wall-clock start of the run and the time of its last event; none if it never began.
    pub began: Option<(Millis, RunTime)>,
}

/// Applies the events of a journal to a plan. Errors name `path`, the journal's file.
///
/// An event with an operation that is not in the plan, and was not added by an earlier event, is an error.
pub fn restore(plan: Arc<Plan>, events: &[EventRecord], path: &Path) -> Result<RestoredRun, JournalError> {
    let mut restored = RestoredRun::new(plan);
    for recorded in events {
        restored.add(recorded, path)?;
    }
    Ok(restored)
}

impl RestoredRun {
    /// A run without events.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self { scheduler: Scheduler::new(plan, RunOptions::default()), began: None }
    }

    /// Applies the next event, as [`restore`] does.
    pub fn add(&mut self, recorded: &EventRecord, path: &Path) -> Result<(), JournalError> {
        let scheduler = &mut self.scheduler;
        let count = scheduler.plan().len();
        let unfit = |op: OpIx| JournalError::Unfit { path: path.to_owned(), op: op.0, count };
        if let Some(op) = last_operation(&recorded.event).filter(|op| op.index() >= count) {
            return Err(unfit(op));
        }
        if let RunEvent::PlanGrown { count: grown, adopted, .. } = &recorded.event
            && let Some(op) = adopted.iter().map(|adopted| adopted.op).max()
            && op.index() >= count + *grown as usize
        {
            return Err(unfit(op));
        }
        scheduler.evolve(recorded);
        if let RunEvent::PlanGrown { by, count: grown, .. } = recorded.event
            && scheduler.plan().len() != count + grown as usize
        {
            return Err(unfit(by));
        }
        let started = match recorded.event {
            RunEvent::RunStarted { started, .. } => Some(started),
            _ => None,
        };
        self.began = self.began.map(|(started, _)| started).or(started).zip(Some(recorded.at));
        Ok(())
    }
}

/// The highest operation number in an event.
fn last_operation(event: &RunEvent) -> Option<OpIx> {
    match event {
        RunEvent::RunStarted { adopted, .. } => adopted.iter().map(|adopted| adopted.op).max(),
        RunEvent::RunReopened { ops } => ops.iter().copied().max(),
        other => other.operation(),
    }
}

/// The outcomes of an earlier run of the agenda, from its reported progress. Names that the plan does not have are kept,
/// because the run may add operations. If an operation has several entries, the last one counts, because it is the
/// newest.
pub fn adopt(plan: &Plan, progress: AgendaProgress) -> PriorOutcomes {
    let names: HashMap<&str, OpIx> =
        plan.operations().map(|(op, planned)| (planned.name.as_str(), op)).collect();
    let mut newest: BTreeMap<String, OperationReached> = BTreeMap::new();
    for reached in progress.operation_progress {
        if let Some(name) = reached.progress.operation.clone() {
            newest.insert(name, reached);
        }
    }
    let mut adopted = PriorOutcomes::default();
    for (name, OperationReached { progress, result }) in newest {
        let (result, progress) = if progress.is_succeeded() {
            // an empty result of POP means an empty map
            (Some(Arc::new(result.unwrap_or_else(|| Value::Object(serde_json::Map::new())))), None)
        } else if progress.processing_state == Some(ProcessingState::Waiting) {
            continue;
        } else {
            (None, Some(Arc::new(progress)))
        };
        match names.get(name.as_str()) {
            Some(op) => adopted.planned.push(PriorOutcome { op: *op, result, progress }),
            None => adopted.by_name.push(PriorOutcome { op: name.into(), result, progress }),
        }
    }
    adopted.planned.sort_by_key(|adopted| adopted.op);
    forget_clean_up(plan, &mut adopted.planned);
    adopted
}

/// Forgets the outcomes of clean-up that must run again: the run ends again, as after a resume (`finally` in
/// docs/formats/agenda.md).
fn forget_clean_up(plan: &Plan, adopted: &mut Vec<PriorOutcome<OpIx>>) {
    let done: HashSet<OpIx> =
        adopted.iter().filter(|prior| prior.result.is_some()).map(|prior| prior.op).collect();
    let is_repeated = |op: OpIx| match plan.operation(op).rare.as_ref().and_then(|rare| rare.finally) {
        None => false,
        Some(Finally::Always) => true,
        Some(Finally::WhenRepeated) if plan.operation(op).is_last() => {
            plan.operations().any(|(other, planned)| !planned.is_last() && !done.contains(&other))
        }
        Some(Finally::WhenRepeated) => plan.graph().dependencies(op).any(|edge| !done.contains(&edge.on)),
    };
    adopted.retain(|prior| !is_repeated(prior.op));
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::Agenda;
    use pop_contract::LaunchType;
    use pop_registry::Catalog;
    use serde_json::json;

    fn plan(names: &[&str]) -> Arc<Plan> {
        let operations: Vec<Value> =
            names.iter().map(|name| json!({"name": name, "type": "sample"})).collect();
        let agenda = Agenda::parse(json!({"operations": operations}), &mut Vec::new()).unwrap();
        Arc::new(Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut Vec::new()).unwrap())
    }

    fn adopted(text: &str) -> Vec<(u32, Option<Value>, bool)> {
        let adopted = adopt(&plan(&["x", "y"]), AgendaProgress::parse(text).unwrap());
        adopted
            .planned
            .into_iter()
            .map(|a| (a.op.0, a.result.as_deref().cloned(), a.progress.is_some()))
            .collect()
    }

    #[test]
    fn clean_up_of_an_earlier_run_is_done_again() {
        let operations = json!([
            {"name": "x", "type": "sample"}, {"name": "y", "type": "sample"},
            {"name": "tells", "type": "sample", "params": {"finally": true}},
            {"name": "undoes", "type": "sample", "params": {"finally": "whenRepeated"}},
            {"name": "undoesX", "type": "sample", "params": {"finally": "whenRepeated", "dependsOn": "x"}},
        ]);
        let agenda = Agenda::parse(json!({ "operations": operations }), &mut Vec::new()).unwrap();
        let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut Vec::new()).unwrap();
        let adopted = |names: &[&str]| {
            let entry = |name: &&str| json!({"operation": name, "processingState": "COMPLETE", "processingStateMessage": "succeeded"});
            let entries: Vec<Value> = names.iter().map(entry).collect();
            let progress =
                AgendaProgress::parse(&json!({ "operationProgress": entries }).to_string()).unwrap();
            adopt(&plan, progress).planned.iter().map(|prior| prior.op.0).collect::<Vec<_>>()
        };
        assert_eq!(adopted(&["x", "tells", "undoes", "undoesX"]), [0, 4]);
        assert_eq!(adopted(&["x", "y", "tells", "undoes", "undoesX"]), [0, 1, 3, 4]);
        assert_eq!(adopted(&["y", "undoesX"]), [1]);
    }

    #[test]
    fn fr_l2_last_entry_of_an_operation_counts() {
        let done = r#"{"operation":"x","processingState":"COMPLETE","processingStateMessage":"succeeded","resultPayload":"7"}"#;
        let begun = r#"{"operation":"x","processingState":"EXECUTING","percentComplete":5}"#;
        let waiting = r#"{"operation":"x","processingState":"WAITING"}"#;
        let all = |entries: [&str; 2]| adopted(&format!("{{\"operationProgress\":[{}]}}", entries.join(",")));
        assert_eq!(all([done, begun]), [(0, None, true)]);
        assert_eq!(all([begun, done]), [(0, Some(json!(7)), false)]);
        assert_eq!(all([done, waiting]), []);
    }

    #[test]
    fn fr_l1_null_result_is_adopted() {
        let entry = |result: &str| {
            adopted(&format!(
                r#"{{"operationProgress":[{{"operation":"y","processingState":"COMPLETE","processingStateMessage":"succeeded"{result}}}]}}"#
            ))
        };
        assert_eq!(entry(r#","resultPayload":"null""#), [(1, Some(Value::Null), false)]);
        assert_eq!(entry(r#","resultPayload":"""#), [(1, Some(json!({})), false)]);
        assert_eq!(entry(""), [(1, Some(json!({})), false)]);
    }

    #[test]
    fn journal_with_an_unknown_operation_is_refused() {
        let plan = |count: usize| {
            let name = |index| json!({"name": format!("o{index}"), "type": "sample"});
            let operations: Vec<Value> = (0..count).map(name).collect();
            let agenda = Agenda::parse(json!({"operations": operations}), &mut Vec::new()).unwrap();
            Arc::new(Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut Vec::new()).unwrap())
        };
        let adopted = vec![PriorOutcome { op: OpIx(2), result: None, progress: None }];
        let started = RunEvent::RunStarted {
            run: "r".into(),
            started: 0,
            options: RunOptions::default(),
            adopted,
            adoptable: Vec::new(),
            parent: None,
        };
        let grown = RunEvent::PlanGrown { by: OpIx(1), count: 1, adopted: Vec::new() };
        let reopened = RunEvent::RunReopened { ops: [OpIx(0), OpIx(2)].into() };
        let attempt = RunEvent::AttemptStarted { op: OpIx(2), attempt: 1 };
        for (event, fits) in [(started, true), (attempt, true), (reopened, true), (grown, false)] {
            let events = [EventRecord { at: RunTime(0), event }];
            assert_eq!(restore(plan(3), &events, Path::new("j")).is_ok(), fits);
            assert!(restore(plan(2), &events, Path::new("j")).is_err());
        }
    }
}
