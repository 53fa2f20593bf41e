//! The table of policies. A new policy is a file with its key, reader and words, and one row here.

use crate::scope::{Scope, ScopedValue};
use crate::{IgnoredCodes, Lock, OnFail, Pattern, Retry};
use crate::{cache, delay, ignore, limits, lock, log_detail, on_fail, retry, skip};
use pop_document::Fields;
use serde_json::Value;

/// A policy as `pop explain` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLine {
    /// Key in `params`.
    pub key: &'static str,
    /// The value in words.
    pub value: String,
    /// Who set it.
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

        /// The policies that one `params` map sets; a policy that it does not set is none.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct PolicyLayer {
            $(pub(crate) $field: Option<$value>,)*
        }

        pub(crate) const KEYS: &[KeyFacts] = &[$(KeyFacts {
            key: $policy.key,
            is_for_parts: $policy.is_for_parts,
            is_descriptor_property: $policy.is_descriptor_property,
        },)*];

        /// The keys of `params` that say how an operation is carried out; they may also stand in the agenda's `params`
        /// and in a registry entry's `policies`.
        pub const POLICIES: [&str; KEYS.len() + 1] = [$($policy.key,)* "handler"];

        impl PolicyLayer {
            pub(crate) fn read(fields: &mut Fields<'_, '_>) -> Self {
                Self { $($field: ($policy.read)(fields, $policy.key),)* }
            }
        }

        impl Policies {
            /// Lays a layer over what is there.
            pub(crate) fn lay(&mut self, layer: &PolicyLayer, scope: Scope) {
                $(if let Some(value) = &layer.$field {
                    self.$field = ScopedValue { value: value.clone(), scope };
                })*
            }

            fn has_effect(&self, key: &str) -> bool {
                $(if key == $policy.key {
                    return ($policy.has_effect)(&self.$field.value);
                })*
                false
            }

            /// The keys that the operation itself sets to no effect, each with the key that it would take.
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

            /// The policies that somebody set, and those that matter for every operation.
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
    /// How often an operation is tried, and after which wait.
    retry: Retry = retry::RETRY;
    /// Longest run of one attempt, in milliseconds.
    run_ms: Option<u64> = limits::RUN;
    /// Longest silence, in milliseconds.
    silence_ms: Option<u64> = limits::SILENCE;
    /// Longest wait to be scheduled, in milliseconds.
    pending_ms: Option<u64> = limits::PENDING;
    /// What happens after the last attempt has failed.
    on_fail: OnFail = on_fail::ON_FAIL;
    /// Codes that count as success.
    ignore_errors: IgnoredCodes = ignore::IGNORE_ERRORS;
    /// Detailed log of the operation, whatever the level.
    log_detail: bool = log_detail::LOG_DETAIL;
    /// Expression over the payload that skips the operation.
    skip: Option<Pattern> = skip::SKIP;
    /// Least time between starts, in milliseconds.
    delay_ms: Option<u64> = delay::DELAY;
    /// Name that operations share which keep that time from one another; none: the operation's repetitions.
    delay_id: Option<Box<str>> = delay::DELAY_ID;
    /// What holds between operations that share a key.
    lock: Lock = lock::LOCK;
    /// Keys, a text or a list of texts with references; none: the operation's type.
    lock_key: Option<Value> = lock::LOCK_KEY;
    /// Whether the result may be taken from the cache.
    use_cache: bool = cache::USE;
    /// Name of the cache.
    cache_state: Option<Box<str>> = cache::STATE;
    /// What of the payload makes the key; none: all of it.
    cache_key: Option<Pattern> = cache::KEY;
    /// Time for which an entry is good, in milliseconds; none: for ever.
    cache_ttl_ms: Option<u64> = cache::TTL;
    /// Whether the handler allows that its results are taken from a cache; none: it does not say.
    cache_use: Option<bool> = cache::MAY_USE;
    /// Whether the handler allows that its results are kept in a cache; none: it does not say.
    cache_write: Option<bool> = cache::MAY_WRITE;
}
