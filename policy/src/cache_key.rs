//! The key of a cached result: everything that decides a result, and the differences between two keys.
//!
//! A key contains values only as digests, so it never reveals a secret of a payload. To explain a cache miss, it also
//! stores the digest of each leaf of the value under its pointer. A value with more than [`MOST_LEAVES`] leaves stores
//! none; such values can only be compared as a whole.

use pop_document::Pointer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Version of the key format. It is part of the key, so entries of another version never match.
const FORMAT: u32 = 1;
/// Maximum number of leaves stored for explanations.
pub const MOST_LEAVES: usize = 64;
/// Maximum number of files stored for explanations.
const MOST_FILES_SHOWN: usize = 1_000;
/// Maximum number of files named in an explanation.
const MOST_FILES_NAMED: usize = 10;
/// Number of digits stored of a leaf's digest: enough to detect a difference.
const LEAF_DIGITS: usize = 16;

/// The components of a cache key. Two operations with equal keys have the same result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheKey {
    format: u32,
    /// The operation type.
    pub handler_type: String,
    /// Id of the handler that serves the operation; none for a handler without an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Version of the handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Action of the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Digest of the program or image: a changed program with the same version is a different handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The part that comes from the payload.
    pub input: KeyInput,
    /// The files that the operation declares; none if it declares none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<KeyFiles>,
}

/// The part of a key that comes from declared files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFiles {
    /// Patterns of the files that the operation writes.
    pub writes: Vec<String>,
    /// Digest of the paths and contents of the files that it reads.
    pub digest: String,
    /// Start of the digest of each of these files by its path; empty if there are too many.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    reads: BTreeMap<String, String>,
}

impl KeyFiles {
    /// The part for files that are read, each with its path and the digest of its content.
    pub fn new<'f>(writes: Vec<String>, reads: impl Iterator<Item = (&'f str, &'f str)> + Clone) -> Self {
        let mut shown: BTreeMap<String, String> = BTreeMap::new();
        for (path, digest) in reads.clone().take(MOST_FILES_SHOWN + 1) {
            shown.insert(path.to_owned(), digest.chars().take(LEAF_DIGITS).collect());
        }
        if shown.len() > MOST_FILES_SHOWN {
            shown.clear();
        }
        Self { writes, digest: digest(&reads.collect::<Vec<_>>()), reads: shown }
    }

    fn changed(now: Option<&Self>, then: Option<&Self>, into: &mut Vec<String>) {
        if now.map(|files| &files.writes) != then.map(|files| &files.writes) {
            into.push("`writes`".to_owned());
        }
        let digest = |files: Option<&Self>| files.map(|files| files.digest.clone());
        if digest(now) == digest(then) {
            return;
        }
        let none = BTreeMap::new();
        let reads = |files: Option<&'_ Self>| files.map_or_else(|| none.clone(), |files| files.reads.clone());
        let (now, then) = (reads(now), reads(then));
        let before = into.len();
        // one of them has too many files to show
        let (now, then) = if now.is_empty() == then.is_empty() { (now, then) } else { (none.clone(), none) };
        for (path, digest) in &now {
            match then.get(path) {
                Some(other) if other == digest => {}
                Some(_) => into.push(format!("input `{path}`")),
                None => into.push(format!("input `{path}` (new)")),
            }
        }
        let gone = then.keys().filter(|path| !now.contains_key(*path));
        into.extend(gone.map(|path| format!("input `{path}` (removed)")));
        if into.len() == before {
            into.push("inputs".to_owned());
        }
        if into.len() - before > MOST_FILES_NAMED {
            let more = into.len() - before - MOST_FILES_NAMED;
            into.truncate(before + MOST_FILES_NAMED);
            into.push(format!("{more} more inputs"));
        }
    }
}

/// The part of a key that comes from the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInput {
    /// The `cacheKeyPattern` that selected the value; none for the whole payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Digest of the value.
    pub digest: String,
    /// Digests of the leaves of the value by pointer; empty if there are too many.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    leaves: BTreeMap<String, String>,
}

impl KeyInput {
    /// The input for a whole payload.
    pub fn payload(payload: &Value) -> Self {
        Self::of(None, payload)
    }

    /// The input for the value that a `cacheKeyPattern` found in the payload.
    pub fn pattern(pattern: &str, value: &Value) -> Self {
        Self::of(Some(pattern.to_owned()), value)
    }

    fn of(pattern: Option<String>, value: &Value) -> Self {
        let mut leaves = BTreeMap::new();
        if !add_leaves(value, &Pointer::root(), &mut leaves) {
            leaves.clear();
        }
        Self { pattern, digest: digest(value), leaves }
    }

    fn name(&self) -> &'static str {
        if self.pattern.is_some() { "value of cacheKeyPattern" } else { "payload" }
    }

    fn changed(&self, earlier: &Self, into: &mut Vec<String>) {
        if self.pattern != earlier.pattern {
            return into.push("cacheKeyPattern".to_owned());
        }
        if self.digest == earlier.digest {
            return;
        }
        let name = self.name();
        let (now, then) = (&self.leaves, &earlier.leaves);
        if now.is_empty() || then.is_empty() {
            return into.push(name.to_owned());
        }
        for (pointer, leaf) in now {
            match then.get(pointer) {
                Some(before) if before == leaf => {}
                Some(_) => into.push(describe(name, pointer, "")),
                None => into.push(describe(name, pointer, " (new)")),
            }
        }
        let gone = then.keys().filter(|pointer| !now.contains_key(*pointer));
        into.extend(gone.map(|pointer| describe(name, pointer, " (removed)")));
    }
}

fn describe(name: &str, pointer: &str, change: &str) -> String {
    let space = if pointer.is_empty() { "" } else { " " };
    format!("{name}{space}{pointer}{change}")
}

/// Adds the digest of each leaf; false if there are too many.
fn add_leaves(value: &Value, at: &Pointer, into: &mut BTreeMap<String, String>) -> bool {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().all(|(key, value)| add_leaves(value, &at.join(key), into))
        }
        Value::Array(list) if !list.is_empty() => {
            list.iter().enumerate().all(|(index, value)| add_leaves(value, &at.join(index), into))
        }
        leaf => {
            let mut short = digest(leaf);
            short.truncate(LEAF_DIGITS);
            into.insert(at.to_string(), short);
            into.len() <= MOST_LEAVES
        }
    }
}

/// The digest of a value as JSON with sorted keys.
fn digest(value: &impl Serialize) -> String {
    let mut hasher = blake3::Hasher::new();
    // writing to a hasher cannot fail
    serde_json::to_writer(&mut hasher, value).ok();
    hasher.finalize().to_hex().to_string()
}

impl CacheKey {
    /// A key with a type and an input; the other components are empty.
    pub fn new(handler_type: impl Into<String>, input: KeyInput) -> Self {
        Self {
            format: FORMAT,
            handler_type: handler_type.into(),
            handler: None,
            version: None,
            action: None,
            program: None,
            input,
            files: None,
        }
    }

    /// The digest of the key, which names its cache entry. The digests of leaves are not part of it.
    pub fn digest(&self) -> String {
        let Self { format, handler_type, handler, version, action, program, input, files } = self;
        let KeyInput { pattern, digest: value, leaves: _ } = input;
        let of = (format, handler_type, handler, version, action, program, pattern, value);
        match files {
            // as in keys of a pop without declared files
            None => digest(&of),
            Some(KeyFiles { writes, digest: reads, reads: _ }) => digest(&(of, writes, reads)),
        }
    }

    /// The components that differ from an earlier key, as text. Values of the payload are never included.
    pub fn changed(&self, earlier: &Self) -> Vec<String> {
        let mut changed = Vec::new();
        if self.format != earlier.format {
            changed.push("key format".to_owned());
        }
        let shown = |text: Option<&str>| text.map_or_else(|| "none".to_owned(), |text| format!("`{text}`"));
        let some = |text: &str| Some(text.to_owned());
        for (name, now, then) in [
            ("type", &some(&self.handler_type), &some(&earlier.handler_type)),
            ("handler", &self.handler, &earlier.handler),
            ("version", &self.version, &earlier.version),
            ("action", &self.action, &earlier.action),
        ] {
            if now != then {
                changed.push(format!("{name} {} -> {}", shown(then.as_deref()), shown(now.as_deref())));
            }
        }
        if self.program != earlier.program {
            changed.push("program".to_owned());
        }
        KeyFiles::changed(self.files.as_ref(), earlier.files.as_ref(), &mut changed);
        self.input.changed(&earlier.input, &mut changed);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(payload: &Value) -> CacheKey {
        CacheKey::new("transcode", KeyInput::payload(payload))
    }

    #[test]
    fn r7_every_component_changes_the_key_and_key_order_does_not() {
        let base = key(&json!({"b": 1, "a": [1, 2]}));
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(base.digest(), key(&read(r#"{"a": [1, 2], "b": 1}"#)).digest());
        let some = |text: &str| Some(text.to_owned());
        let others = [
            CacheKey { format: 2, ..base.clone() },
            CacheKey { handler_type: "probe".to_owned(), ..base.clone() },
            CacheKey { handler: some("1"), ..base.clone() },
            CacheKey { version: some("1"), ..base.clone() },
            CacheKey { action: some("1"), ..base.clone() },
            CacheKey { program: some("1"), ..base.clone() },
            key(&json!({"b": 1, "a": [2, 1]})),
            CacheKey { files: Some(files("w", &[])), ..base.clone() },
            CacheKey { files: Some(files("w", &[("a", "1")])), ..base.clone() },
            CacheKey { files: Some(files("v", &[("a", "1")])), ..base.clone() },
            CacheKey { files: Some(files("w", &[("a", "2")])), ..base.clone() },
            CacheKey { files: Some(files("w", &[("b", "1")])), ..base.clone() },
            key(&json!({"b": 1.0, "a": [1, 2]})),
            CacheKey::new("transcode", KeyInput::pattern("@", &json!({"b": 1, "a": [1, 2]}))),
        ];
        let mut digests: Vec<String> = others.iter().map(CacheKey::digest).collect();
        digests.push(base.digest());
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 15);
        for other in &others {
            assert_eq!(base.changed(other).len().min(1), 1, "{other:?}");
        }
    }

    fn files(writes: &str, reads: &[(&str, &str)]) -> KeyFiles {
        KeyFiles::new(vec![writes.to_owned()], reads.iter().copied())
    }

    #[test]
    fn fr_d2_changed_names_the_input_that_differs() {
        let of = |files| CacheKey { files: Some(files), ..key(&json!({})) };
        let then = of(files("w", &[("a", "1"), ("b", "1"), ("c", "1")]));
        let now = of(files("v", &[("a", "2"), ("b", "1"), ("d", "1")]));
        assert_eq!(now.changed(&then), ["`writes`", "input `a`", "input `d` (new)", "input `c` (removed)"]);
        let many: Vec<String> = (0..2_000).map(|index| index.to_string()).collect();
        let many = KeyFiles::new(Vec::new(), many.iter().map(|path| (path.as_str(), "1")));
        let few = KeyFiles::new(Vec::new(), [("0", "1")].into_iter());
        assert_eq!(of(few).changed(&of(many)), ["inputs"]);
    }

    #[test]
    fn r7_changed_names_the_differing_leaf_or_component() {
        let then = CacheKey {
            version: Some("1".to_owned()),
            ..key(&json!({"video": {"bitrate": 2000}, "in": "a.mp4", "old": []}))
        };
        let now = CacheKey {
            version: Some("2".to_owned()),
            program: Some("d".to_owned()),
            ..key(&json!({"video": {"bitrate": 2500}, "in": "a.mp4", "new": {}}))
        };
        assert_eq!(
            now.changed(&then),
            [
                "version `1` -> `2`",
                "program",
                "payload /new (new)",
                "payload /video/bitrate",
                "payload /old (removed)",
            ]
        );
        assert!(now.changed(&now).is_empty());
        let many = |first: u64| Value::Array((first..first + 65).map(Value::from).collect());
        assert_eq!(key(&many(1)).changed(&key(&many(0))), ["payload"]);
        let of = |pattern, value: Value| CacheKey::new("t", KeyInput::pattern(pattern, &value));
        assert_eq!(of("a", json!(1)).changed(&of("a", json!(2))), ["value of cacheKeyPattern"]);
        assert_eq!(of("a", json!(1)).changed(&of("b", json!(1))), ["cacheKeyPattern"]);
    }

    #[test]
    fn r7_key_contains_no_payload_value_and_round_trips() {
        let key = key(&json!({"password": "hunter2", "n": 987_654_321}));
        let text = serde_json::to_string(&key).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("987654321"), "{text}");
        assert_eq!(serde_json::from_str::<CacheKey>(&text).unwrap(), key);
    }
}
