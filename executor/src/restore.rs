//! A scheduler in the state that a journal tells.

use pop_agenda::{Plan, Recorded, RunEvent, RunOptions, RunTime, Scheduler};
use pop_registry::contract::Millis;
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
