//! The limits of a pool.

use std::time::Duration;

/// When an instance is replaced by a fresh one. `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recycle {
    /// Operations that one instance serves.
    pub operations: Option<u64>,
    /// Age of an instance, from its hello.
    pub age: Option<Duration>,
    /// Resident memory of an instance after an operation, in bytes.
    pub memory: Option<u64>,
}

/// The limits of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Instances that start with the first operation; at least 1.
    pub instances: u32,
    /// Most instances at a time, including those that are about to end; at least `instances`.
    pub max: u32,
    /// Operations that one instance serves at a time; at least 1.
    pub slots: u32,
    /// Time without work after which an instance stops.
    pub idle: Duration,
    /// When an instance is replaced.
    pub recycle: Recycle,
    /// Longest time from the start of an instance to its hello.
    pub start_timeout: Duration,
    /// Longest time from the request to stop until an instance is killed.
    pub stop_timeout: Duration,
    /// Most requests that wait for an instance.
    pub queue: usize,
}

impl PoolSettings {
    /// Most instances, if the setting is absent.
    pub const DEFAULT_MAX: u32 = 4;
    /// First delay after a failed start; each further failure doubles it.
    pub(super) const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
    /// Longest delay after a failed start.
    pub(super) const LONGEST_BACK_OFF: Duration = Duration::from_secs(10);
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            instances: 1,
            max: Self::DEFAULT_MAX,
            slots: 1,
            idle: Duration::from_mins(1),
            recycle: Recycle::default(),
            start_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(5),
            queue: 65_536,
        }
    }
}
