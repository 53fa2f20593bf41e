//! Structural schemas applied to objects: defaults are set, unknown fields are pruned. Pure.

use serde_json::Value;

/// Fields of a resource that its schema need not list.
pub(super) const RESERVED: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Sets defaults and prunes unknown fields of a custom resource. Returns the paths of the pruned fields.
pub(crate) fn conform(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    conform_at(schema, object, "", true, &mut unknown);
    unknown
}

fn conform_at(schema: &Value, value: &mut Value, path: &str, is_resource: bool, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            let additional = &schema["additionalProperties"];
            let schema_of = |name: &str| {
                let property = properties.and_then(|properties| properties.get(name));
                property.or_else(|| Some(additional).filter(|additional| additional.is_object()))
            };
            let is_reserved = |name: &str| is_resource && RESERVED.contains(&name);
            // a null in a field that is not nullable counts as a missing field
            fields.retain(|name, value| {
                !value.is_null() || schema_of(name).is_none_or(|schema| schema["nullable"] == true)
            });
            for (name, property) in properties.into_iter().flatten() {
                if let (false, Some(default)) = (fields.contains_key(name), property.get("default")) {
                    fields.insert(name.clone(), default.clone());
                }
            }
            let is_open = schema["x-kubernetes-preserve-unknown-fields"] == true || additional == true;
            fields.retain(|name, _| {
                let is_known = is_open || is_reserved(name) || schema_of(name).is_some();
                if !is_known {
                    unknown.push(child(path, name));
                }
                is_known
            });
            for (name, value) in fields.iter_mut().filter(|(name, _)| !is_reserved(name)) {
                if let Some(inner) = schema_of(name) {
                    let is_resource = inner["x-kubernetes-embedded-resource"] == true;
                    conform_at(inner, value, &child(path, name), is_resource, unknown);
                }
            }
        }
        Value::Array(entries) => {
            let inner = &schema["items"];
            let is_resource = inner["x-kubernetes-embedded-resource"] == true;
            for (at, entry) in entries.iter_mut().enumerate().filter(|_| inner.is_object()) {
                conform_at(inner, entry, &format!("{path}[{at}]"), is_resource, unknown);
            }
        }
        _ => {}
    }
}

/// The path of a field.
pub(super) fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_are_pruned_and_defaults_set() {
        let inner = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "n": {"type": "integer", "default": 3},
            "inner": inner,
            "list": {"type": "array", "items": inner},
            "map": {"type": "object", "additionalProperties": inner},
            "open": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"inner": inner},
            },
            "maybe": {"type": "string", "nullable": true, "default": "x"},
            "never": {"type": "string"},
            "pod": {
                "type": "object", "x-kubernetes-embedded-resource": true,
                "x-kubernetes-preserve-unknown-fields": true,
            },
        }}}});
        let both = json!({"a": "x", "b": "y"});
        let mut object = json!({
            "apiVersion": "v1", "kind": "K", "metadata": {"name": "x"}, "more": 1,
            "spec": {
                "inner": both, "list": [both], "map": {"k": both}, "open": {"z": both, "inner": both},
                "maybe": null, "never": null, "n": null, "pod": {"kind": "Pod", "metadata": {"name": "y"}, "z": 1},
            },
        });
        let mut unknown = conform(&schema, &mut object);
        unknown.sort();
        assert_eq!(unknown, ["more", "spec.inner.b", "spec.list[0].b", "spec.map.k.b", "spec.open.inner.b"]);
        let one = json!({"a": "x"});
        let spec = json!({
            "inner": one, "list": [one], "map": {"k": one}, "open": {"z": both, "inner": one}, "maybe": null, "n": 3,
            "pod": {"kind": "Pod", "metadata": {"name": "y"}, "z": 1},
        });
        assert_eq!(object["spec"], spec);
        assert_eq!(object["metadata"]["name"], "x");
    }
}
