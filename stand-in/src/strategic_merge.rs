//! Strategic merge: maps are merged by field, lists by their merge key. Pure.

use serde_json::{Map, Value};

/// The field that identifies the entries of a list; lists without one are replaced as a whole.
pub(crate) fn key_of(list: &str) -> Option<&'static str> {
    Some(match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => "name",
        "volumeMounts" => "mountPath",
        "ports" => "containerPort",
        "conditions" => "type",
        "ownerReferences" => "uid",
        "podIPs" | "hostIPs" | "hostAliases" => "ip",
        _ => return None,
    })
}

/// Merges a patch into a value: maps by field, lists with a merge key by entry.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        target.clone_from(patch);
        return;
    };
    if changes.get("$patch").is_some_and(|directive| directive == "replace") {
        *target = without_directives(changes);
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (field, change) in changes {
        if let Some(list) = field.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = change.as_array().cloned().unwrap_or_default();
            if let Some(entries) = target[list].as_array_mut() {
                entries.retain(|entry| !gone.contains(entry));
            }
        } else if field.starts_with('$') {
            // other directives change no content
        } else if change.is_null() {
            if let Some(fields) = target.as_object_mut() {
                fields.remove(field);
            }
        } else if let (Some(key), Value::Array(entries)) = (key_of(field), change) {
            merge_list(&mut target[field], key, entries);
        } else if let ("finalizers", Value::Array(entries)) = (field.as_str(), change) {
            let mut all = target[field].as_array().cloned().unwrap_or_default();
            all.extend(entries.iter().filter(|entry| !all.contains(entry)).cloned().collect::<Vec<_>>());
            target[field] = Value::Array(all);
        } else {
            merge(&mut target[field], change);
        }
    }
}

fn merge_list(target: &mut Value, key: &str, changes: &[Value]) {
    let mut entries = target.as_array().cloned().unwrap_or_default();
    if changes.iter().any(|change| change["$patch"] == "replace") {
        entries.clear();
    }
    for change in changes {
        let place = entries.iter().position(|entry| entry[key] == change[key]);
        match (place, change["$patch"].as_str()) {
            (_, Some("replace")) => {}
            (Some(place), Some("delete")) => drop(entries.remove(place)),
            (None, Some("delete")) => {}
            (Some(place), _) => merge(&mut entries[place], change),
            (None, _) => entries.push(change.clone()),
        }
    }
    *target = Value::Array(entries);
}

fn without_directives(fields: &Map<String, Value>) -> Value {
    let plain = fields.iter().filter(|(field, _)| !field.starts_with('$'));
    Value::Object(plain.map(|(field, value)| (field.clone(), value.clone())).collect())
}
