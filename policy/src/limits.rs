//! timeoutMs, noOutputTimeoutMs, pendingTimeoutMs: how long one attempt may take.

/// The time limits of one attempt, in milliseconds; none means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the attempt to its end.
    pub run_ms: Option<u64>,
    /// Without a byte of output.
    pub silence_ms: Option<u64>,
    /// Waiting to be scheduled: a pod, an image.
    pub pending_ms: Option<u64>,
}
