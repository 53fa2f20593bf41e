//! Launches for which the system had no room, put off until there may be some.

use pop_launchers::LaunchId;
use std::collections::HashMap;
use tokio::time::{Duration, Instant};

/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a launch is tried while nothing runs whose end could make room for it; then its attempt has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be launched again, and when.
#[derive(Debug, Default)]
pub(crate) struct Postponed {
    launches: HashMap<LaunchId, Wait>,
    /// Since when nothing else was found running.
    alone_since: Option<Instant>,
}

#[derive(Debug)]
struct Wait {
    since: Instant,
    /// How long the next wait is.
    pause: Duration,
    /// None while it is tried.
    until: Option<Instant>,
}

impl Postponed {
    /// Puts a launch off; false if there is no more sense in that. `is_alone`: nothing else runs.
    pub(crate) fn put_off(&mut self, id: LaunchId, now: Instant, is_alone: bool) -> bool {
        let first = Wait { since: now, pause: FIRST_WAIT, until: None };
        let wait = self.launches.entry(id).or_insert(first);
        wait.until = Some(now + wait.pause);
        wait.pause = (wait.pause * 2).min(LONGEST_WAIT);
        if !is_alone {
            self.alone_since = None;
            return true;
        }
        now < *self.alone_since.get_or_insert(now) + PATIENCE
    }

    /// Something has ended: whoever waits longest need wait no longer.
    pub(crate) fn hasten(&mut self, now: Instant) {
        self.alone_since = None;
        let waiting = self.launches.values_mut().filter(|wait| wait.until.is_some());
        if let Some(wait) = waiting.min_by_key(|wait| wait.since) {
            wait.until = Some(now);
        }
    }

    /// Forgets a launch that is over; true if it was waiting.
    pub(crate) fn forget(&mut self, id: LaunchId) -> bool {
        self.launches.remove(&id).is_some_and(|wait| wait.until.is_some())
    }

    /// When the next is to be tried.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.launches.values().filter_map(|wait| wait.until).min()
    }

    /// What is to be tried now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<LaunchId> {
        let due = self.launches.iter_mut().filter(|(_, wait)| wait.until.is_some_and(|until| until <= now));
        due.map(|(id, wait)| {
            wait.until = None;
            *id
        })
        .collect()
    }
}
