//! The state of a run for reporters: its plan, which may grow, and its history.

use pop_agenda::{EventRecord, History, Plan, Sink};
use std::sync::{Arc, Mutex, PoisonError};

/// The state of a run, updated by a [`Follower`].
#[derive(Debug, Clone)]
pub struct FollowedRun {
    /// The plan at the start of the run; the current plan if `follows_plan` is set.
    pub plan: Arc<Plan>,
    /// Whether to update the plan. The executor must copy a growing plan if another owner has it.
    pub follows_plan: bool,
    /// The history of the run.
    pub history: History,
}

/// Updates a shared [`FollowedRun`] with each event.
pub struct Follower(pub Arc<Mutex<FollowedRun>>);

impl Sink for Follower {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        let mut followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.follows_plan && plan.len() != followed.plan.len() {
            followed.plan = Arc::clone(plan);
        }
        followed.history.add(recorded);
    }
}
