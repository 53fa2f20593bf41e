//! lock, lockKey: how operations that touch the same thing keep out of each other's way.

use crate::choice::choose;
use crate::policy::{Policy, optional};
use crate::read;
use pop_document::{Fault, Pointer, kind_of};
use serde_json::Value;
use std::fmt;

/// What holds between operations that share a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lock {
    /// They run side by side.
    #[default]
    None,
    /// They run side by side, and one that ends after the key was changed by another has failed.
    Optimistic,
    /// One runs at a time.
    Safe,
}

pub(crate) const LOCK: Policy<Lock> =
    Policy::new("lock", |fields, key| read::with(fields, key, Lock::parse), Lock::to_string)
        .for_parts()
        .has_effect(|lock| *lock != Lock::None);
pub(crate) const LOCK_KEY: Policy<Option<Value>> =
    Policy::new("lockKey", |fields, key| read::with(fields, key, keys).map(Some), optional).needs(LOCK.key);

const WORDS: [(&str, Lock); 3] =
    [("NONE", Lock::None), ("OPTIMISTIC", Lock::Optimistic), ("SAFE", Lock::Safe)];

impl Lock {
    /// Reads one of the words, in any letter case.
    pub fn parse(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        choose(&WORDS, "lock", value, at, faults)
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORDS.iter().find(|(_, lock)| lock == self).map_or("", |(word, _)| word))
    }
}

/// The keys that are locked, as written: a text or a list of texts, which may hold references.
fn keys(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Value> {
    let is_key = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let good = match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(is_key),
        other => is_key(other),
    };
    if !good {
        let message = format!("`lockKey` must be a text or a list of texts, not {}", kind_of(value));
        faults.push(Fault::value("wrong-type", at.clone(), message));
    }
    good.then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn r3_words_and_keys_are_read_and_others_refused() {
        let mut faults = Vec::new();
        let at = Pointer::root();
        assert_eq!(Lock::parse(&json!("safe"), &at, &mut faults), Some(Lock::Safe));
        assert_eq!(Lock::parse(&json!("Optimistic"), &at, &mut faults), Some(Lock::Optimistic));
        assert!(keys(&json!(["a", "@<b.out::/id>"]), &at, &mut faults).is_some());
        assert!(faults.is_empty());
        assert_eq!(Lock::parse(&json!("SAVE"), &at, &mut faults), None);
        assert_eq!(keys(&json!([]), &at, &mut faults), None);
        assert_eq!(keys(&json!(""), &at, &mut faults), None);
        assert_eq!(faults[0].label.as_deref(), Some("did you mean `SAFE`?"));
    }
}
