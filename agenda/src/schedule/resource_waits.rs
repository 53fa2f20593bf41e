//! The waits of one operation for resources, derived from the records of its run.

use super::{Explanation, Scheduler, Shortage};
use crate::event::{EventRecord, RunOptions, RunTime};
use crate::ops::OpIx;
use crate::plan::Plan;
use std::sync::Arc;

/// A time during which an operation was ready but too little of what it needs was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceWait {
    /// Begin of the wait.
    pub from: RunTime,
    /// End of the wait; none while it lasts.
    pub until: Option<RunTime>,
    /// The resources that it waited for at the begin.
    pub shortages: Vec<Shortage>,
    /// The operations that held them at the begin.
    pub held_by: Vec<OpIx>,
    /// The operation before it in line, for which the rest was reserved at the begin, if any.
    pub reserved_for: Option<OpIx>,
}

/// The waits of an operation for resources, oldest first. `plan` is the plan with which the run began.
///
/// No event records these waits, because they follow from the others. A wait of less than a millisecond is left out.
pub fn resource_waits(plan: Arc<Plan>, records: &[EventRecord], op: OpIx) -> Vec<ResourceWait> {
    let mut scheduler = Scheduler::new(plan, RunOptions::default());
    let mut waits: Vec<ResourceWait> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        scheduler.evolve(record);
        let next = records.get(index + 1);
        // between the records of one instant, the state has no duration
        if next.is_some_and(|next| next.at == record.at) || op.index() >= scheduler.plan().len() {
            continue;
        }
        let open = waits.last_mut().filter(|wait| wait.until.is_none());
        match (scheduler.explain(op), open) {
            (Explanation::NoResources { shortages, held_by, reserved_for }, None) => {
                waits.push(ResourceWait { from: record.at, until: None, shortages, held_by, reserved_for });
            }
            (Explanation::NoResources { .. }, Some(_)) | (_, None) => {}
            (_, Some(wait)) => wait.until = Some(record.at),
        }
    }
    waits
}
