//! Field ownership for server-side apply. Pure.
//!
//! `metadata.managedFields` has an entry for each manager and operation, with fields in the notation of `fieldsV1`
//! (`f:spec`, `k:{"name":"x"}`). Entries have no time, so a write without changes leaves the object equal.

use crate::strategic_merge::{key_of, merge};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The path of a field, as segments of `fieldsV1`.
type Path = Vec<String>;

/// Fields that belong to the server.
const SERVER_FIELDS: [&str; 9] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The operation of a write, as in `managedFields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Server-side apply.
    Apply,
    /// Every other write.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// The author of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writer {
    /// Name of the field manager.
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    /// Whether the write takes over fields of other managers (`force`).
    pub(crate) is_forced: bool,
    /// `status`, or empty for the object itself.
    pub(crate) subresource: String,
    /// Whether unknown fields refuse the write (`fieldValidation=Strict`).
    pub(crate) is_strict: bool,
}

/// A field that another manager owns with a different value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) manager: String,
    /// Whether the manager owns the field through server-side apply.
    pub(crate) is_apply: bool,
    /// `status`, or empty for the object itself.
    pub(crate) subresource: String,
    /// Path in the notation of messages: `.spec.n`.
    pub(crate) field: String,
}

/// The fields that one manager owns through one operation.
#[derive(Debug, Clone)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    paths: BTreeSet<Path>,
}

impl Entry {
    fn is_of(&self, writer: &Writer) -> bool {
        (self.manager.as_str(), self.operation.as_str(), self.subresource.as_str())
            == (writer.manager.as_str(), writer.operation.name(), writer.subresource.as_str())
    }
}

/// Applies a patch, or returns the conflicts.
pub(crate) fn apply(old: &Value, patch: &Value, writer: &Writer) -> Result<Value, Vec<Conflict>> {
    let mut entries = read(old);
    let applied = paths_of(patch);
    let mut conflicts = Vec::new();
    for entry in entries.iter_mut().filter(|entry| !entry.is_of(writer)) {
        let differing: Vec<Path> = entry
            .paths
            .intersection(&applied)
            .filter(|path| find(old, path) != find(patch, path))
            .cloned()
            .collect();
        for path in differing {
            conflicts.push(Conflict {
                manager: entry.manager.clone(),
                is_apply: entry.operation == Operation::Apply.name(),
                subresource: entry.subresource.clone(),
                field: displayed(&path),
            });
            entry.paths.remove(&path);
        }
    }
    if !conflicts.is_empty() && !writer.is_forced {
        return Err(conflicts);
    }
    let mut new = old.clone();
    let is_mine = |entry: &&Entry| entry.is_of(writer);
    let before: BTreeSet<Path> =
        entries.iter().filter(is_mine).flat_map(|entry| entry.paths.clone()).collect();
    let others: BTreeSet<&Path> =
        entries.iter().filter(|entry| !is_mine(entry)).flat_map(|entry| &entry.paths).collect();
    for path in before.difference(&applied).filter(|path| !others.contains(path)) {
        remove(&mut new, path);
    }
    merge(&mut new, patch);
    set(&mut entries, writer, applied);
    write(&mut new, &entries);
    Ok(new)
}

/// Records the owner of a new object: the writer owns all fields that it sent and that are stored.
pub(crate) fn create(sent: &Value, object: &mut Value, writer: &Writer) {
    let mut entries = Vec::new();
    let mut paths = paths_of(sent);
    paths.retain(|path| find(object, path).is_some());
    set(&mut entries, writer, paths);
    write(object, &entries);
}

/// Records the owners after any other write.
pub(crate) fn update(old: &Value, new: &mut Value, writer: &Writer) {
    let mut entries = read(old);
    let there = paths_of(new);
    let changed: BTreeSet<Path> =
        there.iter().filter(|path| find(old, path) != find(new, path)).cloned().collect();
    let mut own = changed.clone();
    for entry in &mut entries {
        if entry.is_of(writer) {
            own.extend(entry.paths.intersection(&there).cloned());
        }
        entry.paths.retain(|path| there.contains(path) && !changed.contains(path));
    }
    set(&mut entries, writer, own);
    write(new, &entries);
}

fn set(entries: &mut Vec<Entry>, writer: &Writer, paths: BTreeSet<Path>) {
    entries.retain(|entry| !entry.is_of(writer));
    entries.push(Entry {
        manager: writer.manager.clone(),
        operation: writer.operation.name().to_owned(),
        subresource: writer.subresource.clone(),
        paths,
    });
    entries.retain(|entry| !entry.paths.is_empty());
    // a fixed order, so that a write without changes leaves the object equal
    entries.sort_by(|one, other| key(one).cmp(&key(other)));
}

fn key(entry: &Entry) -> (&str, &str, &str) {
    (&entry.manager, &entry.operation, &entry.subresource)
}

fn read(object: &Value) -> Vec<Entry> {
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            let mut paths = BTreeSet::new();
            leaves(&entry["fieldsV1"], &mut Vec::new(), &mut paths);
            Entry {
                manager: text(entry, "manager"),
                operation: text(entry, "operation"),
                subresource: text(entry, "subresource"),
                paths,
            }
        })
        .collect()
}

fn write(object: &mut Value, entries: &[Entry]) {
    let version = object["apiVersion"].clone();
    let format = |entry: &Entry| {
        let mut fields = json!({});
        for path in &entry.paths {
            let leaf = path.iter().fold(&mut fields, |at, segment| &mut at[segment.as_str()]);
            *leaf = json!({});
        }
        let mut formatted = json!({
            "manager": entry.manager, "operation": entry.operation, "apiVersion": version,
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        });
        if !entry.subresource.is_empty() {
            formatted["subresource"] = entry.subresource.as_str().into();
        }
        formatted
    };
    object["metadata"]["managedFields"] = entries.iter().map(format).collect();
}

/// Collects the paths of all leaves in `fieldsV1`.
fn leaves(tree: &Value, path: &mut Path, paths: &mut BTreeSet<Path>) {
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

/// The paths of all fields of an object that can have an owner.
fn paths_of(object: &Value) -> BTreeSet<Path> {
    let mut paths = BTreeSet::new();
    for (field, value) in object.as_object().into_iter().flatten() {
        if !matches!(field.as_str(), "apiVersion" | "kind") {
            collect(field, value, &mut vec![format!("f:{field}")], &mut paths);
        }
    }
    let is_server_field = |path: &Path| match &path[..] {
        [first, second, ..] => {
            first == "f:metadata"
                && SERVER_FIELDS.iter().any(|field| second.strip_prefix("f:") == Some(field))
        }
        _ => false,
    };
    paths.retain(|path| !is_server_field(path) && path.len() + usize::from(path[0] != "f:metadata") > 1);
    paths
}

fn collect(field: &str, value: &Value, path: &mut Path, paths: &mut BTreeSet<Path>) {
    let mut within = |segment: String, field: &str, inner: &Value| {
        path.push(segment);
        collect(field, inner, path, paths);
        path.pop();
    };
    match (value, key_of(field)) {
        (Value::Object(fields), _) if !fields.is_empty() => {
            for (field, inner) in fields {
                within(format!("f:{field}"), field, inner);
            }
        }
        (Value::Array(entries), Some(key)) if entries.iter().all(|entry| !entry[key].is_null()) => {
            for entry in entries {
                within(format!("k:{}", json!({key: entry[key]})), "", entry);
            }
        }
        _ => drop(paths.insert(path.clone())),
    }
}

/// The index of the list entry with the keys of a segment.
fn place(entries: &[Value], segment: &str) -> Option<usize> {
    let keys: Map<String, Value> = serde_json::from_str(segment.strip_prefix("k:")?).ok()?;
    entries.iter().position(|entry| keys.iter().all(|(key, value)| &entry[key] == value))
}

fn find<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
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
fn remove(value: &mut Value, path: &[String]) {
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
fn displayed(path: &[String]) -> String {
    let segment = |segment: &String| match segment.strip_prefix("f:") {
        Some(field) => format!(".{field}"),
        None => {
            let keys: Map<String, Value> =
                serde_json::from_str(segment.trim_start_matches("k:")).unwrap_or_default();
            let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
    };
    path.iter().map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(manager: &str) -> Writer {
        let operation = Operation::Apply;
        Writer {
            manager: manager.to_owned(),
            operation,
            is_forced: false,
            subresource: String::new(),
            is_strict: false,
        }
    }

    fn conflict(manager: &str, is_apply: bool) -> Conflict {
        let field = ".spec.n".to_owned();
        Conflict { manager: manager.to_owned(), is_apply, subresource: String::new(), field }
    }

    fn spec(spec: &Value) -> Value {
        json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "x"}, "spec": spec})
    }

    #[test]
    fn a_field_of_another_manager_conflicts_unless_equal_or_forced() {
        let first = apply(&spec(&json!({})), &spec(&json!({"n": 1, "own": 1})), &writer("a")).unwrap();
        let refused = apply(&first, &spec(&json!({"n": 2})), &writer("b")).unwrap_err();
        assert_eq!(refused, [conflict("a", true)]);
        let shared = apply(&first, &spec(&json!({"n": 1})), &writer("b")).unwrap();
        assert_eq!(shared["spec"], json!({"n": 1, "own": 1}));
        let forced =
            apply(&shared, &spec(&json!({"n": 2})), &Writer { is_forced: true, ..writer("b") }).unwrap();
        assert_eq!(forced["spec"], json!({"n": 2, "own": 1}));
        // the previous owner needs force, too
        assert!(apply(&forced, &spec(&json!({"n": 1, "own": 1})), &writer("a")).is_err());
    }

    #[test]
    fn a_field_left_out_is_removed_unless_another_manager_owns_it() {
        let first = apply(&spec(&json!({})), &spec(&json!({"n": 1, "m": {"k": 1}})), &writer("a")).unwrap();
        let second = apply(&first, &spec(&json!({"n": 1})), &writer("b")).unwrap();
        let left = apply(&second, &spec(&json!({"z": 0})), &writer("a")).unwrap();
        assert_eq!(left["spec"], json!({"n": 1, "z": 0}));
    }

    #[test]
    fn list_entries_have_separate_owners() {
        let conditions = |kind: &str, status: &str| json!({"conditions": [{"type": kind, "status": status}]});
        let first = apply(&spec(&json!({})), &spec(&conditions("A", "True")), &writer("a")).unwrap();
        let both = apply(&first, &spec(&conditions("B", "True")), &writer("b")).unwrap();
        assert_eq!(both["spec"]["conditions"].as_array().unwrap().len(), 2);
        let refused = apply(&both, &spec(&conditions("A", "False")), &writer("b")).unwrap_err();
        assert_eq!(refused[0].field, ".spec.conditions[type=\"A\"].status");
        let gone = apply(&both, &spec(&json!({})), &writer("b")).unwrap();
        assert_eq!(gone["spec"], conditions("A", "True"));
    }

    #[test]
    fn an_update_owns_the_fields_it_changes() {
        let old = apply(&spec(&json!({})), &spec(&json!({"n": 1, "m": 1})), &writer("a")).unwrap();
        let mut new = old.clone();
        new["spec"]["n"] = 2.into();
        update(&old, &mut new, &Writer { operation: Operation::Update, ..writer("kubectl") });
        let refused = apply(&new, &spec(&json!({"n": 1, "m": 1})), &writer("a")).unwrap_err();
        assert_eq!(refused, [conflict("kubectl", false)]);
        // a write without changes changes no owner
        let mut same = new.clone();
        update(&new, &mut same, &Writer { operation: Operation::Update, ..writer("other") });
        assert_eq!(same, new);
    }
}
