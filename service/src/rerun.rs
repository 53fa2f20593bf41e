//! The words of a rerun: which operations are reset and which are deleted.

use crate::error::ServiceError;
use crate::references::dependencies;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Param with the name of the generator that made an operation.
const GENERATED_BY: &str = "generatedOperationParent";

/// A request to run an agenda again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RerunWords {
    /// Which operations lose their outcome.
    pub reset: Reset,
    /// Whether the agenda stays out of the queue.
    pub is_skipped: bool,
}

/// Which operations lose their outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reset {
    /// All.
    #[default]
    All,
    /// These, and those that depend on them.
    Named(Vec<String>),
    /// None: what succeeded stays.
    Continue,
}

impl RerunWords {
    /// The words, without their values.
    pub const KNOWN: [&str; 4] = ["resetAll", "operationsToReset=NAMES", "continue", "skipExecution"];

    /// Whether a word, perhaps with a value, is known.
    pub fn knows(word: &str) -> bool {
        let name = |word: &str| word.split_once('=').map_or(word.len(), |(name, _)| name.len());
        Self::KNOWN.iter().any(|known| known[..name(known)] == word[..name(word)])
    }

    /// Reads the words, as `name` or `name=value`. Unknown ones are ignored.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let mut read = Self::default();
        let (mut named, mut is_all, mut is_continued) = (None, false, false);
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("resetAll", _) => is_all = true,
                ("operationsToReset", names) => {
                    let listed = names.split(',').map(str::trim).filter(|name| !name.is_empty());
                    named = Some(listed.map(str::to_owned).collect());
                }
                ("continue", _) => is_continued = true,
                ("skipExecution", _) => read.is_skipped = true,
                _ => {}
            }
        }
        read.reset = match named {
            _ if is_all => Reset::All,
            Some(names) => Reset::Named(names),
            None if is_continued => Reset::Continue,
            None => Reset::All,
        };
        read
    }
}

/// What a rerun does to the operations of an agenda.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RerunEffect {
    /// Names of the operations that lose their outcome.
    pub reset: BTreeSet<String>,
    /// Names of the operations that are deleted, because the operation that generated them is reset.
    pub deleted: BTreeSet<String>,
}

impl RerunEffect {
    /// The effect on these operations. An unknown name is an error.
    pub fn of(reset: &Reset, operations: &[Value]) -> Result<Self, ServiceError> {
        let names = || operations.iter().filter_map(name);
        let mut queue: Vec<String> = match reset {
            Reset::Continue => return Ok(Self::default()),
            Reset::All => names().map(str::to_owned).collect(),
            Reset::Named(wanted) => {
                let known: BTreeSet<&str> = names().collect();
                let unknown: Vec<String> = wanted
                    .iter()
                    .filter(|name| !known.contains(name.as_str()))
                    .map(|name| format!("the agenda has no operation `{name}`"))
                    .collect();
                if !unknown.is_empty() {
                    return Err(ServiceError::Invalid(unknown));
                }
                wanted.clone()
            }
        };
        let mut dependants: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for operation in operations {
            let Some(own) = name(operation) else { continue };
            for needed in dependencies(operation) {
                dependants.entry(needed).or_default().push(own);
            }
            if let Some(parent) = generator(operation) {
                children.entry(parent).or_default().push(own);
            }
        }
        let mut effect = Self::default();
        while let Some(reached) = queue.pop() {
            if !effect.reset.insert(reached.clone()) {
                continue;
            }
            let generated = children.get(reached.as_str()).into_iter().flatten();
            effect.deleted.extend(generated.clone().map(|name| (*name).to_owned()));
            let next = dependants.get(&reached).into_iter().flatten().chain(generated);
            queue.extend(next.map(|name| (*name).to_owned()));
        }
        effect.reset.retain(|name| !effect.deleted.contains(name));
        Ok(effect)
    }
}

fn name(operation: &Value) -> Option<&str> {
    operation.get("name")?.as_str()
}

fn generator(operation: &Value) -> Option<&str> {
    operation.get("params")?.get(GENERATED_BY)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_of_a_rerun() {
        let named = |names: &[&str]| Reset::Named(names.iter().map(|name| (*name).to_owned()).collect());
        for (words, reset, is_skipped) in [
            (&[][..], Reset::All, false),
            (&["resetAll"], Reset::All, false),
            (&["continue"], Reset::Continue, false),
            (&["continue", "skipExecution"], Reset::Continue, true),
            (&["skipExecution"], Reset::All, true),
            (&["operationsToReset=a, b,"], named(&["a", "b"]), false),
            (&["operationsToReset=a", "continue"], named(&["a"]), false),
            (&["operationsToReset=a", "resetAll"], Reset::All, false),
            (&["Continue", "unknown=1"], Reset::All, false),
        ] {
            let read = RerunWords::parse(words.iter().copied());
            assert_eq!(read, RerunWords { reset, is_skipped }, "{words:?}");
        }
    }

    #[test]
    fn words_are_known_by_their_names() {
        for (word, is_known) in [
            ("resetAll", true),
            ("operationsToReset=a,b", true),
            ("Continue", false),
            ("operationsToRest=a", false),
            ("", false),
        ] {
            assert_eq!(RerunWords::knows(word), is_known, "{word}");
        }
    }

    #[test]
    fn reset_spreads_to_dependants_and_deletes_generated_operations() {
        let operations = [
            json!({"name": "a"}),
            json!({"name": "b", "payload": {"x": ["@<a.out::/w>"]}}),
            json!({"name": "c", "params": {"dependsOn": "z, b"}}),
            json!({"name": "g", "payload": "@<a.out>"}),
            json!({"name": "g1", "params": {"generatedOperationParent": "g"}}),
            json!({"name": "g2", "params": {"generatedOperationParent": "g1"}}),
            json!({"name": "after", "payload": "@<g2.out>"}),
            json!({"name": "z"}),
        ];
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        for (reset, wanted, deleted) in [
            (Reset::Named(vec!["b".into()]), &["b", "c"][..], &[][..]),
            (Reset::Named(vec!["g".into()]), &["after", "g"], &["g1", "g2"]),
            (Reset::Named(vec!["a".into()]), &["a", "after", "b", "c", "g"], &["g1", "g2"]),
            (Reset::Named(vec!["z".into()]), &["c", "z"], &[]),
            (Reset::All, &["a", "after", "b", "c", "g", "z"], &["g1", "g2"]),
            (Reset::Continue, &[], &[]),
        ] {
            let effect = RerunEffect::of(&reset, &operations).unwrap();
            assert_eq!(effect, RerunEffect { reset: set(wanted), deleted: set(deleted) }, "{reset:?}");
        }
        let unknown = RerunEffect::of(&Reset::Named(vec!["n".into()]), &operations).unwrap_err();
        assert_eq!(unknown.to_string(), "the agenda has no operation `n`");
    }
}
