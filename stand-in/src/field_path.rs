//! Paths of fields in the notation of `fieldsV1`: `f:spec`, `k:{"name":"x"}`, `v:"x"`. Pure.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The path of a field, as segments of `fieldsV1`.
pub(crate) type Path = Vec<String>;

/// Collects the paths of all leaves in `fieldsV1`.
pub(crate) fn leaves(tree: &Value, path: &mut Path, paths: &mut BTreeSet<Path>) {
    match tree.as_object().filter(|fields| !fields.is_empty()) {
        None if path.is_empty() => {}
        None => drop(paths.insert(path.clone())),
        Some(fields) => {
            for (segment, inner) in fields {
                path.push(segment.clone());
                leaves(inner, path, paths);
                path.pop();
            }
        }
    }
}

/// The index of the list entry that a segment names by its keys or its value.
fn place(entries: &[Value], segment: &str) -> Option<usize> {
    if let Some(value) = segment.strip_prefix("v:") {
        let value: Value = serde_json::from_str(value).ok()?;
        return entries.iter().position(|entry| *entry == value);
    }
    let keys: Map<String, Value> = serde_json::from_str(segment.strip_prefix("k:")?).ok()?;
    entries.iter().position(|entry| keys.iter().all(|(key, value)| &entry[key] == value))
}

/// Whether a path ends at a key of a list entry.
pub(crate) fn is_key(path: &[String]) -> bool {
    let [.., entry, field] = path else { return false };
    let keys =
        entry.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map<String, Value>>(keys).ok());
    let field = field.strip_prefix("f:").unwrap_or_default();
    keys.is_some_and(|keys| keys.contains_key(field))
}

/// The field at a path.
pub(crate) fn find<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    let Some((segment, rest)) = path.split_first() else { return Some(value) };
    match segment.strip_prefix("f:") {
        Some(field) => find(value.get(field)?, rest),
        None => {
            let entries = value.as_array()?;
            find(&entries[place(entries, segment)?], rest)
        }
    }
}

/// Removes a field, and parents that become empty.
pub(crate) fn remove(value: &mut Value, path: &[String]) {
    let Some((segment, rest)) = path.split_first() else { return };
    let is_empty = |value: &Value| {
        value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
    };
    match (segment.strip_prefix("f:"), value) {
        (Some(field), Value::Object(fields)) => {
            let is_over = fields.get_mut(field).is_some_and(|inner| {
                remove(inner, rest);
                rest.is_empty() || is_empty(inner)
            });
            if is_over {
                fields.remove(field);
            }
        }
        (None, Value::Array(entries)) => {
            if let Some(at) = place(entries, segment) {
                remove(&mut entries[at], rest);
                // keys are leaves, too: removing the last one removes the entry
                if rest.is_empty() || is_empty(&entries[at]) {
                    entries.remove(at);
                }
            }
        }
        _ => {}
    }
}

/// A path in the notation of messages.
pub(crate) fn displayed(path: &[String]) -> String {
    let segment = |segment: &String| match segment.strip_prefix("f:") {
        Some(field) => format!(".{field}"),
        None if segment.starts_with("v:") => format!("[={}]", segment.trim_start_matches("v:")),
        None => {
            let keys: Map<String, Value> =
                serde_json::from_str(segment.trim_start_matches("k:")).unwrap_or_default();
            let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
    };
    path.iter().map(segment).collect()
}
