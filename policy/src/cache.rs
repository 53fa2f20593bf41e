//! useCache and its relatives: whether a result is taken from a cache and kept there.

use crate::Pattern;
use crate::policy::{Policy, optional};
use crate::read;

/// Whether the result may be taken from the cache.
pub(crate) const USE: Policy<bool> =
    Policy::new("useCache", read::boolean, bool::to_string).has_effect(|is_used| *is_used);
/// Name of the cache.
pub(crate) const STATE: Policy<Option<Box<str>>> =
    Policy::new("cacheState", read::name, optional).needs(USE.key);
/// What of the payload makes the key.
pub(crate) const KEY: Policy<Option<Pattern>> =
    Policy::new("cacheKeyPattern", read::pattern, optional).needs(USE.key);
/// Time for which an entry is good, in milliseconds.
pub(crate) const TTL: Policy<Option<u64>> =
    Policy::new("cacheTtlMs", read::milliseconds, optional).needs(USE.key);
/// Whether the handler allows that its results are taken from a cache.
pub(crate) const MAY_USE: Policy<Option<bool>> = permission("cache.use");
/// Whether the handler allows that its results are kept in a cache.
pub(crate) const MAY_WRITE: Policy<Option<bool>> = permission("cache.write");

const fn permission(key: &'static str) -> Policy<Option<bool>> {
    Policy::new(key, read::permission, optional).for_parts().descriptor_property()
}
