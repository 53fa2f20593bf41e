//! delayMs, delayId: the least time between the starts of operations.

use crate::policy::{Policy, optional};
use crate::read;

/// Least time between starts, in milliseconds; 0 means none.
pub(crate) const DELAY: Policy<Option<u64>> =
    Policy::new("delayMs", read::milliseconds, optional).has_effect(|ms| ms.is_some_and(|ms| ms > 0));
/// Name that operations share which keep that time from one another.
pub(crate) const DELAY_ID: Policy<Option<Box<str>>> =
    Policy::new("delayId", read::name, optional).needs(DELAY.key);
