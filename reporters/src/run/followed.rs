//! A run as it is followed while it goes on: its plan, which may grow, and its history.

use pop_agenda::{EventRecord, History, Plan, Sink};
use std::sync::{Arc, Mutex, PoisonError};

/// What is known of a run.
#[derive(Debug, Clone)]
pub struct FollowedRun {
    /// The plan that the run began with; with what was added so far, if it is followed too.
    pub plan: Arc<Plan>,
    /// Whether the plan is followed: each growth of one that somebody has costs a copy of it.
    pub follows_plan: bool,
    /// What has happened.
    pub history: History,
}

/// Follows a run for whoever else looks at the same value.
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
