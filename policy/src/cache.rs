//! useCache, cacheState, cacheKeyPattern, cacheTtlMs, cacheFiles, cache.use, cache.write: caching of results.

use crate::Pattern;
use crate::policy::{Policy, optional};
use crate::read;

/// Whether the operation uses the result cache.
pub(crate) const USE: Policy<bool> =
    Policy::new("useCache", read::boolean, bool::to_string).has_effect(|is_used| *is_used);
/// Name of the cache.
pub(crate) const STATE: Policy<Option<Box<str>>> =
    Policy::new("cacheState", read::name, optional).needs(USE.key);
/// Part of the payload that goes into the cache key.
pub(crate) const KEY: Policy<Option<Pattern>> =
    Policy::new("cacheKeyPattern", read::pattern, optional).needs(USE.key);
/// Maximum age of a cached result, in milliseconds.
pub(crate) const TTL: Policy<Option<u64>> =
    Policy::new("cacheTtlMs", read::milliseconds, optional).needs(USE.key);
/// Whether the files of a cached result are stored and put back.
pub(crate) const FILES: Policy<bool> =
    Policy::new("cacheFiles", read::boolean, bool::to_string).needs(USE.key);
/// Whether the handler allows reading its results from a cache.
pub(crate) const MAY_USE: Policy<Option<bool>> = permission("cache.use");
/// Whether the handler allows writing its results to a cache.
pub(crate) const MAY_WRITE: Policy<Option<bool>> = permission("cache.write");

const fn permission(key: &'static str) -> Policy<Option<bool>> {
    Policy::new(key, read::permission, optional).for_parts().descriptor_property()
}
