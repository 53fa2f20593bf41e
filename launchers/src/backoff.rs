//! Exponential backoff with a deadline.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// First wait before a retry; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest wait between two retries.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The waits between retries of one request.
#[derive(Debug)]
pub(crate) struct Backoff {
    wait: Duration,
    until: Option<Instant>,
}

impl Backoff {
    /// Retries until `patience` is over; without a limit if it is `None`.
    pub(crate) fn new(patience: Option<Duration>) -> Self {
        Self { wait: FIRST_WAIT, until: patience.map(|patience| Instant::now() + patience) }
    }

    /// Waits at least `at_least` before the next retry; false if the deadline would pass.
    pub(crate) async fn next(&mut self, at_least: Duration) -> bool {
        // jitter, so that several launches do not retry at the same moment
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
