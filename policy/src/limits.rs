//! timeoutMs, noOutputTimeoutMs, pendingTimeoutMs, totalTimeoutMs, lockTimeoutMs: time limits of an operation.

use crate::lock::LOCK;
use crate::policy::Policy;
use crate::read;

/// Longest run of one attempt, in milliseconds; 0 means no limit.
pub(crate) const RUN: Policy<Option<u64>> = limit("timeoutMs");
/// Longest time without a byte of output, in milliseconds; 0 means no limit.
pub(crate) const SILENCE: Policy<Option<u64>> = limit("noOutputTimeoutMs");
/// Longest time in the pending phase, in milliseconds; 0 means no limit.
pub(crate) const PENDING: Policy<Option<u64>> = limit("pendingTimeoutMs");

/// Longest time of all attempts and the waits between them, in milliseconds; 0 means no limit.
pub(crate) const TOTAL: Policy<Option<u64>> = Policy::new("totalTimeoutMs", read::milliseconds, words);
/// Longest wait for locks before one attempt, in milliseconds; 0 means no limit.
pub(crate) const LOCKS: Policy<Option<u64>> =
    Policy::new("lockTimeoutMs", read::milliseconds, words).needs(LOCK.key);

const fn limit(key: &'static str) -> Policy<Option<u64>> {
    Policy::new(key, read::milliseconds, words).always_shown()
}

#[expect(clippy::ref_option, reason = "the type of the policy value")]
fn words(ms: &Option<u64>) -> String {
    ms.filter(|ms| *ms > 0).map_or_else(|| "none".to_owned(), |ms| ms.to_string())
}

/// The time limits of an operation, in milliseconds; none means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Maximum time from the start of an attempt to its end.
    pub run_ms: Option<u64>,
    /// Maximum time without a byte of output.
    pub silence_ms: Option<u64>,
    /// Maximum time in the pending phase, for example until a pod is scheduled or an image is pulled.
    pub pending_ms: Option<u64>,
    /// Maximum time from the start of the first attempt, or of the wait before it, to the end of the last.
    pub total_ms: Option<u64>,
    /// Maximum wait for locks before one attempt.
    pub locks_ms: Option<u64>,
}
