//! The objects of a run: its ConfigMaps and its executor pods.

use crate::names::{self, LOST_PODS, POD_NUMBER, RUN, RUN_KEY};
use crate::run::NextPod;
use crate::spec::Spec;
use serde_json::{Map, Value, json};

/// Folder of the agenda in the executor pod.
const AGENDA_FOLDER: &str = "/etc/pop/agenda";
/// Folder of the last progress in the executor pod.
const PROGRESS_FOLDER: &str = "/etc/pop/progress";
/// File of the last progress.
const PROGRESS_FILE: &str = "last-progress.json";
/// File of the inputs.
const INPUTS_FILE: &str = "inputs.json";
/// Time from the end of all operations to that of the executor: it reads logs and deletes pods.
const CLOSING: u64 = 30;
/// Operations that run at the same time.
const PARALLEL: u32 = 20;

/// What an executor pod has if its Agenda does not say otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutorDefaults {
    /// Image with `pop` as its program.
    pub image: String,
    /// Command in place of the image's own; empty for the image's own.
    pub command: Vec<String>,
    /// Account that may create pods.
    pub service_account: String,
    /// ConfigMap with the registry and the properties.
    pub registry: Option<String>,
    /// Resources of the container.
    pub resources: Value,
}

impl ExecutorDefaults {
    /// The defaults with this image: the account `pop-executor`, no registry, and the resources of a small program.
    pub fn new(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            command: Vec::new(),
            service_account: "pop-executor".to_owned(),
            registry: None,
            resources: json!({
                "requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"},
            }),
        }
    }
}

/// The run that objects belong to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunRef<'r> {
    pub(crate) namespace: &'r str,
    pub(crate) id: &'r str,
    pub(crate) key: &'r str,
}

impl RunRef<'_> {
    fn metadata(&self, name: &str, more: &[(&str, String)]) -> Value {
        let labels = [(RUN, self.id.to_owned()), (RUN_KEY, self.key.to_owned())];
        let labels: Map<String, Value> =
            labels.iter().chain(more).map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({"name": name, "namespace": self.namespace, "labels": labels})
    }

    /// The ConfigMap with the agenda and its inputs.
    pub(crate) fn texts(&self, agenda: (&str, &str), spec: &Spec) -> Value {
        let (file, text) = agenda;
        let mut data = json!({ file: text });
        if let Some(inputs) = &spec.inputs {
            data[INPUTS_FILE] = Value::Object(inputs.clone()).to_string().into();
        }
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
            "metadata": self.metadata(self.id, &[]), "data": data,
        })
    }

    /// The ConfigMap with the progress from which an executor pod starts.
    pub(crate) fn progress(&self, number: u32, progress: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
            "metadata": self.metadata(&names::pod(self.id, number), &[]), "data": {PROGRESS_FILE: progress},
        })
    }

    /// An executor pod.
    pub(crate) fn pod(
        &self,
        next: NextPod,
        agenda_file: &str,
        has_progress: bool,
        spec: &Spec,
        defaults: &ExecutorDefaults,
    ) -> Value {
        let NextPod { number, lost } = next;
        let name = names::pod(self.id, number);
        let mut mounts = vec![
            json!({"name": "agenda", "mountPath": AGENDA_FOLDER, "readOnly": true}),
            json!({"name": "runs", "mountPath": "/runs"}),
            json!({"name": "tmp", "mountPath": "/tmp"}),
        ];
        let runs = match &spec.runs_claim {
            Some(claim) => json!({"name": "runs", "persistentVolumeClaim": {"claimName": claim}}),
            None => json!({"name": "runs", "emptyDir": {}}),
        };
        let mut volumes = vec![
            json!({"name": "agenda", "configMap": {"name": self.id}}),
            runs,
            json!({"name": "tmp", "emptyDir": {}}),
        ];
        if let Some(registry) = spec.registry.as_ref().or(defaults.registry.as_ref()) {
            mounts.push(json!({"name": "config", "mountPath": "/app/config", "readOnly": true}));
            let items = [
                ("registry-json", "registry.json"),
                ("external-properties", "external.properties"),
                ("env-properties", "env.properties"),
            ];
            let items: Vec<Value> =
                items.iter().map(|(key, path)| json!({"key": key, "path": path})).collect();
            // optional, so that keys may be missing; the operator has looked whether the ConfigMap exists
            volumes.push(
                json!({"name": "config", "configMap": {"name": registry, "items": items, "optional": true}}),
            );
        }
        if has_progress {
            mounts.push(json!({"name": "progress", "mountPath": PROGRESS_FOLDER, "readOnly": true}));
            volumes.push(json!({"name": "progress", "configMap": {"name": name}}));
        }
        let from_pod = |variable: &str, field: &str| json!({"name": variable, "valueFrom": {"fieldRef": {"fieldPath": field}}});
        let mut container = json!({
            "name": "pop",
            "image": spec.image.as_ref().unwrap_or(&defaults.image),
            "imagePullPolicy": "IfNotPresent",
            "args": self.arguments(agenda_file, has_progress, spec),
            "env": [
                {"name": "POP_RUNS", "value": "/runs"},
                from_pod("MY_POD_NAME", "metadata.name"),
                from_pod("MY_POD_UID", "metadata.uid"),
                from_pod("MY_POD_NAMESPACE", "metadata.namespace"),
                from_pod("MY_POD_IP", "status.podIP"),
            ],
            "resources": spec.resources.clone().map_or_else(|| defaults.resources.clone(), Value::Object),
            // the last lines of the log become the message of a failed container
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": mounts,
        });
        if !defaults.command.is_empty() {
            container["command"] = json!(defaults.command);
        }
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": self.metadata(&name, &[(POD_NUMBER, number.to_string()), (LOST_PODS, lost.to_string())]),
            "spec": {
                "serviceAccountName": spec.service_account_name.as_ref().unwrap_or(&defaults.service_account),
                // Kubernetes restarts a killed pop in the same pod, with the same run folder
                "restartPolicy": "OnFailure",
                // process 1 of a pod ignores SIGTERM until its handler is set
                "shareProcessNamespace": true,
                "terminationGracePeriodSeconds": spec.grace() + spec.cleanup() + CLOSING,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [container],
                "volumes": volumes,
            },
        })
    }

    fn arguments(&self, agenda_file: &str, has_progress: bool, spec: &Spec) -> Vec<String> {
        let mut arguments = vec!["run".to_owned(), format!("{AGENDA_FOLDER}/{agenda_file}")];
        let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        option("--launchType", "kubernetes".to_owned());
        option("--externalLaunchType", "kubernetes".to_owned());
        option("--run-id", self.id.to_owned());
        option("--parallel", spec.parallel.unwrap_or(PARALLEL).to_string());
        option("--grace", spec.grace().to_string());
        option("--cleanup-limit", spec.cleanup().to_string());
        if let Some(limit) = spec.time_limit_seconds {
            option("--time-limit", limit.to_string());
        }
        if spec.inputs.is_some() {
            option("--input-file", format!("{AGENDA_FOLDER}/{INPUTS_FILE}"));
        }
        if has_progress {
            option("--lastProgressFile", format!("{PROGRESS_FOLDER}/{PROGRESS_FILE}"));
        }
        if spec.keep_going == Some(true) {
            arguments.push("--keep-going".to_owned());
        }
        // a restart after the end would change nothing
        arguments.push("--exit-zero".to_owned());
        arguments
    }
}
