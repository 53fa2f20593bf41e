//! lock, lockKey: mutual exclusion of operations that share a resource.

use crate::choice::choose;
use crate::policy::{Policy, optional};
use crate::read;
use pop_document::{Fault, Pointer, kind_of};
use serde_json::Value;
use std::fmt;

/// How operations that share a key exclude each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lock {
    /// The operations run concurrently.
    #[default]
    None,
    /// The operations run concurrently. An attempt fails if another operation changed the key since the attempt began.
    Optimistic,
    /// The operations run one at a time.
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

/// Reads lock keys: a string or a list of strings, which may contain references.
fn keys(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Value> {
    let before = faults.len();
    match value {
        Value::Array(items) if items.is_empty() => {
            faults.push(Fault::value("wrong-value", at.clone(), "`lockKey` must name at least one key"));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| check_key(item, &at.join(index), faults));
        }
        other => check_key(other, at, faults),
    }
    (faults.len() == before).then(|| value.clone())
}

fn check_key(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) {
    let fault = match value.as_str() {
        Some("") => Fault::value("wrong-value", at.clone(), "a key in `lockKey` must not be empty"),
        Some(_) => return,
        None => {
            let message = format!("`lockKey` must be a string or a list of strings, not {}", kind_of(value));
            Fault::value("wrong-type", at.clone(), message)
        }
    };
    faults.push(fault.hint("omit `lockKey` to lock the operation's type"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fr_h17_empty_lock_key_message_says_empty() {
        for (written, at, said) in [
            (json!(""), "", "a key in `lockKey` must not be empty"),
            (json!(["a", ""]), "/1", "a key in `lockKey` must not be empty"),
            (json!([]), "", "`lockKey` must name at least one key"),
            (json!(["a", 1]), "/1", "`lockKey` must be a string or a list of strings, not a number"),
            (json!({}), "", "`lockKey` must be a string or a list of strings, not a map"),
        ] {
            let mut faults = Vec::new();
            assert_eq!(keys(&written, &Pointer::root(), &mut faults), None);
            assert_eq!((faults[0].pointer(), faults[0].message.as_str()), (at, said));
        }
    }

    #[test]
    fn r3_lock_modes_and_keys_are_read_others_refused() {
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
