//! The ways to change an object: merge patch, strategic merge patch, JSON patch.

use crate::failure::Failure;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// How the body of a patch is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    /// Server-side apply: here a strategic merge that may also create; nobody owns fields.
    Apply,
}

impl PatchKind {
    /// From the content type of a request.
    pub(crate) fn parse(content_type: &str, kind: &Kind) -> Result<Self, Failure> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !kind.is_custom() => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            other => Err(Failure::unsupported_media_type(other)),
        }
    }

    /// The object with the patch applied.
    pub(crate) fn apply(self, kind: &Kind, object: &Value, patch: &Value) -> Result<Value, Failure> {
        let mut object = object.clone();
        match self {
            Self::Merge => json_patch::merge(&mut object, patch),
            Self::Strategic | Self::Apply => merge(&mut object, patch),
            Self::Json => {
                let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                    .map_err(|why| Failure::bad_request(format!("error decoding patch: {why}")))?;
                for operation in operations.0 {
                    if !is_held_absence(&object, &operation) {
                        json_patch::patch(&mut object, &[operation])
                            .map_err(|why| wrong_patch(kind, &object, &why))?;
                    }
                }
            }
        }
        Ok(object)
    }
}

/// A test for `null` holds for a field that is not there.
fn is_held_absence(object: &Value, operation: &json_patch::PatchOperation) -> bool {
    match operation {
        json_patch::PatchOperation::Test(test) => {
            test.value.is_null() && object.pointer(test.path.as_str()).is_none()
        }
        _ => false,
    }
}

fn wrong_patch(kind: &Kind, object: &Value, why: &json_patch::PatchError) -> Failure {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let mut failure = Failure::invalid(kind, name, &[]);
    failure.message = format!("the server rejected our request due to an error in our request: {why}");
    failure
}

/// The field by which the entries of a list are known; other lists are replaced as a whole.
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

/// Merges a patch into a value: maps field by field, lists of named entries entry by entry.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        target.clone_from(patch);
        return;
    };
    if changes.get("$patch").is_some_and(|order| order == "replace") {
        *target = without_orders(changes);
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
            // orders of other kinds change no content
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

fn without_orders(fields: &Map<String, Value>) -> Value {
    let kept = fields.iter().filter(|(field, _)| !field.starts_with('$'));
    Value::Object(kept.map(|(field, value)| (field.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::PODS;
    use serde_json::json;

    #[test]
    fn patches_do_what_their_kind_says() {
        let pod = json!({
            "metadata": {"name": "x", "labels": {"a": "1", "b": "2"}, "finalizers": ["f"]},
            "spec": {"containers": [{"name": "main", "image": "i"}, {"name": "side", "image": "s"}], "tolerations": [1, 2]},
        });
        let apply = |kind: PatchKind, patch: Value| kind.apply(&PODS, &pod, &patch).unwrap();
        let merged = apply(
            PatchKind::Merge,
            json!({"metadata": {"labels": {"a": null, "c": "3"}}, "spec": {"containers": []}}),
        );
        assert_eq!(merged["metadata"]["labels"], json!({"b": "2", "c": "3"}));
        assert_eq!(merged["spec"]["containers"], json!([]));
        let strategic = apply(
            PatchKind::Strategic,
            json!({
                "metadata": {"labels": {"a": null}, "finalizers": ["g"]},
                "spec": {"containers": [{"name": "side", "$patch": "delete"}, {"name": "main", "tty": true}], "tolerations": [3]},
            }),
        );
        assert_eq!(
            strategic,
            json!({
                "metadata": {"name": "x", "labels": {"b": "2"}, "finalizers": ["f", "g"]},
                "spec": {"containers": [{"name": "main", "image": "i", "tty": true}], "tolerations": [3]},
            })
        );
        let stepped = apply(PatchKind::Json, json!([{"op": "remove", "path": "/metadata/labels/a"}]));
        assert_eq!(stepped["metadata"]["labels"], json!({"b": "2"}));
        let wrong = json!([{"op": "remove", "path": "/none"}]);
        assert_eq!(PatchKind::Json.apply(&PODS, &pod, &wrong).unwrap_err().code, 422);
        let absent = json!([{"op": "test", "path": "/metadata/annotations", "value": null}, {"op": "add", "path": "/metadata/annotations", "value": {}}]);
        assert_eq!(apply(PatchKind::Json, absent)["metadata"]["annotations"], json!({}));
        let present = json!([{"op": "test", "path": "/metadata/labels", "value": null}]);
        assert_eq!(PatchKind::Json.apply(&PODS, &pod, &present).unwrap_err().code, 422);
        let deleted = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["f"]}});
        assert_eq!(apply(PatchKind::Strategic, deleted)["metadata"]["finalizers"], json!([]));
    }
}
