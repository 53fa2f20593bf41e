//! The fields of a podConfig by name, and how layers replace one another field by field.

use super::layer::{Layer, SourcedValue};
use super::read::Merged;
use super::{PodConfig, read};
use pop_document::{Fault, Fields, Pointer};
use serde_json::{Map, Value, json};

/// The fields that are in force (docs/formats/registry.md).
const LIVE: [&str; 25] = [
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
/// POP's fields that have no effect, there or here.
const DEAD: [&str; 7] = [
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
    LIVE.into_iter().chain(DEAD)
}

/// The values that hold where no registry says otherwise.
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

/// Lays layers over one another: a field that a later layer gives replaces the whole field, maps and lists too.
fn merge(core: Value, layers: &[(Layer, &Map<String, Value>, Pointer)]) -> Merged {
    let mut merged = Merged::new();
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

/// Checks the fields of one layer: unknown ones are warned of, values of a wrong kind are faults.
pub(crate) fn check(layer: &Value, at: &Pointer, faults: &mut Vec<Fault>) {
    let Some(mut fields) = Fields::of(layer, at.clone(), "a podConfig", "wrong-type", faults) else { return };
    let known: Vec<&str> = field_names().collect();
    fields.warn_unknown("a podConfig", &known);
    for name in DEAD {
        if fields.any(name).is_none() {
            continue;
        }
        let fault = Fault::key("no-effect", fields.at(name), format!("`{name}` has no effect")).warning();
        fields.faults().push(fault);
    }
    read::pod_config(&mut fields);
}

/// The podConfig of a type, of layers that were checked one by one. `config_map` is the type's own, with its place;
/// it is written into the first of `configMapSettings`, and without one pop's own mount is left out.
pub(crate) fn of_entry(
    layers: &[(Layer, &Map<String, Value>, Pointer)],
    config_map: Option<(&str, Pointer)>,
    faults: &mut Vec<Fault>,
) -> (Merged, PodConfig) {
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

/// The podConfig of commands of the built-in type `exec`.
pub(crate) fn of_exec(base: Option<&Map<String, Value>>, faults: &mut Vec<Fault>) -> PodConfig {
    let mut core = core();
    core["reapCompletedPods"] = json!(true);
    core["configMapSettings"] = Value::Null;
    // a command of one's own does not report as a pod: it needs no account that may
    core["serviceAccountName"] = Value::Null;
    let base = base.map(|base| (Layer::Base, base, Pointer::root().join("basePodConfig")));
    let mut found = Vec::new();
    let merged = merge(core, base.as_slice());
    let pod = read::merged(&merged, &mut found);
    // entries may complete what the base alone does not say, so that it is no error of the registry
    faults.extend(found.into_iter().map(|fault| {
        let message = format!("for operations of type `exec`, {}", fault.message);
        Fault { message, ..fault }.warning()
    }));
    PodConfig {
        cpu_limit: pod.cpu_limit.max(pod.cpu_request).filter(|_| pod.cpu_limit.is_some()),
        memory_limit: pod.memory_limit.max(pod.memory_request).filter(|_| pod.memory_limit.is_some()),
        // the command is the payload's, and a plain program has no last words
        arguments: Vec::new(),
        end_of_log: None,
        ..pod
    }
}

impl Default for PodConfig {
    /// What holds where no registry says otherwise, without a config map.
    fn default() -> Self {
        of_entry(&[], None, &mut Vec::new()).1
    }
}
