//! The table of policies. To add a policy, add a file with its key, reader and text, and one row here.

use crate::scope::{Scope, ScopedValue};
use crate::{IgnoredCodes, Lock, NeededResources, OnFail, Pattern, Retry};
use crate::{cache, delay, ignore, limits, lock, log_detail, on_fail, priority, resources, retry, skip};
use pop_document::Fields;
use serde_json::Value;

/// One policy in the output of `pop explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLine {
    /// Key in `params`.
    pub key: &'static str,
    /// The value as text.
    pub value: String,
    /// The scope that set the value.
    pub scope: Scope,
}

/// The facts about a policy that do not depend on the type of its value.
pub(crate) struct KeyFacts {
    pub(crate) key: &'static str,
    pub(crate) is_for_parts: bool,
    pub(crate) is_descriptor_property: bool,
}

macro_rules! policies {
    ($($(#[$doc:meta])* $field:ident: $value:ty = $policy:expr;)*) => {
        /// The policies of one operation, each value with its scope.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Policies {
            $($(#[$doc])* pub $field: ScopedValue<$value>,)*
        }

        /// The policies that one `params` map sets; none for those that it does not set.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct PolicyLayer {
            $(pub(crate) $field: Option<$value>,)*
        }

        pub(crate) const KEYS: &[KeyFacts] = &[$(KeyFacts {
            key: $policy.key,
            is_for_parts: $policy.is_for_parts,
            is_descriptor_property: $policy.is_descriptor_property,
        },)*];

        /// The policy keys of `params`. They are also allowed in the agenda's `params` and in the `policies` of a
        /// registry entry.
        pub const POLICIES: [&str; KEYS.len() + 1] = [$($policy.key,)* "handler"];

        impl PolicyLayer {
            pub(crate) fn read(fields: &mut Fields<'_, '_>) -> Self {
                Self { $($field: ($policy.read)(fields, $policy.key),)* }
            }
        }

        impl Policies {
            /// Overrides values with those that a layer sets.
            pub(crate) fn lay(&mut self, layer: &PolicyLayer, scope: Scope) {
                $(if let Some(value) = &layer.$field {
                    ($policy.lay)(&mut self.$field, value, scope);
                })*
            }

            fn has_effect(&self, key: &str) -> bool {
                $(if key == $policy.key {
                    return ($policy.has_effect)(&self.$field.value);
                })*
                false
            }

            /// The keys that the operation itself sets without effect, each with the key that it needs.
            pub fn idle(&self) -> Vec<(&'static str, &'static str)> {
                let mut idle = Vec::new();
                $(if let Some(partner) = $policy.needs
                    && self.$field.scope == Scope::Operation
                    && !self.has_effect(partner)
                {
                    idle.push(($policy.key, partner));
                })*
                idle
            }

            /// The policies that some scope set, and those that are always shown.
            pub fn lines(&self) -> Vec<PolicyLine> {
                let mut lines = Vec::new();
                $(if $policy.is_always_shown || self.$field.scope != Scope::BuiltIn {
                    let value = ($policy.words)(&self.$field.value);
                    lines.push(PolicyLine { key: $policy.key, value, scope: self.$field.scope });
                })*
                lines
            }
        }
    };
}

policies! {
    /// Number of attempts and the waits between them.
    retry: Retry = retry::RETRY;
    /// Longest time of one attempt, in milliseconds.
    run_ms: Option<u64> = limits::RUN;
    /// Longest time without output, in milliseconds.
    silence_ms: Option<u64> = limits::SILENCE;
    /// Longest time in the pending phase, in milliseconds.
    pending_ms: Option<u64> = limits::PENDING;
    /// Longest time of all attempts and waits, in milliseconds.
    total_ms: Option<u64> = limits::TOTAL;
    /// Longest wait for locks before one attempt, in milliseconds.
    locks_ms: Option<u64> = limits::LOCKS;
    /// Action after the last attempt has failed.
    on_fail: OnFail = on_fail::ON_FAIL;
    /// Codes that count as success.
    ignore_errors: IgnoredCodes = ignore::IGNORE_ERRORS;
    /// Whether the operation has a detailed log, regardless of the log level.
    log_detail: bool = log_detail::LOG_DETAIL;
    /// Expression over the payload that skips the operation.
    skip: Option<Pattern> = skip::SKIP;
    /// Minimum interval between starts, in milliseconds.
    delay_ms: Option<u64> = delay::DELAY;
    /// Name shared by the operations among which the interval applies; none: the attempts and instances of one.
    delay_id: Option<Box<str>> = delay::DELAY_ID;
    /// How operations that share a key exclude each other.
    lock: Lock = lock::LOCK;
    /// Lock keys, a string or a list of strings, with references; none: the operation's type.
    lock_key: Option<Value> = lock::LOCK_KEY;
    /// Amounts that an attempt holds while it runs.
    resources: NeededResources = resources::RESOURCES;
    /// Order among the operations that can start: a larger number first.
    priority: i32 = priority::PRIORITY;
    /// Whether the operation uses the result cache.
    use_cache: bool = cache::USE;
    /// Name of the cache.
    cache_state: Option<Box<str>> = cache::STATE;
    /// Part of the payload that goes into the cache key; none: all of it.
    cache_key: Option<Pattern> = cache::KEY;
    /// Maximum age of a cached result, in milliseconds; none: unlimited.
    cache_ttl_ms: Option<u64> = cache::TTL;
    /// Whether the files that the operation writes are stored in the cache, and put back with a cached result.
    cache_files: bool = cache::FILES;
    /// Whether the handler allows reading its results from a cache; none if unset.
    cache_use: Option<bool> = cache::MAY_USE;
    /// Whether the handler allows writing its results to a cache; none if unset.
    cache_write: Option<bool> = cache::MAY_WRITE;
}
