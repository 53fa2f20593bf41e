//! A scheduler in the state that a journal tells; and what a run can take over from another's reported progress.

use crate::journal::JournalError;
use pop_agenda::{Adopted, OpIx, Plan, Recorded, RunEvent, RunOptions, RunTime, Scheduler};
use pop_registry::contract::{AgendaProgress, Millis, ProcessingState};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// A run as its journal left it.
#[derive(Debug)]
pub struct Restored {
    /// The plan in the state after the last event.
    pub scheduler: Scheduler,
    /// When the run began by the wall clock and the time of its last event; none if it never began.
    pub began: Option<(Millis, RunTime)>,
}

/// Applies the events of a journal to a plan; `path` is the journal's, for errors.
///
/// Nothing is made of events that are not of this plan: each operation must be in it, or have come into it before.
pub fn restore(plan: Arc<Plan>, events: &[Recorded], path: &Path) -> Result<Restored, JournalError> {
    let mut scheduler = Scheduler::new(plan, RunOptions::default());
    for recorded in events {
        let count = scheduler.plan().len();
        let unfit = |op: OpIx| JournalError::Unfit { path: path.to_owned(), op: op.0, count };
        if let Some(op) = last_operation(&recorded.event).filter(|op| op.index() >= count) {
            return Err(unfit(op));
        }
        scheduler.evolve(recorded);
        if let RunEvent::PlanGrown { by, count: grown } = recorded.event
            && scheduler.plan().len() != count + grown as usize
        {
            return Err(unfit(by));
        }
    }
    let started = events.iter().find_map(|recorded| match recorded.event {
        RunEvent::RunStarted { started, .. } => Some(started),
        _ => None,
    });
    let began = started.zip(events.last().map(|last| last.at));
    Ok(Restored { scheduler, began })
}

/// The highest number of an operation in an event.
fn last_operation(event: &RunEvent) -> Option<OpIx> {
    match event {
        RunEvent::RunStarted { adopted, .. } => adopted.iter().map(|adopted| adopted.op).max(),
        RunEvent::RunReopened { ops } => ops.iter().copied().max(),
        other => other.operation(),
    }
}

/// What an earlier run of the agenda had reached, by its reported progress; operations that are not known are left out.
pub fn adopt(plan: &Plan, progress: AgendaProgress) -> Vec<Adopted> {
    let names: HashMap<&str, OpIx> =
        plan.operations().map(|(op, planned)| (planned.name.as_str(), op)).collect();
    let reached = progress.operation_progress.into_iter().filter_map(|reached| {
        let op = *names.get(reached.progress.operation.as_deref()?)?;
        if reached.progress.is_succeeded() {
            // POP writes the result as JSON text; nothing was an empty result
            let text =
                reached.result_payload.filter(|text| !text.is_empty()).unwrap_or_else(|| "{}".to_owned());
            let result = serde_json::from_str(&text).unwrap_or(Value::String(text));
            return Some(Adopted { op, result: Some(Arc::new(result)), progress: None });
        }
        let is_waiting = reached.progress.processing_state == Some(ProcessingState::Waiting);
        (!is_waiting).then(|| Adopted { op, result: None, progress: Some(Arc::new(reached.progress)) })
    });
    reached.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::Agenda;
    use pop_registry::Catalog;
    use pop_registry::contract::LaunchType;
    use serde_json::json;

    #[test]
    fn an_operation_that_the_agenda_does_not_have_is_refused_also_where_it_was_taken_over() {
        let plan = |count: usize| {
            let name = |index| json!({"name": format!("o{index}"), "type": "sample"});
            let operations: Vec<Value> = (0..count).map(name).collect();
            let agenda = Agenda::parse(json!({"operations": operations}), &mut Vec::new()).unwrap();
            Arc::new(Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut Vec::new()).unwrap())
        };
        let adopted = vec![Adopted { op: OpIx(2), result: None, progress: None }];
        let started =
            RunEvent::RunStarted { run: "r".into(), started: 0, options: RunOptions::default(), adopted };
        let grown = RunEvent::PlanGrown { by: OpIx(1), count: 1 };
        let reopened = RunEvent::RunReopened { ops: [OpIx(0), OpIx(2)].into() };
        let attempt = RunEvent::AttemptStarted { op: OpIx(2), attempt: 1 };
        for (event, fits) in [(started, true), (attempt, true), (reopened, true), (grown, false)] {
            let events = [Recorded { at: RunTime(0), event }];
            assert_eq!(restore(plan(3), &events, Path::new("j")).is_ok(), fits);
            assert!(restore(plan(2), &events, Path::new("j")).is_err());
        }
    }
}
