//! Limits the rate of requests of each caller. Pure: the time is a parameter.

use std::collections::HashMap;

/// Callers that are remembered at most.
const MOST_CALLERS: usize = 10_000;

/// A bucket of requests for each caller: it refills at a constant rate.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// Requests a second.
    rate: f64,
    /// Requests at once.
    burst: f64,
    callers: HashMap<String, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: u64,
}

impl RateLimit {
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), burst: 2.0 * f64::from(rate), callers: HashMap::new() }
    }

    /// Takes one request of a caller at this time (milliseconds). If it is too many, says after how many milliseconds
    /// one may follow.
    pub(crate) fn take(&mut self, caller: &str, now: u64) -> Result<(), u64> {
        if self.callers.len() >= MOST_CALLERS {
            let (rate, burst) = (self.rate, self.burst);
            let is_full = |bucket: &Bucket| bucket.level + rate * since(bucket.at, now) >= burst;
            self.callers.retain(|_, bucket| !is_full(bucket));
        }
        let bucket = self.callers.entry(caller.to_owned()).or_insert(Bucket { level: self.burst, at: now });
        bucket.level = (bucket.level + self.rate * since(bucket.at, now)).min(self.burst);
        bucket.at = now;
        if bucket.level < 1.0 {
            return Err(((1.0 - bucket.level) / self.rate * 1_000.0).ceil() as u64);
        }
        bucket.level -= 1.0;
        Ok(())
    }
}

fn since(then: u64, now: u64) -> f64 {
    now.saturating_sub(then) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds_for_each_caller() {
        let mut limit = RateLimit::new(10);
        let passed = (0..100).filter(|_| limit.take("a", 0).is_ok()).count();
        assert_eq!(passed, 20);
        assert_eq!(limit.take("a", 0), Err(100));
        assert_eq!(limit.take("b", 0), Ok(()));
        assert_eq!(limit.take("a", 100), Ok(()));
        let passed = (1..=1_000).filter(|step| limit.take("a", 100 + step * 10).is_ok()).count();
        assert!((99..=101).contains(&passed), "{passed}");
    }

    #[test]
    fn idle_callers_are_forgotten() {
        let mut limit = RateLimit::new(10);
        for caller in 0..MOST_CALLERS + 5 {
            limit.take(&caller.to_string(), caller as u64 * 1_000).unwrap();
        }
        assert!(limit.callers.len() < MOST_CALLERS);
    }
}
