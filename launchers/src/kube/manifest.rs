//! The manifest of an order's pod. Pure.

use super::volumes::{mounts, volumes};
use crate::object_name::object_name;
use crate::port::{LaunchId, LaunchOrder, Program, label};
use crate::setting::Setting;
use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvVar, EnvVarSource, HTTPGetAction, NodeAffinity, NodeSelectorRequirement,
    NodeSelectorTerm, ObjectFieldSelector, Pod, PodSecurityContext, PodSpec, PreferredSchedulingTerm, Probe,
    ResourceRequirements, SecretKeySelector, SecurityContext, Toleration,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use pop_contract::{Blame, Failure};
use pop_registry::{AliveCheck, PodConfig, Taints};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The container whose end is that of the pod; containers that a cluster adds do not count.
pub(super) const MAIN: &str = "handler";
/// The label and the taint of dedicated nodes.
const DEDICATED: &str = "dedicated";
/// Seconds that a pod may live beyond its time limit and grace period. pop ends the pod earlier, unless pop is gone.
const BEYOND_LIMIT_SECONDS: i64 = 120;
/// Time between SIGTERM and SIGKILL if something other than pop deletes the pod.
pub(super) const MANIFEST_GRACE: Duration = Duration::from_mins(1);

/// The manifest of an order's pod, as JSON. Contacts no cluster.
pub fn pod_manifest(
    id: LaunchId,
    order: &LaunchOrder,
    setting: &Setting,
) -> Result<serde_json::Value, Failure> {
    let mut manifest = serde_json::to_value(pod(id, order, setting, None)?).unwrap_or_default();
    manifest["apiVersion"] = "v1".into();
    manifest["kind"] = "Pod".into();
    Ok(manifest)
}

/// The name of an order's pod.
pub(super) fn pod_name(order: &LaunchOrder) -> String {
    object_name(order.program.prefix(), &order.name)
}

/// The pod of an order.
pub(super) fn pod(
    id: LaunchId,
    order: &LaunchOrder,
    setting: &Setting,
    owner: Option<OwnerReference>,
) -> Result<Pod, Failure> {
    let program = &order.program;
    let standard = Arc::new(PodConfig::default());
    let config = program.pod.as_ref().unwrap_or(&standard);
    let image = program.image.clone().or_else(|| config.image.clone()).ok_or_else(|| {
        let message = "a pod needs an image: set `image` in the payload, or `podConfig.imageName`";
        Failure::new(Blame::Handler, "image-name", message)
    })?;
    if let Some(file) = program.files.first().or(program.stdin.as_ref()) {
        let message = format!(
            "its payload is too long for a pod's variables; put large data into storage that pods can reach \
             (pop would have passed it as file {}, which no pod can read)",
            file.file_name().unwrap_or_default().display()
        );
        return Err(Failure::new(Blame::Handler, "payload", message));
    }
    let name = pod_name(order);
    let container = Container {
        name: MAIN.to_owned(),
        image: Some(image),
        image_pull_policy: Some(if config.pull_always { "Always" } else { "IfNotPresent" }.to_owned()),
        command: (!program.argv.is_empty()).then(|| program.argv.iter().map(|text| literal(text)).collect()),
        args: (!config.arguments.is_empty()).then(|| config.arguments.clone()),
        working_dir: working_dir(program, config),
        env: Some(environment(program, config, setting, &name)),
        resources: Some(resources(program, config)),
        security_context: config
            .privileged
            .then(|| SecurityContext { privileged: Some(true), ..SecurityContext::default() }),
        volume_mounts: Some(mounts(config, &setting.folder)).filter(|mounts| !mounts.is_empty()),
        liveness_probe: config.alive_check.as_ref().and_then(probe),
        ..Container::default()
    };
    let zone = setting.cluster.zone.as_ref();
    let grace_seconds = MANIFEST_GRACE.as_secs().cast_signed();
    Ok(Pod {
        metadata: ObjectMeta {
            labels: Some(labels(id, order, config, &name)),
            annotations: Some(annotations(order)),
            owner_references: owner.map(|owner| vec![owner]),
            name: Some(name),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            containers: vec![container],
            restart_policy: Some("Never".to_owned()),
            service_account_name: config.service_account.clone(),
            volumes: Some(volumes(config, &setting.folder)).filter(|volumes| !volumes.is_empty()),
            node_selector: zone.map(|zone| BTreeMap::from([(zone.clone(), "true".to_owned())])),
            affinity: config.taints.as_ref().map(prefers),
            tolerations: config.taints.as_ref().map(|taints| vec![tolerates(taints)]),
            active_deadline_seconds: order.limit.map(|limit| {
                limit.as_secs().cast_signed().saturating_add(grace_seconds + BEYOND_LIMIT_SECONDS)
            }),
            termination_grace_period_seconds: Some(grace_seconds),
            // the pause process is process 1, so the program receives every signal, as under an init
            share_process_namespace: Some(true),
            // files on the nodes then belong to the caller, as in the folder in which programs start
            security_context: config.workspace_mount_path.as_ref().filter(|_| !config.privileged).map(|_| {
                PodSecurityContext {
                    run_as_user: Some(rustix::process::getuid().as_raw().into()),
                    run_as_group: Some(rustix::process::getgid().as_raw().into()),
                    ..PodSecurityContext::default()
                }
            }),
            enable_service_links: Some(false),
            ..PodSpec::default()
        }),
        status: None,
    })
}

/// The working directory: in the folder in which programs start if that is mounted, else as the image sets it.
fn working_dir(program: &Program, config: &PodConfig) -> Option<String> {
    let folder = match (&config.workspace_mount_path, &program.working_directory) {
        (Some(workspace), Some(own)) => Path::new(workspace).join(own),
        (Some(workspace), None) => Path::new(workspace).to_owned(),
        (None, own) => own.clone()?,
    };
    Some(folder.to_string_lossy().into_owned())
}

/// Labels hold searchable values in valid characters; the full texts are in annotations.
fn labels(id: LaunchId, order: &LaunchOrder, config: &PodConfig, name: &str) -> BTreeMap<String, String> {
    let run = order.labels.iter().find(|(key, _)| key == label::RUN).map(|(_, run)| run.as_str());
    let own = [
        ("app", config.name_prefix.as_deref().unwrap_or("pop")),
        ("EXTERNAL_ID", name),
        ("EXTERNAL_GROUP_ID", run.unwrap_or(name)),
        (label::LAUNCH_ID, &id.0.to_string()),
        (label::REAP, &order.program.is_reaped().to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let all = own.into_iter().chain(order.labels.iter().cloned()).chain(config.labels.iter().cloned());
    all.map(|(key, value)| (key, label_value(&value))).collect()
}

fn annotations(order: &LaunchOrder) -> BTreeMap<String, String> {
    let launch = (label::LAUNCH.to_owned(), order.name.clone());
    order.labels.iter().filter(|(key, _)| key == label::OPERATION).cloned().chain([launch]).collect()
}

/// A string as the value of a label: invalid characters become `-`, and the value is truncated.
pub(super) fn label_value(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let value: String = text.chars().map(|c| if is_plain(c) { c } else { '-' }).take(63).collect();
    value.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// The environment; the last value of a repeated name counts.
fn environment(program: &Program, config: &PodConfig, setting: &Setting, name: &str) -> Vec<EnvVar> {
    let field = |variable: &str, path: &str| {
        let field = ObjectFieldSelector { field_path: path.to_owned(), api_version: None };
        let from = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
        EnvVar { name: variable.to_owned(), value: None, value_from: Some(from) }
    };
    let own = [
        field("MY_POD_NAME", "metadata.name"),
        field("MY_POD_NAMESPACE", "metadata.namespace"),
        field("MY_POD_UID", "metadata.uid"),
        field("MY_POD_IP", "status.podIP"),
    ];
    let plain = |(name, value): (&String, String)| EnvVar {
        name: name.clone(),
        value: Some(value),
        value_from: None,
    };
    let given = setting.variables.iter().map(|(name, value)| (name, literal(value)));
    let given = given.chain(config.env_vars.iter().map(|(name, value)| (name, value.clone())));
    let given = given.chain(program.env.iter().map(|(name, value)| (name, literal(value))));
    let plain = given.map(plain);
    let secrets = program.secrets.iter().map(|secret| {
        let (object, key) = match &secret.source.in_cluster {
            Some(known) => (known.name.clone(), known.key.clone()),
            // pop creates a Secret for the pod, with the pod's name
            None => (name.to_owned(), secret.variable.clone()),
        };
        let selector = SecretKeySelector { name: object, key, optional: None };
        let from = EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() };
        EnvVar { name: secret.variable.clone(), value: None, value_from: Some(from) }
    });
    let mut all: Vec<EnvVar> = Vec::new();
    for variable in own.into_iter().chain(plain).chain(secrets) {
        match all.iter_mut().find(|known| known.name == variable.name) {
            Some(known) => *known = variable,
            None => all.push(variable),
        }
    }
    all
}

/// Escapes a string for the kubelet, which would expand `$(NAME)` and `$$`. Strings of a registry are not escaped,
/// because they use this syntax on purpose.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn resources(program: &Program, config: &PodConfig) -> ResourceRequirements {
    let amounts = |cpu: Option<String>, memory: Option<String>| {
        let amounts = [("cpu", cpu), ("memory", memory)];
        let amounts =
            amounts.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount?))));
        Some(amounts.collect::<BTreeMap<_, _>>()).filter(|amounts| !amounts.is_empty())
    };
    let cpu = |own: Option<_>| program.cpu.or(own).map(|cpu| cpu.to_string());
    let memory = |own: Option<_>| program.memory.or(own).map(|memory| memory.to_string());
    ResourceRequirements {
        requests: amounts(cpu(config.cpu_request), memory(config.memory_request)),
        limits: amounts(cpu(config.cpu_limit), memory(config.memory_limit)),
        claims: None,
    }
}

fn prefers(taints: &Taints) -> Affinity {
    let requirement = NodeSelectorRequirement {
        key: DEDICATED.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![taints.selector.clone()]),
    };
    let preference = NodeSelectorTerm { match_expressions: Some(vec![requirement]), match_fields: None };
    let preferred = PreferredSchedulingTerm { weight: 40, preference };
    let node_affinity = NodeAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![preferred]),
        ..NodeAffinity::default()
    };
    Affinity { node_affinity: Some(node_affinity), ..Affinity::default() }
}

fn tolerates(taints: &Taints) -> Toleration {
    Toleration {
        key: Some(DEDICATED.to_owned()),
        operator: Some("Equal".to_owned()),
        value: Some(taints.toleration.clone()),
        effect: Some("NoSchedule".to_owned()),
        ..Toleration::default()
    }
}

/// The liveness probe for `aliveCheckDetails`. The kubelet sends the request, so that the image needs no `curl`.
fn probe(check: &AliveCheck) -> Option<Probe> {
    let host = check.host.clone().filter(|_| check.linking)?;
    Some(Probe {
        http_get: Some(HTTPGetAction {
            host: Some(host),
            path: Some(check.path.clone()),
            port: IntOrString::Int(i32::from(check.port)),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(check.interval.as_secs().max(1) as i32),
        failure_threshold: Some(check.failure_threshold.cast_signed()),
        timeout_seconds: Some(3),
        ..Probe::default()
    })
}
