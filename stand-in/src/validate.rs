//! Validation of objects and of their updates.

use crate::custom::definition;
use crate::failure::Cause;
use crate::kind::{DEFINITIONS, Kind};
use crate::quantity;
use serde_json::Value;

const NAME: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
     start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
     end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
     start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
     validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const ENVIRONMENT: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
/// Limit of all annotations of an object together, in bytes.
const ANNOTATIONS: usize = 256 * 1024;
/// Limit of the data of a ConfigMap or Secret, in bytes.
const DATA: usize = 1024 * 1024;

/// All faults of an object.
pub(crate) fn check(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    metadata(kind, object, &mut causes);
    match kind.kind {
        "Pod" => pod(&object["spec"], &mut causes),
        "CustomResourceDefinition" => causes.extend(definition::check(object)),
        "ConfigMap" | "Secret" => {
            let size: usize = ["data", "binaryData"].into_iter().map(|field| sizes(&object[field])).sum();
            if size > DATA {
                let message = format!("Too long: may not be more than {DATA} bytes");
                causes.push(Cause::new("[]", "FieldValueTooLong", message));
            }
        }
        _ => {}
    }
    causes
}

/// Forbidden changes of an update.
pub(crate) fn check_update(kind: &Kind, old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if kind.kind == "Pod" && unchangeable(&old["spec"]) != unchangeable(&new["spec"]) {
        let why = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
                   `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                   existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                   previously negative)";
        causes.push(Cause::new("spec", "FieldValueForbidden", why.to_owned()));
    }
    if kind == &DEFINITIONS {
        causes.extend(definition::check_update(old, new));
    }
    let finalizers =
        |object: &Value| object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let (before, after) = (finalizers(old), finalizers(new));
    let added: Vec<_> = after.iter().filter(|one| !before.contains(one)).map(Value::to_string).collect();
    if old["metadata"]["deletionTimestamp"].is_string() && !added.is_empty() {
        let why = format!(
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.join(", ")
        );
        causes.push(Cause::new("metadata.finalizers", "FieldValueForbidden", why));
    }
    if old["immutable"] == true && old["data"] != new["data"] {
        let why = "Forbidden: field is immutable when `immutable` is set".to_owned();
        causes.push(Cause::new("data", "FieldValueForbidden", why));
    }
    causes
}

/// The immutable part of a pod's spec.
fn unchangeable(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            container["image"] = Value::Null;
        }
    }
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("activeDeadlineSeconds");
        fields.remove("tolerations");
    }
    spec
}

fn metadata(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let is_role = kind.group == "rbac.authorization.k8s.io";
    let is_good = match kind.kind {
        _ if is_role => !name.contains(['/', '%']) && !matches!(name, "." | ".."),
        "Namespace" => is_label(name),
        _ => is_subdomain(name),
    };
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if !is_good {
        causes.push(Cause::invalid(
            "metadata.name",
            name,
            if kind.kind == "Namespace" { LABEL } else { NAME },
        ));
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        qualified("metadata.labels", key, causes);
        label_value("metadata.labels", value.as_str().unwrap_or_default(), causes);
    }
    for (key, _) in metadata["annotations"].as_object().into_iter().flatten() {
        // keys of annotations may contain upper case
        qualified("metadata.annotations", &key.to_lowercase(), causes);
    }
    if sizes(&metadata["annotations"]) > ANNOTATIONS {
        let message = format!("Too long: may not be more than {ANNOTATIONS} bytes");
        causes.push(Cause::new("metadata.annotations", "FieldValueTooLong", message));
    }
    for (at, owner) in metadata["ownerReferences"].as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                let path = format!("metadata.ownerReferences[{at}].{field}");
                causes.push(Cause::invalid(&path, "", &format!("{field} must not be empty")));
            }
        }
    }
}

fn pod(spec: &Value, causes: &mut Vec<Cause>) {
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        causes.push(Cause::required("spec.containers", ""));
    }
    let volumes: Vec<&str> = names(&spec["volumes"]).collect();
    for (at, name) in volumes.iter().enumerate() {
        dns_label(&format!("spec.volumes[{at}].name"), name, causes);
    }
    let mut seen = Vec::new();
    for list in ["initContainers", "containers"] {
        for (at, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let path = format!("spec.{list}[{at}]");
            let name = container["name"].as_str().unwrap_or_default();
            dns_label(&format!("{path}.name"), name, causes);
            if seen.contains(&name) {
                let message = format!("Duplicate value: {name:?}");
                causes.push(Cause::new(&format!("{path}.name"), "FieldValueDuplicate", message));
            }
            seen.push(name);
            one_container(&path, container, &volumes, causes);
        }
    }
    for (key, value) in spec["nodeSelector"].as_object().into_iter().flatten() {
        qualified("spec.nodeSelector", key, causes);
        label_value("spec.nodeSelector", value.as_str().unwrap_or_default(), causes);
    }
    let policy = spec["restartPolicy"].as_str().unwrap_or_default();
    if !["Always", "OnFailure", "Never"].contains(&policy) {
        let message =
            format!("Unsupported value: {policy:?}: supported values: \"Always\", \"OnFailure\", \"Never\"");
        causes.push(Cause::new("spec.restartPolicy", "FieldValueNotSupported", message));
    }
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64().filter(|seconds| *seconds < 1) {
        let why = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid("spec.activeDeadlineSeconds", &seconds.to_string(), why));
    }
}

fn one_container(path: &str, container: &Value, volumes: &[&str], causes: &mut Vec<Cause>) {
    let image = container["image"].as_str().unwrap_or_default();
    if image.is_empty() {
        causes.push(Cause::required(&format!("{path}.image"), ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(&format!("{path}.image"), image, why));
    }
    for (at, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        let name = variable["name"].as_str().unwrap_or_default();
        let field = format!("{path}.env[{at}].name");
        if name.is_empty() {
            causes.push(Cause::required(&field, ""));
        } else if !name.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'=') {
            causes.push(Cause::invalid(&field, name, ENVIRONMENT));
        }
        if variable["valueFrom"].is_object() && !variable["value"].as_str().unwrap_or_default().is_empty() {
            let why = "may not be specified when `value` is not empty";
            causes.push(Cause::invalid(&format!("{path}.env[{at}].valueFrom"), "", why));
        }
    }
    for (at, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let name = mount["name"].as_str().unwrap_or_default();
        if !volumes.contains(&name) {
            let message = format!("Not found: {name:?}");
            causes.push(Cause::new(
                &format!("{path}.volumeMounts[{at}].name"),
                "FieldValueNotFound",
                message,
            ));
        }
        if mount["mountPath"].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(&format!("{path}.volumeMounts[{at}].mountPath"), ""));
        }
    }
    let resources = &container["resources"];
    for part in ["limits", "requests"] {
        for (resource, amount) in resources[part].as_object().into_iter().flatten() {
            let field = format!("{path}.resources.{part}[{resource}]");
            let text = as_text(amount);
            match quantity::parse(&text) {
                None => causes.push(Cause::invalid(&field, &text, QUANTITY)),
                Some(amount) if amount < 0 => {
                    causes.push(Cause::invalid(&field, &text, "must be greater than or equal to 0"));
                }
                Some(amount) => {
                    let limit = quantity::parse(&as_text(&resources["limits"][resource]));
                    if part == "requests" && limit.is_some_and(|limit| amount > limit) {
                        let limit = as_text(&resources["limits"][resource]);
                        let why = format!("must be less than or equal to {resource} limit of {limit}");
                        causes.push(Cause::invalid(&format!("{path}.resources.requests"), &text, &why));
                    }
                }
            }
        }
    }
}

/// The text of a string or a number; empty for null.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().map(|entry| entry["name"].as_str().unwrap_or_default())
}

/// Total size of the keys and values of a map, in bytes.
fn sizes(map: &Value) -> usize {
    let entries = map.as_object().into_iter().flatten();
    entries.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum()
}

fn dns_label(field: &str, name: &str, causes: &mut Vec<Cause>) {
    if name.is_empty() {
        causes.push(Cause::required(field, ""));
    } else if name.len() > 63 {
        causes.push(Cause::invalid(field, name, "must be no more than 63 characters"));
    } else if !is_label(name) {
        causes.push(Cause::invalid(field, name, LABEL));
    }
}

fn qualified(field: &str, key: &str, causes: &mut Vec<Cause>) {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        causes.push(Cause::invalid(field, key, &format!("prefix part {NAME}")));
    }
    if name.is_empty() {
        causes.push(Cause::invalid(field, key, "name part must be non-empty"));
    } else if name.len() > 63 {
        causes.push(Cause::invalid(field, key, "name part must be no more than 63 characters"));
    } else if !is_qualified_part(name) {
        causes.push(Cause::invalid(field, key, QUALIFIED));
    }
}

fn label_value(field: &str, value: &str, causes: &mut Vec<Cause>) {
    if value.len() > 63 {
        causes.push(Cause::invalid(field, value, "must be no more than 63 characters"));
    } else if !value.is_empty() && !is_qualified_part(value) {
        causes.push(Cause::invalid(field, value, LABEL_VALUE));
    }
}

fn is_qualified_part(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && text.starts_with(|sign: char| sign.is_ascii_alphanumeric())
        && text.ends_with(|sign: char| sign.is_ascii_alphanumeric())
}

fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_subdomain(text: &str) -> bool {
    // the limit is on the whole; a part may be longer than a label
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{KINDS, PODS};
    use serde_json::json;

    fn pod_with(path: &str, value: Value) -> Value {
        let mut pod = json!({
            "metadata": {"name": "x"},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "a"}]},
        });
        let mut at = &mut pod;
        for key in path.split('.') {
            at = match key.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[key],
            };
        }
        *at = value;
        pod
    }

    #[test]
    fn each_fault_names_its_field() {
        for (path, value, field) in [
            ("metadata.name", json!("x.y-z"), ""),
            ("metadata.name", json!("X"), "metadata.name"),
            ("metadata.name", json!("a".repeat(254)), "metadata.name"),
            ("metadata.labels", json!({"a": "b".repeat(63)}), ""),
            ("metadata.labels", json!({"a": "b".repeat(64)}), "metadata.labels"),
            ("metadata.labels", json!({"a": "b c"}), "metadata.labels"),
            ("metadata.labels", json!({"a/b/c": "d"}), "metadata.labels"),
            ("metadata.annotations", json!({"pop.io/A": "x".repeat(256 * 1024 - 8)}), ""),
            ("metadata.annotations", json!({"pop.io/A": "x".repeat(256 * 1024)}), "metadata.annotations"),
            ("spec.containers", json!([]), "spec.containers"),
            ("spec.containers.0.name", json!("A"), "spec.containers[0].name"),
            ("spec.containers.0.image", json!(" a"), "spec.containers[0].image"),
            ("spec.containers.0.env", json!([{"name": "a=b"}]), "spec.containers[0].env[0].name"),
            (
                "spec.containers.0.resources",
                json!({"limits": {"cpu": "x"}}),
                "spec.containers[0].resources.limits[cpu]",
            ),
            (
                "spec.containers.0.resources",
                json!({"limits": {"cpu": 1}, "requests": {"cpu": "2"}}),
                "spec.containers[0].resources.requests",
            ),
            (
                "spec.containers.0.volumeMounts",
                json!([{"name": "v", "mountPath": "/v"}]),
                "spec.containers[0].volumeMounts[0].name",
            ),
            ("spec.restartPolicy", json!("Sometimes"), "spec.restartPolicy"),
        ] {
            let causes = check(&PODS, &pod_with(path, value));
            let fields: Vec<_> = causes.iter().map(|cause| cause.field.as_str()).collect();
            assert_eq!(fields.concat(), field, "{path} {causes:?}");
        }
    }

    #[test]
    fn only_images_and_deadline_of_a_pod_may_change() {
        let old = pod_with("metadata.name", json!("x"));
        assert_eq!(check_update(&PODS, &old, &pod_with("spec.containers.0.image", json!("b"))), []);
        assert_eq!(check_update(&PODS, &old, &pod_with("spec.activeDeadlineSeconds", json!(5))), []);
        let causes = check_update(&PODS, &old, &pod_with("spec.nodeName", json!("n")));
        assert_eq!(causes[0].field, "spec");
    }

    #[test]
    fn data_has_a_limit() {
        let kind = KINDS.iter().find(|kind| kind.kind == "ConfigMap").unwrap();
        let map = |size| json!({"metadata": {"name": "x"}, "data": {"k": "v".repeat(size)}});
        assert_eq!(check(kind, &map(DATA - 1)), []);
        assert_eq!(check(kind, &map(DATA))[0].reason, "FieldValueTooLong");
    }
}
