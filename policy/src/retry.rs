//! retry: number of attempts of an operation, and the waits between them.

use crate::ignore::codes;
use crate::policy::Policy;
use crate::read;
use pop_document::{Fault, Fields, Pointer};
use serde_json::Value;

/// Default of `maxDelayMs`: one hour.
const LONGEST_DELAY_MS: u64 = 3_600_000;

/// `retry: {maxAttempts, delayMs, factor, maxDelayMs, on}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Total number of attempts, from 1; 1 means no retry.
    pub max_attempts: u32,
    /// Wait before the second attempt, in milliseconds.
    pub delay_ms: u64,
    /// Multiplier from each wait to the next.
    pub factor: f64,
    /// Longest wait, in milliseconds.
    pub max_delay_ms: u64,
    /// Failure codes that are retried; empty for all.
    pub on: Vec<String>,
}

pub(crate) const RETRY: Policy<Retry> = Policy::new(
    "retry",
    |fields, key| read::with(fields, key, |value, at, faults| Retry::parse(value, at.clone(), faults)),
    words,
)
.always_shown();

fn words(retry: &Retry) -> String {
    let on = if retry.on.is_empty() { "any failure".to_owned() } else { retry.on.join(", ") };
    match retry.max_attempts {
        1 => "1 attempt".to_owned(),
        most => format!("{most} attempts, {} ms apart times {}, on {on}", retry.delay_ms, retry.factor),
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 1, delay_ms: 0, factor: 2.0, max_delay_ms: LONGEST_DELAY_MS, on: Vec::new() }
    }
}

impl Retry {
    /// Reads the map; absent keys have their defaults. Unknown keys are ignored.
    pub fn parse(value: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let default = Self::default();
        if value.is_number() {
            let message = "`retry` must be a map, not a number";
            let fault = Fault::value("wrong-type", at, message);
            faults.push(fault.hint(format!("write `retry: {{maxAttempts: {value}}}`: the attempts in all")));
            return None;
        }
        let mut fields = Fields::of(value, at, "`retry`", "wrong-type", faults)?;
        let max_attempts = fields.whole("maxAttempts").unwrap_or(1);
        let delay_ms = fields.whole("delayMs").unwrap_or(0);
        let factor = fields.number("factor").unwrap_or(default.factor);
        let max_delay_ms = fields.whole("maxDelayMs").unwrap_or(default.max_delay_ms);
        let on_at = fields.at("on");
        let on = fields.any("on").map(|on| codes(on, "on", &on_at, fields.faults()));
        if max_attempts == 0 || max_attempts > u64::from(u32::MAX) {
            let message = match max_attempts {
                0 => "`maxAttempts` counts the first attempt: it must be at least 1".to_owned(),
                _ => format!("`maxAttempts` must be at most {}", u32::MAX),
            };
            let at = fields.at("maxAttempts");
            fields.faults().push(Fault::value("wrong-value", at, message));
        }
        let good = !faults[before..].iter().any(Fault::is_error);
        good.then(|| Self {
            max_attempts: u32::try_from(max_attempts).unwrap_or(u32::MAX),
            delay_ms,
            factor,
            max_delay_ms,
            on: on.flatten().unwrap_or_default(),
        })
    }

    /// The wait after `failures` failed attempts (at least 1), in milliseconds.
    pub fn delay_after(&self, failures: u32) -> u64 {
        if self.delay_ms == 0 {
            // 0 times an infinite factor is NaN
            return 0;
        }
        let grown =
            self.delay_ms as f64 * self.factor.powi(failures.saturating_sub(1).min(1_000).cast_signed());
        if grown < self.max_delay_ms as f64 { grown.round() as u64 } else { self.max_delay_ms }
    }

    /// Whether a failure with `codes` is retried after `failures` failed attempts.
    pub fn allows(&self, failures: u32, codes: &[&str]) -> bool {
        failures < self.max_attempts
            && (self.on.is_empty() || self.on.iter().any(|code| codes.contains(&code.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_h17_max_attempts_out_of_range_names_the_limit() {
        for (written, said) in [
            (u64::MAX, "`maxAttempts` must be at most 4294967295"),
            (1 << 32, "`maxAttempts` must be at most 4294967295"),
            (0, "`maxAttempts` counts the first attempt: it must be at least 1"),
        ] {
            let mut faults = Vec::new();
            let value = serde_json::json!({"maxAttempts": written});
            assert_eq!(Retry::parse(&value, Pointer::root(), &mut faults), None);
            assert_eq!(faults[0].message, said);
        }
    }
    use serde_json::json;

    #[test]
    fn a_number_is_answered_with_the_map_to_write() {
        let mut faults = Vec::new();
        assert_eq!(Retry::parse(&json!(3), Pointer::root(), &mut faults), None);
        assert_eq!(faults[0].hint.as_deref(), Some("write `retry: {maxAttempts: 3}`: the attempts in all"));
    }

    #[test]
    fn waits_grow_up_to_max_delay() {
        let retry = Retry { delay_ms: 100, factor: 3.0, max_delay_ms: 1_000, ..Retry::default() };
        assert_eq!([1, 2, 3, 4, 4_000_000].map(|n| retry.delay_after(n)), [100, 300, 900, 1_000, 1_000]);
        assert_eq!(Retry::default().delay_after(3), 0);
        assert_eq!(Retry { factor: 1e300, ..Retry::default() }.delay_after(3), 0);
    }

    #[test]
    fn only_listed_codes_are_retried() {
        let retry = Retry { max_attempts: 3, on: vec!["timeout".into(), "75".into()], ..Retry::default() };
        assert!(retry.allows(2, &["exit", "75"]));
        assert!(!retry.allows(3, &["exit", "75"]));
        assert!(!retry.allows(1, &["exit", "1"]));
    }

    #[test]
    fn all_wrong_values_are_reported() {
        let mut faults = Vec::new();
        let value = json!({"maxAttempts": 0, "delayMs": "soon", "factor": -1, "on": {}});
        assert_eq!(Retry::parse(&value, Pointer::root(), &mut faults), None);
        let at: Vec<_> = faults.iter().map(Fault::pointer).collect();
        assert_eq!(at, ["/delayMs", "/factor", "/on", "/maxAttempts"]);
    }
}
