//! A scheduler in the state that a journal tells; and what a run can take over from another's reported progress.

use pop_agenda::{Adopted, OpIx, Plan, Recorded, RunEvent, RunOptions, RunTime, Scheduler};
use pop_registry::contract::{AgendaProgress, Millis, ProcessingState};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// A run as its journal left it.
#[derive(Debug)]
pub struct Restored {
    /// The plan in the state after the last event.
    pub scheduler: Scheduler,
    /// When the run began by the wall clock and the time of its last event; none if it never began.
    pub began: Option<(Millis, RunTime)>,
}

/// Applies the events of a journal to a plan.
pub fn restore(plan: Arc<Plan>, events: &[Recorded]) -> Restored {
    let mut scheduler = Scheduler::new(plan, RunOptions::default());
    for event in events {
        scheduler.evolve(event);
    }
    let started = events.iter().find_map(|recorded| match recorded.event {
        RunEvent::RunStarted { started, .. } => Some(started),
        _ => None,
    });
    let began = started.zip(events.last().map(|last| last.at));
    Restored { scheduler, began }
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
