//! Layers of a podConfig, faults with their places, and the configuration of type `exec`.

use super::*;
use crate::{Catalog, Layer};
use pop_document::{Fault, Source};
use serde_json::{Value, json};

fn catalog(registry: &Value) -> (Catalog, Vec<Fault>) {
    let mut faults = Vec::new();
    let source = Source::new("r.json", registry.to_string().as_bytes()).unwrap();
    (Catalog::build(Some(&source), &mut faults), faults)
}

/// The faults of a base podConfig, each with its pointer.
fn faults(base: &Value) -> Vec<String> {
    let (_, faults) = catalog(&json!({"basePodConfig": base}));
    let short = |fault: &Fault| format!("{} {}", &fault.pointer()["/basePodConfig".len()..], fault.message);
    faults.iter().filter(|fault| !fault.message.starts_with("for operations")).map(short).collect()
}

#[test]
fn a_later_layer_replaces_the_whole_field() {
    let (catalog, faults) = catalog(&json!({
        "basePodConfig": {"labels": {"a": "1", "b": "2"}, "arguments": ["x", "y"], "pullAlways": true},
        "t": {"podConfig": {"labels": {"c": "3"}, "arguments": [], "pullAlways": null}}}));
    assert_eq!(faults, []);
    let entry = catalog.entry("t").unwrap();
    assert_eq!(entry.pod.labels, [("c".to_owned(), "3".to_owned())]);
    assert_eq!((entry.pod.arguments.len(), entry.pod.pull_always), (0, true));
    let merged = &entry.pod_config;
    assert_eq!(
        (merged["labels"].pointer.as_str(), merged["labels"].layer),
        ("/t/podConfig/labels", Layer::Entry)
    );
    assert_eq!((merged["pullAlways"].layer, merged["serviceAccountName"].layer), (Layer::Base, Layer::Core));
}

#[test]
fn every_field_is_read_into_its_type() {
    let (catalog, faults) = catalog(
        &json!({"basePodConfig": {}, "t": {"configMapName": "pop-t", "podConfig": {
        "namePrefix": "pop-t", "imageName": "t:1", "arguments": ["-v", 1], "envVars": {"A": true},
        "serviceAccountName": "s", "cpuMinRequestCount": "250m", "cpuMaxRequestCount": 2,
        "memoryRequestCount": "256Mi", "memoryLimitCount": "1Gi", "reapCompletedPods": true, "pullAlways": "true",
        "podScheduledTimeoutMs": 600_000, "podStdoutTimeout": 1_000, "endOfLogIdentifier": "Done",
        "useTaintedNodes": true, "taintedNodeSelector": "gpu", "taintedNodeToleration": "gpu-only",
        "dockerPrivileged": true, "defaultEmptyDirLogging": true,
        "nfsSettings": [{"nfsServer": "nfs", "nfsServerPath": "/", "nfsMountPaths": ["/in", "/out"]}],
        "hostPaths": [{"path": "/dev/dri"}, {"path": "/a", "mountPath": "/b", "readOnly": true}],
        "aliveCheckDetails": {"alivePort": 8080, "aliveCheckLinking": true},
        "labels": {"team": "media"}, "workspaceMountPath": "/work"}}}),
    );
    assert_eq!(faults, []);
    let text = |text: &str| Some(text.to_owned());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let wanted = PodConfig {
        name_prefix: text("pop-t"),
        image: text("t:1"),
        arguments: vec!["-v".to_owned(), "1".to_owned()],
        env_vars: vec![pair("A", "true")],
        service_account: text("s"),
        cpu_request: Some(Cpu::from_millis(250)),
        cpu_limit: Some(Cpu::from_millis(2_000)),
        memory_request: Some(Memory::from_bytes(256 << 20)),
        memory_limit: Some(Memory::from_bytes(1 << 30)),
        reap_completed: true,
        pull_always: true,
        scheduled_timeout: Duration::from_mins(10),
        stdout_timeout: Some(Duration::from_secs(1)),
        end_of_log: text("Done"),
        taints: Some(Taints { selector: "gpu".to_owned(), toleration: "gpu-only".to_owned() }),
        privileged: true,
        empty_dir_logging: true,
        config_maps: vec![ConfigMapSetting {
            config_map_name: text("pop-t"),
            volume_name: "config-volume".to_owned(),
            mount_path: "/app/config".to_owned(),
            keys: vec![
                pair("external-properties", "external.properties"),
                pair("env-properties", "env.properties"),
            ],
        }],
        nfs: vec![Nfs {
            server: "nfs".to_owned(),
            path: "/".to_owned(),
            mount_paths: vec!["/in".to_owned(), "/out".to_owned()],
            read_only: false,
        }],
        host_paths: vec![
            HostPath { path: "/dev/dri".to_owned(), mount_path: "/dev/dri".to_owned(), read_only: false },
            HostPath { path: "/a".to_owned(), mount_path: "/b".to_owned(), read_only: true },
        ],
        alive_check: Some(AliveCheck {
            host: None,
            path: "/".to_owned(),
            port: 8080,
            linking: true,
            interval: Duration::from_secs(2),
            failure_threshold: 10,
        }),
        labels: vec![pair("team", "media")],
        workspace_mount_path: text("/work"),
    };
    assert_eq!(*catalog.entry("t").unwrap().pod, wanted);
}

#[test]
fn only_a_registry_limits_silence_and_zero_is_unlimited() {
    let core = PodConfig::default();
    assert_eq!((core.stdout_timeout, core.scheduled_timeout), (None, Duration::from_mins(5)));
    let zero = json!({"podStdoutTimeout": 0, "cpuMinRequestCount": "0", "cpuMaxRequestCount": 0,
        "memoryRequestCount": "0Mi"});
    assert_eq!(faults(&zero), [""; 0]);
    let (catalog, _) = catalog(&json!({"basePodConfig": zero, "t": {"podConfig": {}}}));
    let pod = &catalog.entry("t").unwrap().pod;
    assert_eq!(
        (pod.stdout_timeout, pod.cpu_request, pod.cpu_limit, pod.memory_request),
        (None, None, None, None)
    );
}

#[test]
fn faults_in_lists_and_maps_have_their_places() {
    let found = faults(&json!({
        "aliveCheckDetails": {"alivePort": 70_000, "alivPath": "/", "aliveCheckHost": "a;b"},
        "configMapSettings": [{"volumeName": "V", "volumeMountPath": "x", "mapKeyPaths": [{"path": "../x"}]}, 1],
        "envVars": {"A=B": "1", "B": []},
        "hostPaths": [{"path": "/a/../b"}, {"mountPath": "/a"}],
        "labels": {"a b": "1", "b": "x y", "c": 1},
        "memoryRequestCount": "1000m",
        "nfsSettings": [{"nfsServer": "n", "nfsServerPath": "/", "nfsMountPaths": ["x"], "nfsReadOnly": 1}],
        "serviceAccountName": "A"}));
    let name = "lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit";
    let short = "at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit";
    let label = "at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit";
    let path = "a path from `/` without `..` and `:`";
    assert_eq!(
        found,
        [
            "/envVars/B `B` in `envVars` must be text, not a list".to_owned(),
            "/envVars/A=B a name in `envVars` must be printable ASCII characters without `=` and spaces, not `A=B`"
                .to_owned(),
            format!("/serviceAccountName `serviceAccountName` must be {name}, not `A`"),
            "/memoryRequestCount `memoryRequestCount` must be an amount of memory such as `256Mi` or `2Gi`, not `1000m`"
                .to_owned(),
            format!("/configMapSettings/0/volumeName `volumeName` must be {short}, not `V`"),
            format!("/configMapSettings/0/volumeMountPath `volumeMountPath` must be {path}, not `x`"),
            "/configMapSettings/0/mapKeyPaths/0 `key` is missing".to_owned(),
            "/configMapSettings/0/mapKeyPaths/0/path `path` must be a relative path without `..`, not `../x`"
                .to_owned(),
            "/configMapSettings/1 an item of `configMapSettings` must be a map, not a number".to_owned(),
            format!("/nfsSettings/0/nfsMountPaths/0 an item of `nfsMountPaths` must be {path}, not `x`"),
            "/nfsSettings/0/nfsReadOnly `nfsReadOnly` must be true or false, not `1`".to_owned(),
            format!("/hostPaths/0/path `path` must be {path}, not `/a/../b`"),
            "/hostPaths/1 `path` is missing".to_owned(),
            "/aliveCheckDetails/alivPath `aliveCheckDetails` has no field `alivPath`; it is ignored".to_owned(),
            "/aliveCheckDetails/alivePort `alivePort` must be from 1 to 65535, not 70000".to_owned(),
            "/aliveCheckDetails/aliveCheckHost `aliveCheckHost` must be a host name or address, not `a;b`"
                .to_owned(),
            format!("/labels/a b a name in `labels` must be {label}, optionally after a domain and `/`, not `a b`"),
            format!("/labels/b `b` in `labels` must be {label}, not `x y`"),
        ]
    );
}

#[test]
fn the_combination_of_layers_is_checked() {
    let found = |registry: Value| -> Vec<String> {
        let (_, faults) = catalog(&registry);
        let line_of =
            |fault: &Fault| format!("{} {} {}", fault.severity.word(), fault.pointer(), fault.message);
        faults.iter().map(line_of).collect()
    };
    let less = "`cpuMaxRequestCount` (1) is less than `cpuMinRequestCount` (2)";
    // the limit of the core defaults; a fault in the base is reported once
    let base =
        json!({"basePodConfig": {"cpuMinRequestCount": "2"}, "a": {"podConfig": {}}, "b": {"podConfig": {}}});
    let at = "/basePodConfig/cpuMinRequestCount";
    let exec = format!("warning {at} for operations of type `exec`, {less}");
    assert_eq!(found(base), [format!("error {at} {less}"), exec.clone()]);
    // an entry may complete its base
    let base =
        json!({"basePodConfig": {"cpuMinRequestCount": "2"}, "a": {"podConfig": {"cpuMaxRequestCount": 4}}});
    assert_eq!(found(base), [exec]);
    let own = json!({"basePodConfig": {"memoryLimitCount": "1Gi"}, "a": {"podConfig": {
        "memoryRequestCount": "2Gi", "useTaintedNodes": true, "taintedNodeSelector": "x"}}});
    assert_eq!(
        found(own),
        [
            "error /a/podConfig/useTaintedNodes `useTaintedNodes` needs `taintedNodeSelector` and \
             `taintedNodeToleration`",
            "error /a/podConfig/memoryRequestCount `memoryLimitCount` (1Gi) is less than `memoryRequestCount` (2Gi)"
        ]
    );
}

#[test]
fn exec_has_the_base_without_end_of_log_text() {
    let core = Catalog::default();
    let pod = core.exec_pod();
    assert!(pod.reap_completed && pod.config_maps.is_empty() && pod.end_of_log.is_none());
    assert_eq!(pod.cpu_limit, Some(Cpu::from_millis(1_000)));
    let (catalog, _) = catalog(&json!({"basePodConfig": {"reapCompletedPods": false, "arguments": ["x"],
        "endOfLogIdentifier": "Done", "cpuMinRequestCount": "2", "labels": {"a": "b"}}}));
    let pod = catalog.exec_pod();
    assert_eq!((pod.reap_completed, pod.arguments.len(), &pod.end_of_log), (false, 0, &None));
    assert_eq!((pod.cpu_request, pod.cpu_limit), (pod.cpu_limit, Some(Cpu::from_millis(2_000))));
    assert_eq!(pod.labels.len(), 1);
}
