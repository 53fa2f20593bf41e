//! Whether the watches and the loop are alive.

use crate::cache::Role;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The loop wakes at least that often.
pub(crate) const BEAT: Duration = Duration::from_secs(10);
/// A loop that was silent for this time is dead.
const LOOP_LIMIT: Duration = Duration::from_mins(1);

/// The times of the last signs of life.
#[derive(Debug)]
pub(crate) struct Health {
    contacts: Mutex<HashMap<Role, Instant>>,
    beat: Mutex<Instant>,
    watch_limit: Duration,
}

impl Health {
    /// The health of an operator that starts now, with watch requests of this duration.
    pub(crate) fn new(roles: impl IntoIterator<Item = Role>, watch_duration: Duration) -> Self {
        let now = Instant::now();
        Self {
            contacts: Mutex::new(roles.into_iter().map(|role| (role, now)).collect()),
            beat: Mutex::new(now),
            watch_limit: watch_duration + Duration::from_mins(1),
        }
    }

    /// Records an answer of the API server to a watch.
    pub(crate) fn contact(&self, role: &Role) {
        self.contacts().insert(role.clone(), Instant::now());
    }

    /// Records that the loop runs.
    pub(crate) fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The faults at a time; none if all is well.
    pub(crate) fn faults(&self, now: Instant) -> Vec<String> {
        let silent = |since: Instant| now.saturating_duration_since(since);
        let mut faults: Vec<String> = Vec::new();
        for (role, since) in &*self.contacts() {
            if silent(*since) > self.watch_limit {
                let kind = match role {
                    Role::Parent => "parents".to_owned(),
                    Role::Child(kind) => kind.to_string(),
                };
                faults.push(format!("no answer to the watch of {kind} for {} s", silent(*since).as_secs()));
            }
        }
        faults.sort();
        let beat = silent(*self.beat.lock().unwrap_or_else(PoisonError::into_inner));
        if beat > LOOP_LIMIT {
            faults.push(format!("the sync loop has not run for {} s", beat.as_secs()));
        }
        faults
    }

    fn contacts(&self) -> MutexGuard<'_, HashMap<Role, Instant>> {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_operator::GroupKind;

    #[test]
    fn silent_watch_or_loop_is_a_fault() {
        let pods = Role::Child(GroupKind::of("v1", "Pod"));
        let health = Health::new([Role::Parent, pods.clone()], Duration::from_secs(290));
        let now = Instant::now();
        assert_eq!(health.faults(now), [""; 0]);
        assert_eq!(health.faults(now + Duration::from_secs(61)), ["the sync loop has not run for 61 s"]);
        let faults = health.faults(now + Duration::from_secs(400));
        assert_eq!(faults[0], "no answer to the watch of Pod for 400 s");
        assert_eq!(faults.len(), 3);
    }
}
