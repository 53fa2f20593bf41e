//! Field ownership for server-side apply. Pure.
//!
//! `metadata.managedFields` has an entry for each manager and operation, with fields in the notation of `fieldsV1`
//! (`f:spec`, `k:{"name":"x"}`). Entries have no time, so a write without changes leaves the object equal.

use crate::field_path::{Path, displayed, find, is_key, leaves, remove};
use crate::list_type::{ListType, ListTypes};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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
pub(crate) fn apply(
    lists: ListTypes<'_>,
    old: &Value,
    patch: &Value,
    writer: &Writer,
) -> Result<Value, Vec<Conflict>> {
    let mut entries = read(old);
    let applied = paths_of(lists, patch);
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
    let gone = before.difference(&applied).filter(|path| !others.contains(path));
    // an entry is found by its keys, so these go last
    let (keys, fields): (Vec<_>, Vec<_>) = gone.partition(|path| is_key(path));
    for path in fields.into_iter().chain(keys) {
        remove(&mut new, path);
    }
    lists.merge(&mut new, patch);
    set(&mut entries, writer, applied);
    write(&mut new, &entries);
    Ok(new)
}

/// Records the owner of a new object: the writer owns all fields that it sent and that are stored.
pub(crate) fn create(lists: ListTypes<'_>, sent: &Value, object: &mut Value, writer: &Writer) {
    let mut entries = Vec::new();
    let mut paths = paths_of(lists, sent);
    paths.retain(|path| find(object, path).is_some());
    set(&mut entries, writer, paths);
    write(object, &entries);
}

/// Records the owners after any other write.
pub(crate) fn update(lists: ListTypes<'_>, old: &Value, new: &mut Value, writer: &Writer) {
    let mut entries = read(old);
    let there = paths_of(lists, new);
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

/// The paths of all fields of an object that can have an owner.
fn paths_of(lists: ListTypes<'_>, object: &Value) -> BTreeSet<Path> {
    let mut paths = BTreeSet::new();
    for (field, value) in object.as_object().into_iter().flatten() {
        if !matches!(field.as_str(), "apiVersion" | "kind") {
            collect(lists, value, &mut vec![format!("f:{field}")], &mut paths);
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

fn collect(lists: ListTypes<'_>, value: &Value, path: &mut Path, paths: &mut BTreeSet<Path>) {
    let mut within = |path: &mut Path, segment: String, inner: &Value| {
        path.push(segment);
        collect(lists, inner, path, paths);
        path.pop();
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, inner) in fields {
                within(path, format!("f:{field}"), inner);
            }
        }
        Value::Array(entries) => match lists.of(path, entries) {
            ListType::Atomic => drop(paths.insert(path.clone())),
            list => {
                for entry in entries {
                    within(path, list.segment(entry), entry);
                }
            }
        },
        _ => drop(paths.insert(path.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: ListTypes<'_> = ListTypes::by_name();

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
        let first = apply(ANY, &spec(&json!({})), &spec(&json!({"n": 1, "own": 1})), &writer("a")).unwrap();
        let refused = apply(ANY, &first, &spec(&json!({"n": 2})), &writer("b")).unwrap_err();
        assert_eq!(refused, [conflict("a", true)]);
        let shared = apply(ANY, &first, &spec(&json!({"n": 1})), &writer("b")).unwrap();
        assert_eq!(shared["spec"], json!({"n": 1, "own": 1}));
        let forced =
            apply(ANY, &shared, &spec(&json!({"n": 2})), &Writer { is_forced: true, ..writer("b") }).unwrap();
        assert_eq!(forced["spec"], json!({"n": 2, "own": 1}));
        // the previous owner needs force, too
        assert!(apply(ANY, &forced, &spec(&json!({"n": 1, "own": 1})), &writer("a")).is_err());
    }

    #[test]
    fn a_field_left_out_is_removed_unless_another_manager_owns_it() {
        let first =
            apply(ANY, &spec(&json!({})), &spec(&json!({"n": 1, "m": {"k": 1}})), &writer("a")).unwrap();
        let second = apply(ANY, &first, &spec(&json!({"n": 1})), &writer("b")).unwrap();
        let left = apply(ANY, &second, &spec(&json!({"z": 0})), &writer("a")).unwrap();
        assert_eq!(left["spec"], json!({"n": 1, "z": 0}));
    }

    #[test]
    fn list_entries_have_separate_owners() {
        let conditions = |kind: &str, status: &str| json!({"conditions": [{"type": kind, "status": status}]});
        let first = apply(ANY, &spec(&json!({})), &spec(&conditions("A", "True")), &writer("a")).unwrap();
        let both = apply(ANY, &first, &spec(&conditions("B", "True")), &writer("b")).unwrap();
        assert_eq!(both["spec"]["conditions"].as_array().unwrap().len(), 2);
        let refused = apply(ANY, &both, &spec(&conditions("A", "False")), &writer("b")).unwrap_err();
        assert_eq!(refused[0].field, ".spec.conditions[type=\"A\"].status");
        let gone = apply(ANY, &both, &spec(&json!({})), &writer("b")).unwrap();
        assert_eq!(gone["spec"], conditions("A", "True"));
    }

    #[test]
    fn a_schema_says_how_lists_are_merged() {
        let list = |list_type: &str| json!({"type": "array", "x-kubernetes-list-type": list_type, "x-kubernetes-list-map-keys": ["k"]});
        let fields = json!({"map": list("map"), "set": list("set"), "env": {"type": "array"}});
        let schema = json!({"properties": {"spec": {"properties": fields}}});
        let lists = ListTypes::of_schema(&schema);
        let one = json!({"map": [{"k": 1, "v": 1}], "set": ["a"], "env": [{"name": "a"}]});
        let first = apply(lists, &spec(&json!({})), &spec(&one), &writer("a")).unwrap();
        let other = json!({"map": [{"k": 2, "v": 2}], "set": ["b"]});
        let both = apply(lists, &first, &spec(&other), &writer("b")).unwrap();
        let all =
            json!({"map": [{"k": 1, "v": 1}, {"k": 2, "v": 2}], "set": ["a", "b"], "env": [{"name": "a"}]});
        assert_eq!(both["spec"], all);
        // a list without a type has one owner
        let refused = apply(lists, &both, &spec(&json!({"env": [{"name": "b"}]})), &writer("b")).unwrap_err();
        assert_eq!(refused[0].field, ".spec.env");
        let gone = apply(lists, &both, &spec(&json!({"set": ["a"]})), &writer("a")).unwrap();
        assert_eq!(gone["spec"], json!({"map": [{"k": 2, "v": 2}], "set": ["a", "b"]}));
    }

    #[test]
    fn an_update_owns_the_fields_it_changes() {
        let old = apply(ANY, &spec(&json!({})), &spec(&json!({"n": 1, "m": 1})), &writer("a")).unwrap();
        let mut new = old.clone();
        new["spec"]["n"] = 2.into();
        update(ANY, &old, &mut new, &Writer { operation: Operation::Update, ..writer("kubectl") });
        let refused = apply(ANY, &new, &spec(&json!({"n": 1, "m": 1})), &writer("a")).unwrap_err();
        assert_eq!(refused, [conflict("kubectl", false)]);
        // a write without changes changes no owner
        let mut same = new.clone();
        update(ANY, &new, &mut same, &Writer { operation: Operation::Update, ..writer("other") });
        assert_eq!(same, new);
    }
}
