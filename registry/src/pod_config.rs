//! PodConfig: the fields of a pod's template, and how layers replace one another field by field.

use crate::{Layer, Sourced};
use pop_document::{Fault, Pointer, kind_of, nearest};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Whole,
    Texts,
    Map,
    Maps,
    Any,
}

/// Every field, with the kind of value it takes (docs/formats/registry.md). `Any` marks those without effect.
const FIELDS: [(&str, Kind); 31] = [
    ("namePrefix", Kind::Text),
    ("imageName", Kind::Text),
    ("arguments", Kind::Texts),
    ("envVars", Kind::Map),
    ("serviceAccountName", Kind::Text),
    ("cpuMinRequestCount", Kind::Text),
    ("cpuMaxRequestCount", Kind::Text),
    ("memoryRequestCount", Kind::Text),
    ("reapCompletedPods", Kind::Flag),
    ("pullAlways", Kind::Flag),
    ("podScheduledTimeoutMs", Kind::Whole),
    ("podStdoutTimeout", Kind::Whole),
    ("endOfLogIdentifier", Kind::Text),
    ("useTaintedNodes", Kind::Flag),
    ("taintedNodeSelector", Kind::Text),
    ("taintedNodeToleration", Kind::Text),
    ("dockerPrivileged", Kind::Flag),
    ("defaultEmptyDirLogging", Kind::Flag),
    ("configMapSettings", Kind::Maps),
    ("nfsSettings", Kind::Maps),
    ("aliveCheckDetails", Kind::Map),
    ("labels", Kind::Map),
    ("podRetryCount", Kind::Any),
    ("retryDelayMilliSecs", Kind::Any),
    ("logLineExpectation", Kind::Any),
    ("enableOutputScraping", Kind::Any),
    ("retryableExceptions", Kind::Any),
    ("nonRetryableExceptions", Kind::Any),
    ("logback", Kind::Any),
    ("memoryLimitCount", Kind::Text),
    ("workspaceMountPath", Kind::Text),
];

/// The names of all fields of a podConfig.
pub fn field_names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(name, _)| *name)
}

/// The values that hold where no registry says otherwise.
fn core() -> Value {
    json!({
        "cpuMinRequestCount": "1.0", "cpuMaxRequestCount": "1.0",
        "podScheduledTimeoutMs": 300_000, "podStdoutTimeout": 120_000,
        "serviceAccountName": "pop-service", "endOfLogIdentifier": crate::contract::HANDLER_COMPLETE,
        "reapCompletedPods": false, "pullAlways": false,
        "configMapSettings": [{
            "volumeName": "config-volume", "volumeMountPath": "/app/config",
            "mapKeyPaths": [{"key": "external-properties", "path": "external.properties"},
                            {"key": "env-properties", "path": "env.properties"}],
        }],
    })
}

/// Lays the layers over one another: a field that a later layer gives replaces the whole field, maps and
/// lists too. Then the entry's config map is written into the first of `configMapSettings`.
pub(crate) fn resolve(layers: &[(Layer, &Map<String, Value>, Pointer)]) -> BTreeMap<String, Sourced> {
    let mut merged = BTreeMap::new();
    if let Value::Object(core) = core() {
        for (name, value) in core {
            merged.insert(name, Sourced { value, layer: Layer::Core, pointer: Pointer::root() });
        }
    }
    for (layer, fields, pointer) in layers {
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let sourced = Sourced { value: value.clone(), layer: *layer, pointer: pointer.join(name) };
            merged.insert(name.clone(), sourced);
        }
    }
    merged
}

/// Checks the fields of one layer: unknown ones are warned of, values of a wrong kind are faults.
pub(crate) fn check(fields: &Map<String, Value>, at: &Pointer, faults: &mut Vec<Fault>) {
    for (name, value) in fields {
        let Some((_, kind)) = FIELDS.iter().find(|(known, _)| known == name) else {
            let message = format!("a podConfig has no field `{name}`; it is ignored");
            let near = nearest(name, FIELDS.iter().map(|(known, _)| *known));
            faults.push(Fault::key("unknown-field", at.join(name), message).warning().did_you_mean(near));
            continue;
        };
        if value.is_null() {
            continue;
        }
        let (good, must) = match kind {
            Kind::Text => (value.is_string(), "text"),
            Kind::Flag => (value.is_boolean(), "true or false"),
            Kind::Whole => (value.is_u64(), "a whole number from 0"),
            Kind::Texts => (is_list_of(value, Value::is_string), "a list of texts"),
            Kind::Map => (value.is_object(), "a map"),
            Kind::Maps => (is_list_of(value, Value::is_object), "a list of maps"),
            Kind::Any => {
                let message = format!("`{name}` has no effect");
                faults.push(Fault::key("no-effect", at.join(name), message).warning());
                continue;
            }
        };
        if !good {
            let message = format!("`{name}` must be {must}, not {}", kind_of(value));
            faults.push(Fault::value("wrong-type", at.join(name), message));
        }
    }
}

fn is_list_of(value: &Value, good: impl Fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p18_a_given_field_replaces_the_whole_field() {
        let base = json!({"labels": {"a": "1", "b": "2"}, "arguments": ["x", "y"], "pullAlways": true});
        let own = json!({"labels": {"c": "3"}, "arguments": []});
        let merged = resolve(&[
            (Layer::Base, base.as_object().unwrap(), "/basePodConfig".into()),
            (Layer::Entry, own.as_object().unwrap(), "/t/podConfig".into()),
        ]);
        assert_eq!(merged["labels"].value, json!({"c": "3"}));
        assert_eq!(merged["arguments"].value, json!([]));
        assert_eq!((&merged["pullAlways"].value, merged["pullAlways"].layer), (&json!(true), Layer::Base));
        assert_eq!(merged["labels"].pointer.as_str(), "/t/podConfig/labels");
        assert_eq!(merged["serviceAccountName"].layer, Layer::Core);
    }
}
