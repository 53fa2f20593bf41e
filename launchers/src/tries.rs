//! Waits between tries, each longer than the last, until a deadline.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// The first wait before something is tried again; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How something is tried again.
#[derive(Debug)]
pub(crate) struct Tries {
    wait: Duration,
    until: Option<Instant>,
}

impl Tries {
    /// Tries until `patience` is over; for ever without one.
    pub(crate) fn for_as_long_as(patience: Option<Duration>) -> Self {
        Self { wait: FIRST_WAIT, until: patience.map(|patience| Instant::now() + patience) }
    }

    /// Waits before the next try, at least as long as was asked for; false if there is none.
    pub(crate) async fn next(&mut self, at_least: Duration) -> bool {
        // tries of several launches are spread, so that they do not come all at once
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let spread = Duration::from_micros(u64::from(nanos / 1_000 % 50_000));
        let wait = self.wait.max(at_least) + spread;
        if self.until.is_some_and(|until| Instant::now() + wait > until) {
            return false;
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        sleep(wait).await;
        true
    }
}
