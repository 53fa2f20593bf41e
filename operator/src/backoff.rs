//! Times between failed calls for one parent.

use std::collections::BTreeMap;
use std::time::Duration;

/// Times that grow with the number of failures. They contain jitter, so that parents do not come back all at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Time after the first failure.
    pub initial: Duration,
    /// Multiplier from each failure to the next, 1 or more.
    pub factor: f64,
    /// Largest deviation as a part of the time, from 0 to 1.
    pub jitter: f64,
    /// Longest time, jitter included.
    pub cap: Duration,
    /// Failures in a row after which there is no further call until something changes; none never gives up.
    pub give_up_after: Option<u32>,
}

impl Default for Backoff {
    /// 100 ms, then half more each time, up to 600 s; jitter of 50 %.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            factor: 1.5,
            jitter: 0.5,
            cap: Duration::from_mins(10),
            give_up_after: None,
        }
    }
}

impl Backoff {
    /// Always the same time.
    pub fn fixed_interval(interval: Duration) -> Self {
        Self { initial: interval, factor: 1.0, jitter: 0.0, cap: interval, give_up_after: None }
    }

    /// No call after a failure, until something changes.
    pub fn never_retry() -> Self {
        Self { give_up_after: Some(1), ..Self::default() }
    }

    /// The time after this number of failures in a row, from 1; none if it gives up. Equal arguments give equal times,
    /// and different keys give different jitter.
    pub fn delay(&self, key: &str, failures: u32) -> Option<Duration> {
        if self.give_up_after.is_some_and(|most| failures >= most) {
            return None;
        }
        let cap = self.cap.as_secs_f64();
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let time = self.initial.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        // the jitter around the cap stays below it
        let jitter = self.jitter.clamp(0.0, 1.0);
        let middle = time.min(cap / (1.0 + jitter));
        let seconds = middle * (1.0 + jitter * (2.0 * fraction(key, failures) - 1.0));
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(self.cap).min(self.cap))
    }
}

/// A number from 0 to 1 that depends on all bits of the arguments (FNV-1a and the finish of splitmix64).
fn fraction(key: &str, failures: u32) -> f64 {
    let bytes = key.bytes().chain(failures.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (hash ^ (hash >> 31)) as f64 / u64::MAX as f64
}

/// Failures in a row of each parent.
#[derive(Debug, Clone, Default)]
pub struct Failures(BTreeMap<String, u32>);

impl Failures {
    /// Failures in a row of the parent with this uid.
    pub fn count(&self, uid: &str) -> u32 {
        self.0.get(uid).copied().unwrap_or(0)
    }

    /// Records a failure; the result is the number of failures in a row.
    pub fn add(&mut self, uid: &str) -> u32 {
        let count = self.0.entry(uid.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// Forgets the failures of a parent, after a success or when it is gone.
    pub fn reset(&mut self, uid: &str) {
        self.0.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o17_delays_grow_from_100_ms_and_stay_inside_the_cap() {
        let backoff = Backoff::default();
        let mut before = 0.0;
        for failures in 1..2_000 {
            let mut sum = 0.0;
            for parent in 0..100 {
                let delay = backoff.delay(&format!("uid-{parent}"), failures).unwrap().as_secs_f64();
                let middle = (0.1 * 1.5_f64.powf(f64::from(failures.min(60)) - 1.0)).min(400.0);
                assert!(delay >= middle * 0.499 && delay <= middle * 1.501 && delay <= 600.0, "{delay}");
                sum += delay;
            }
            assert!(failures > 20 || sum > before, "later failures wait longer");
            before = sum;
        }
    }

    #[test]
    fn o17_failures_are_counted_by_parent_and_reset() {
        let mut failures = Failures::default();
        assert_eq!((failures.add("a"), failures.add("a"), failures.add("b")), (1, 2, 1));
        failures.reset("a");
        assert_eq!((failures.count("a"), failures.count("b"), failures.add("a")), (0, 1, 1));
    }

    #[test]
    fn o23_backoff_may_be_fixed_or_give_up() {
        let second = Duration::from_secs(1);
        assert_eq!(Backoff::fixed_interval(second).delay("a", 90), Some(second));
        assert_eq!(Backoff::never_retry().delay("a", 1), None);
        let three = Backoff { give_up_after: Some(3), ..Backoff::default() };
        assert!(three.delay("a", 2).is_some() && three.delay("a", 3).is_none());
        assert_eq!(
            Backoff { factor: 9e99, ..Backoff::default() }.delay("a", u32::MAX).map(|d| d <= 600 * second),
            Some(true)
        );
    }
}
