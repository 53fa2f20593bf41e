//! The fields of a podConfig by name, and the merge of its layers field by field.

use super::layer::{Layer, SourcedValue};
use super::read::MergedFields;
use super::{PodConfig, read};
use pop_document::{Fault, Fields, Pointer};
use serde_json::{Map, Value, json};

/// The fields with an effect (docs/formats/registry.md).
const EFFECTIVE: [&str; 25] = [
    "namePrefix",
    "imageName",
    "arguments",
    "envVars",
    "serviceAccountName",
    "cpuMinRequestCount",
    "cpuMaxRequestCount",
    "memoryRequestCount",
    "memoryLimitCount",
    "reapCompletedPods",
    "pullAlways",
    "podScheduledTimeoutMs",
    "podStdoutTimeout",
    "endOfLogIdentifier",
    "useTaintedNodes",
    "taintedNodeSelector",
    "taintedNodeToleration",
    "dockerPrivileged",
    "defaultEmptyDirLogging",
    "configMapSettings",
    "nfsSettings",
    "hostPaths",
    "aliveCheckDetails",
    "labels",
    "workspaceMountPath",
];
/// POP's fields without an effect, neither in POP nor in pop.
const IGNORED: [&str; 7] = [
    "podRetryCount",
    "retryDelayMilliSecs",
    "logLineExpectation",
    "enableOutputScraping",
    "retryableExceptions",
    "nonRetryableExceptions",
    "logback",
];

/// The names of all fields of a podConfig.
pub fn field_names() -> impl Iterator<Item = &'static str> {
    EFFECTIVE.into_iter().chain(IGNORED)
}

/// The default values without a registry.
fn core() -> Value {
    json!({
        "cpuMinRequestCount": "1.0", "cpuMaxRequestCount": "1.0", "podScheduledTimeoutMs": 300_000,
        "serviceAccountName": "pop-service", "endOfLogIdentifier": pop_contract::HANDLER_COMPLETE,
        "reapCompletedPods": false, "pullAlways": false,
        "configMapSettings": [{
            "volumeName": "config-volume", "volumeMountPath": "/app/config",
            "mapKeyPaths": [{"key": "external-properties", "path": "external.properties"},
                            {"key": "env-properties", "path": "env.properties"}],
        }],
    })
}

/// Merges layers. A field of a later layer replaces the whole field, including maps and lists.
fn merge(core: Value, layers: &[(Layer, &Map<String, Value>, Pointer)]) -> MergedFields {
    let mut merged = MergedFields::new();
    if let Value::Object(core) = core {
        for (name, value) in core {
            merged.insert(name, SourcedValue { value, layer: Layer::Core, pointer: Pointer::root() });
        }
    }
    for (layer, fields, pointer) in layers {
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let sourced = SourcedValue { value: value.clone(), layer: *layer, pointer: pointer.join(name) };
            merged.insert(name.clone(), sourced);
        }
    }
    merged
}

/// Checks the fields of one layer. Unknown fields are warnings, values of a wrong type are faults.
pub(crate) fn check(layer: &Value, at: &Pointer, faults: &mut Vec<Fault>) {
    let Some(mut fields) = Fields::of(layer, at.clone(), "a podConfig", "wrong-type", faults) else { return };
    let known: Vec<&str> = field_names().collect();
    fields.warn_unknown("a podConfig", &known);
    for name in IGNORED {
        if fields.any(name).is_none() {
            continue;
        }
        let fault = Fault::key("no-effect", fields.at(name), format!("`{name}` has no effect")).warning();
        fields.faults().push(fault);
    }
    read::pod_config(&mut fields);
}

/// The podConfig of an entry from layers that are already checked. `config_map` is the entry's own config map with its
/// pointer. It is set in the first of `configMapSettings`; without it the core default mount is removed.
pub(crate) fn of_entry(
    layers: &[(Layer, &Map<String, Value>, Pointer)],
    config_map: Option<(&str, Pointer)>,
    faults: &mut Vec<Fault>,
) -> (MergedFields, PodConfig) {
    let mut merged = merge(core(), layers);
    if let Some(settings) = merged.get_mut("configMapSettings") {
        match config_map {
            Some((name, at)) => {
                if let Some(first @ Value::Object(_)) = settings.value.get_mut(0) {
                    first["configMapName"] = json!(name);
                    settings.pointer = at;
                    settings.layer = Layer::Entry;
                }
            }
            None if settings.layer == Layer::Core => {
                merged.remove("configMapSettings");
            }
            None => {}
        }
    }
    let pod = read::merged(&merged, faults);
    (merged, pod)
}

/// The podConfig of the built-in type `exec`.
pub(crate) fn of_exec(base: Option<&Map<String, Value>>, faults: &mut Vec<Fault>) -> PodConfig {
    let mut core = core();
    core["reapCompletedPods"] = json!(true);
    core["configMapSettings"] = Value::Null;
    // a command does not report as a pod, so it needs no service account with that permission
    core["serviceAccountName"] = Value::Null;
    let base = base.map(|base| (Layer::Base, base, Pointer::root().join("basePodConfig")));
    let mut found = Vec::new();
    let merged = merge(core, base.as_slice());
    let pod = read::merged(&merged, &mut found);
    // entries may complete an incomplete base, so this is not an error of the registry
    faults.extend(found.into_iter().map(|fault| {
        let message = format!("for operations of type `exec`, {}", fault.message);
        Fault { message, ..fault }.warning()
    }));
    PodConfig {
        cpu_limit: pod.cpu_limit.max(pod.cpu_request).filter(|_| pod.cpu_limit.is_some()),
        memory_limit: pod.memory_limit.max(pod.memory_request).filter(|_| pod.memory_limit.is_some()),
        // the payload contains the command, and a plain program prints no end-of-log text
        arguments: Vec::new(),
        end_of_log: None,
        ..pod
    }
}

impl Default for PodConfig {
    /// The core defaults, without a config map.
    fn default() -> Self {
        of_entry(&[], None, &mut Vec::new()).1
    }
}
