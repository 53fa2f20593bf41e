//! Launches for which the system had no room, put off until there may be some.

use pop_launchers::LaunchId;
use std::collections::HashMap;
use tokio::time::{Duration, Instant};

/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often a launch is put off, half a minute in all; then its attempt has failed.
const MOST_TIMES: u32 = 12;

/// What is to be launched again, and when.
#[derive(Debug, Default)]
pub(crate) struct Postponed {
    launches: HashMap<LaunchId, Wait>,
}

#[derive(Debug, Default)]
struct Wait {
    times: u32,
    /// None while it is tried.
    until: Option<Instant>,
}

impl Postponed {
    /// Puts a launch off; false if it was put off too often.
    pub(crate) fn put_off(&mut self, id: LaunchId, now: Instant) -> bool {
        let wait = self.launches.entry(id).or_default();
        wait.until = Some(now + (FIRST_WAIT * 2_u32.pow(wait.times)).min(LONGEST_WAIT));
        wait.times += 1;
        wait.times <= MOST_TIMES
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
