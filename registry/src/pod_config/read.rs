//! Reading the fields of a podConfig into types, with a fault for each invalid field.

use super::layer::SourcedValue;
use super::name_rules::{
    ABSOLUTE, HOST, KEY, LABEL_KEY, LABEL_VALUE, NAME, ONE_LINE, PREFIX, RELATIVE, Rule, SHORT_NAME,
    URL_PATH, VARIABLE,
};
use super::{AliveCheck, ConfigMapSetting, HostPath, Nfs, PodConfig, Taints};
use pop_document::{Fault, Fields, Pointer};
use pop_policy::quantity;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// The merged fields of a podConfig, each with the layer that set it.
pub(crate) type MergedFields = BTreeMap<String, SourcedValue>;

/// Reads the fields of one map. Absent and invalid fields have no value.
pub(super) fn pod_config(fields: &mut Fields<'_, '_>) -> PodConfig {
    let taint = |fields: &mut Fields<'_, '_>, name| checked(fields, name, LABEL_VALUE);
    let (selector, toleration) =
        (taint(fields, "taintedNodeSelector"), taint(fields, "taintedNodeToleration"));
    let is_tainted = fields.boolean("useTaintedNodes") == Some(true);
    PodConfig {
        name_prefix: checked(fields, "namePrefix", PREFIX),
        image: checked(fields, "imageName", ONE_LINE),
        arguments: fields.texts("arguments").unwrap_or_default(),
        env_vars: pairs(fields, "envVars", VARIABLE, None),
        service_account: checked(fields, "serviceAccountName", NAME),
        cpu_request: quantity(fields, "cpuMinRequestCount"),
        cpu_limit: quantity(fields, "cpuMaxRequestCount"),
        memory_request: quantity(fields, "memoryRequestCount"),
        memory_limit: quantity(fields, "memoryLimitCount"),
        reap_completed: flag(fields, "reapCompletedPods"),
        pull_always: flag(fields, "pullAlways"),
        scheduled_timeout: Duration::from_millis(
            number(fields, "podScheduledTimeoutMs", 1, i64::MAX as u64).unwrap_or_default(),
        ),
        stdout_timeout: fields
            .whole("podStdoutTimeout")
            .filter(|ms| *ms > 0)
            .map(|ms| Duration::from_millis(ms.min(i64::MAX as u64))),
        end_of_log: fields.text("endOfLogIdentifier").filter(|text| !text.is_empty()).map(str::to_owned),
        taints: is_tainted.then(|| Some(Taints { selector: selector?, toleration: toleration? })).flatten(),
        privileged: flag(fields, "dockerPrivileged"),
        empty_dir_logging: flag(fields, "defaultEmptyDirLogging"),
        config_maps: each(fields, "configMapSettings", config_map),
        nfs: each(fields, "nfsSettings", nfs),
        host_paths: each(fields, "hostPaths", host_path),
        alive_check: alive_check(fields),
        labels: pairs(fields, "labels", LABEL_KEY, Some(LABEL_VALUE)),
        workspace_mount_path: checked(fields, "workspaceMountPath", ABSOLUTE),
    }
}

/// Reads fields of checked layers, and adds the faults of their combination.
pub(super) fn merged(merged: &MergedFields, faults: &mut Vec<Fault>) -> PodConfig {
    let map: Map<String, Value> =
        merged.iter().map(|(name, sourced)| (name.clone(), sourced.value.clone())).collect();
    let mut found = Vec::new();
    let mut fields = Fields::of_map(&map, Pointer::root(), "wrong-type", &mut found);
    let pod = pod_config(&mut fields);
    let is_tainted = fields.boolean("useTaintedNodes") == Some(true);
    if found.iter().any(Fault::is_error) {
        return pod;
    }
    let taints =
        merged.get("useTaintedNodes").filter(|_| is_tainted && pod.taints.is_none()).map(|sourced| {
            let message = "`useTaintedNodes` needs `taintedNodeSelector` and `taintedNodeToleration`";
            Fault::value("missing-field", sourced.pointer.clone(), message)
        });
    let cpu =
        limit_fault(merged, ("cpuMaxRequestCount", pod.cpu_limit), ("cpuMinRequestCount", pod.cpu_request));
    let memory = limit_fault(
        merged,
        ("memoryLimitCount", pod.memory_limit),
        ("memoryRequestCount", pod.memory_request),
    );
    for fault in [taints, cpu, memory].into_iter().flatten() {
        // a fault in the base affects many types, so report it once
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    pod
}

/// The fault of a limit below its request.
fn limit_fault<Q: Ord + Copy + ToString>(
    merged: &MergedFields,
    (limit_name, limit): (&str, Option<Q>),
    (request_name, request): (&str, Option<Q>),
) -> Option<Fault> {
    let (limit, request) = limit.zip(request).filter(|(limit, request)| limit < request)?;
    let (limit, request) = (limit.to_string(), request.to_string());
    // point at the field of the later layer
    let fields = [request_name, limit_name].into_iter().filter_map(|name| merged.get(name));
    let at = fields.max_by_key(|sourced| sourced.layer)?.pointer.clone();
    let message = format!("`{limit_name}` ({limit}) is less than `{request_name}` ({request})");
    let hint = format!("set `{limit_name}` to at least `{request}`, or to `0` for no limit");
    Some(Fault::value("wrong-value", at, message).hint(hint))
}

/// Reads a text that must satisfy a rule.
pub(crate) fn checked(fields: &mut Fields<'_, '_>, name: &str, (is_valid, must): Rule) -> Option<String> {
    let text = fields.text(name)?;
    if is_valid(text) {
        return Some(text.to_owned());
    }
    let message = format!("`{name}` must be {must}, not `{text}`");
    let fault = Fault::value("wrong-value", fields.at(name), message);
    fields.faults().push(fault);
    None
}

/// Reads a required text that must satisfy a rule.
pub(crate) fn required(fields: &mut Fields<'_, '_>, name: &str, rule: Rule) -> Option<String> {
    check_present(fields, name);
    checked(fields, name, rule)
}

fn check_present(fields: &mut Fields<'_, '_>, name: &str) {
    if fields.any(name).is_none() {
        let fault = Fault::value("missing-field", fields.pointer(), format!("`{name}` is missing"));
        fields.faults().push(fault);
    }
}

fn flag(fields: &mut Fields<'_, '_>, name: &str) -> bool {
    fields.boolean(name).unwrap_or_default()
}

/// Reads a whole number from `least` to `most`.
fn number(fields: &mut Fields<'_, '_>, name: &str, least: u64, most: u64) -> Option<u64> {
    let number = fields.whole(name)?;
    if (least..=most).contains(&number) {
        return Some(number);
    }
    let message = format!("`{name}` must be from {least} to {most}, not {number}");
    let fault = Fault::value("wrong-value", fields.at(name), message);
    fields.faults().push(fault);
    None
}

/// Reads a map of strings whose names, and optionally values, must satisfy a rule.
fn pairs(
    fields: &mut Fields<'_, '_>,
    name: &str,
    names: Rule,
    values: Option<Rule>,
) -> Vec<(String, String)> {
    let pairs = fields.text_map(name).unwrap_or_default();
    for (key, value) in &pairs {
        let at = fields.at(name).join(key);
        if !names.0(key) {
            let message = format!("a name in `{name}` must be {}, not `{key}`", names.1);
            fields.faults().push(Fault::key("wrong-value", at, message));
        } else if let Some((_, must)) = values.filter(|(is_valid, _)| !is_valid(value)) {
            let message = format!("`{key}` in `{name}` must be {must}, not `{value}`");
            fields.faults().push(Fault::value("wrong-value", at, message));
        }
    }
    pairs
}

/// Reads the items of a list of maps.
fn each<T>(
    fields: &mut Fields<'_, '_>,
    name: &str,
    read: impl Fn(&mut Fields<'_, '_>, &str) -> Option<T>,
) -> Vec<T> {
    let Some(items) = fields.list(name) else { return Vec::new() };
    let at = fields.at(name);
    let what = format!("an item of `{name}`");
    let items = items.iter().enumerate().filter_map(|(index, item)| {
        let mut fields = Fields::of(item, at.join(index), &what, "wrong-type", fields.faults())?;
        read(&mut fields, &what)
    });
    items.collect()
}

fn config_map(fields: &mut Fields<'_, '_>, what: &str) -> Option<ConfigMapSetting> {
    fields.warn_unknown(what, &["configMapName", "volumeName", "volumeMountPath", "mapKeyPaths"]);
    let name = checked(fields, "configMapName", NAME);
    let volume_name = required(fields, "volumeName", SHORT_NAME);
    let mount_path = required(fields, "volumeMountPath", ABSOLUTE);
    let keys = each(fields, "mapKeyPaths", |fields, what| {
        fields.warn_unknown(what, &["key", "path"]);
        let (key, path) = (required(fields, "key", KEY), required(fields, "path", RELATIVE));
        key.zip(path)
    });
    Some(ConfigMapSetting { config_map_name: name, volume_name: volume_name?, mount_path: mount_path?, keys })
}

fn nfs(fields: &mut Fields<'_, '_>, what: &str) -> Option<Nfs> {
    fields.warn_unknown(what, &["nfsServer", "nfsServerPath", "nfsMountPaths", "nfsReadOnly"]);
    let server = required(fields, "nfsServer", ONE_LINE);
    let path = required(fields, "nfsServerPath", ABSOLUTE);
    check_present(fields, "nfsMountPaths");
    let mount_paths = fields.texts("nfsMountPaths").unwrap_or_default();
    for (index, path) in mount_paths.iter().enumerate().filter(|(_, path)| !ABSOLUTE.0(path)) {
        let message = format!("an item of `nfsMountPaths` must be {}, not `{path}`", ABSOLUTE.1);
        let fault = Fault::value("wrong-value", fields.at("nfsMountPaths").join(index), message);
        fields.faults().push(fault);
    }
    Some(Nfs { server: server?, path: path?, mount_paths, read_only: flag(fields, "nfsReadOnly") })
}

fn host_path(fields: &mut Fields<'_, '_>, what: &str) -> Option<HostPath> {
    fields.warn_unknown(what, &["path", "mountPath", "readOnly"]);
    let path = required(fields, "path", ABSOLUTE);
    let mount_path = checked(fields, "mountPath", ABSOLUTE);
    let read_only = flag(fields, "readOnly");
    let path = path?;
    Some(HostPath { mount_path: mount_path.unwrap_or_else(|| path.clone()), path, read_only })
}

fn alive_check(fields: &mut Fields<'_, '_>) -> Option<AliveCheck> {
    const FIELDS: [&str; 6] = [
        "aliveCheckHost",
        "alivePath",
        "alivePort",
        "aliveCheckLinking",
        "aliveCheckInterval",
        "aliveCheckFailureThreshold",
    ];
    let value = fields.any("aliveCheckDetails")?;
    let at = fields.at("aliveCheckDetails");
    let mut fields = Fields::of(value, at, "`aliveCheckDetails`", "wrong-type", fields.faults())?;
    let fields = &mut fields;
    fields.warn_unknown("`aliveCheckDetails`", &FIELDS);
    check_present(fields, "alivePort");
    let port = number(fields, "alivePort", 1, u64::from(u16::MAX));
    let seconds = number(fields, "aliveCheckInterval", 1, i32::MAX as u64).unwrap_or(2);
    let threshold = number(fields, "aliveCheckFailureThreshold", 1, i32::MAX as u64).unwrap_or(10);
    Some(AliveCheck {
        host: checked(fields, "aliveCheckHost", HOST),
        path: checked(fields, "alivePath", URL_PATH).unwrap_or_else(|| "/".to_owned()),
        port: port? as u16,
        linking: flag(fields, "aliveCheckLinking"),
        interval: Duration::from_secs(seconds),
        failure_threshold: threshold as u32,
    })
}
