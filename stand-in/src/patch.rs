//! Patches of objects: merge patch, strategic merge patch, JSON patch.

use crate::failure::Failure;
use crate::kind::Kind;
use crate::strategic_merge::merge;
use serde_json::Value;

/// The format of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    /// Server-side apply: a strategic merge that may also create; [`field_owner`](crate::field_owner) tracks owners.
    Apply,
}

impl PatchKind {
    /// Parses the content type of a request.
    pub(crate) fn parse(content_type: &str, kind: &Kind) -> Result<Self, Failure> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !kind.is_custom() => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            other => Err(Failure::unsupported_media_type(other)),
        }
    }

    /// Applies a patch to an object.
    pub(crate) fn apply(self, kind: &Kind, object: &Value, patch: &Value) -> Result<Value, Failure> {
        let mut object = object.clone();
        match self {
            Self::Merge => json_patch::merge(&mut object, patch),
            Self::Strategic | Self::Apply => merge(&mut object, patch),
            Self::Json => {
                let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                    .map_err(|why| Failure::bad_request(format!("error decoding patch: {why}")))?;
                for operation in operations.0 {
                    if !is_absence_test(&object, &operation) {
                        json_patch::patch(&mut object, &[operation])
                            .map_err(|why| wrong_patch(kind, &object, &why))?;
                    }
                }
            }
        }
        Ok(object)
    }
}

/// Whether the operation tests for `null` and the field is missing; such a test succeeds.
fn is_absence_test(object: &Value, operation: &json_patch::PatchOperation) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::PODS;
    use serde_json::json;

    #[test]
    fn each_patch_kind_changes_the_object_as_specified() {
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
