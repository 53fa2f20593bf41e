//! Launches for which the system had no resources, postponed until it may have some.

use pop_launchers::LaunchId;
use std::collections::BTreeMap;
use tokio::time::{Duration, Instant};

/// First wait before a launch is repeated; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest wait before a launch is repeated.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Longest time that launches are repeated while nothing else runs whose end could free resources. Then the attempt fails.
const ALONE_LIMIT: Duration = Duration::from_secs(30);

/// Launches to repeat, each with its time.
#[derive(Debug, Default)]
pub(crate) struct Postponed {
    launches: BTreeMap<LaunchId, Wait>,
    /// Time at which a failed launch first found nothing else running.
    alone_since: Option<Instant>,
}

#[derive(Debug)]
struct Wait {
    since: Instant,
    /// Length of the next wait.
    pause: Duration,
    /// End of the current wait; none while the launch is tried.
    until: Option<Instant>,
}

impl Postponed {
    /// Postpones a launch. False if the limit is over and the attempt fails. `is_alone`: nothing else runs.
    pub(crate) fn put_off(&mut self, id: LaunchId, now: Instant, is_alone: bool) -> bool {
        let first = Wait { since: now, pause: FIRST_WAIT, until: None };
        let wait = self.launches.entry(id).or_insert(first);
        wait.until = Some(now + wait.pause);
        wait.pause = (wait.pause * 2).min(LONGEST_WAIT);
        if !is_alone {
            self.alone_since = None;
            return true;
        }
        now < *self.alone_since.get_or_insert(now) + ALONE_LIMIT
    }

    /// Makes the oldest waiting launch due, because something has ended and freed resources.
    pub(crate) fn hasten(&mut self, now: Instant) {
        self.alone_since = None;
        let waiting = self.launches.values_mut().filter(|wait| wait.until.is_some());
        if let Some(wait) = waiting.min_by_key(|wait| wait.since) {
            wait.until = Some(now);
        }
    }

    /// Removes a launch. True if it was waiting.
    pub(crate) fn forget(&mut self, id: LaunchId) -> bool {
        self.launches.remove(&id).is_some_and(|wait| wait.until.is_some())
    }

    /// Time of the next launch.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.launches.values().filter_map(|wait| wait.until).min()
    }

    /// Returns the launches that are due and marks them as tried.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<LaunchId> {
        let due = self.launches.iter_mut().filter(|(_, wait)| wait.until.is_some_and(|until| until <= now));
        due.map(|(id, wait)| {
            wait.until = None;
            *id
        })
        .collect()
    }
}
