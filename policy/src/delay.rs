//! delayMs, delayId: the minimum interval between the starts of operations.

use crate::policy::{Policy, optional};
use crate::read;

/// Minimum interval between starts, in milliseconds; 0 means none.
pub(crate) const DELAY: Policy<Option<u64>> =
    Policy::new("delayMs", read::milliseconds, optional).has_effect(|ms| ms.is_some_and(|ms| ms > 0));
/// Name shared by the operations among which the interval applies.
pub(crate) const DELAY_ID: Policy<Option<Box<str>>> =
    Policy::new("delayId", read::name, optional).needs(DELAY.key);
