//! The definition of a policy: its key in `params`, its reader and its text for `pop explain`.

use crate::scope::{Scope, ScopedValue};
use pop_document::Fields;
use std::fmt;

/// One policy with a value of type `T`. Its default is that of `T`.
pub(crate) struct Policy<T> {
    /// Key in `params`.
    pub(crate) key: &'static str,
    /// Reads the value of the key; wrong values become faults.
    pub(crate) read: Reader<T>,
    /// Formats the value for people.
    pub(crate) words: fn(&T) -> String,
    /// Whether `pop explain` shows the policy even if no scope sets it.
    pub(crate) is_always_shown: bool,
    /// Whether a registry entry may set the policy for a stream (`role.…`) or an action.
    pub(crate) is_for_parts: bool,
    /// Whether a descriptor property with this key sets the policy.
    pub(crate) is_descriptor_property: bool,
    /// Key of the policy without which this one has no effect.
    pub(crate) needs: Option<&'static str>,
    /// Whether a value has an effect, for policies that others need.
    pub(crate) has_effect: fn(&T) -> bool,
    /// Lays a value of a higher scope over the present one.
    pub(crate) lay: Layering<T>,
}

/// Lays the value of a scope over that of the scopes below it.
pub(crate) type Layering<T> = fn(&mut ScopedValue<T>, &T, Scope);

/// Reads the value of a key.
pub(crate) type Reader<T> = fn(&mut Fields<'_, '_>, &'static str) -> Option<T>;

impl<T: Clone> Policy<T> {
    /// A policy that any scope may set.
    pub(crate) const fn new(key: &'static str, read: Reader<T>, words: fn(&T) -> String) -> Self {
        Self {
            key,
            read,
            words,
            is_always_shown: false,
            is_for_parts: false,
            is_descriptor_property: false,
            needs: None,
            has_effect: |_| true,
            lay: |present, value, scope| *present = ScopedValue { value: value.clone(), scope },
        }
    }

    /// A policy whose values of several scopes are combined; for other policies, the highest scope wins.
    pub(crate) const fn combined(mut self, lay: Layering<T>) -> Self {
        self.lay = lay;
        self
    }

    pub(crate) const fn always_shown(mut self) -> Self {
        self.is_always_shown = true;
        self
    }

    pub(crate) const fn for_parts(mut self) -> Self {
        self.is_for_parts = true;
        self
    }

    pub(crate) const fn descriptor_property(mut self) -> Self {
        self.is_descriptor_property = true;
        self
    }

    pub(crate) const fn needs(mut self, key: &'static str) -> Self {
        self.needs = Some(key);
        self
    }

    pub(crate) const fn has_effect(mut self, has_effect: fn(&T) -> bool) -> Self {
        self.has_effect = has_effect;
        self
    }
}

/// Formats an optional value.
#[expect(clippy::ref_option, reason = "the type of the policy value")]
pub(crate) fn optional<T: fmt::Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), T::to_string)
}
