//! The CustomResourceDefinition of an Agenda.

use serde_json::{Value, json};

/// API group of the resource.
pub const GROUP: &str = "pop-rs.dev";
/// Version of the resource.
pub const VERSION: &str = "v1alpha1";
/// Kind of the resource.
pub const KIND: &str = "Agenda";
/// Plural of the resource in paths.
pub const PLURAL: &str = "agendas";

/// The CustomResourceDefinition. Each field of the status is declared, because an API server removes all others.
pub fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": KIND, "listKind": "AgendaList", "plural": PLURAL, "singular": "agenda", "categories": ["all"]},
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": "A list of operations that pop runs once, in the order of their dependencies.",
                    "required": ["spec"],
                    "properties": {"spec": spec(), "status": status()},
                }},
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
                    {"name": "Percent", "type": "integer", "jsonPath": ".status.percentComplete"},
                    {"name": "Outcome", "type": "string", "jsonPath": ".status.outcome"},
                    {"name": "Pod", "type": "string", "jsonPath": ".status.pod", "priority": 1},
                    {"name": "Message", "type": "string", "jsonPath": ".status.message", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            }],
        },
    })
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

fn number(description: &str, minimum: i64, maximum: i64) -> Value {
    json!({"type": "integer", "description": description, "minimum": minimum, "maximum": maximum})
}

fn open(description: &str) -> Value {
    json!({"type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": true})
}

fn spec() -> Value {
    json!({
        "type": "object",
        "description": "What is run. An edit of another field than suspend, cancel or keepFinishedSeconds starts a new run.",
        "properties": {
            "agenda": open("The agenda, as in a file."),
            "agendaFrom": {
                "type": "object",
                "description": "ConfigMap of the same namespace with the agenda as text. It is read once, when a run starts.",
                "required": ["configMap"],
                "properties": {
                    "configMap": text("Name of the ConfigMap."),
                    "key": text("Key of the agenda in it [default: agenda]."),
                },
            },
            "inputs": open("Values for the inputs of the agenda."),
            "registry": text(
                "ConfigMap of the same namespace with the keys registry-json, external-properties and env-properties [default: that of the operator]."
            ),
            "serviceAccountName": text("Account of the executor pod [default: that of the operator, pop-executor]."),
            "image": text("Image of pop for the executor pod [default: that of the operator]."),
            "parallel": number("Operations that run at the same time [default: 20].", 1, 100_000),
            "keepGoing": flag("After a failure, still run operations that do not depend on the failed one."),
            "timeLimitSeconds": number("Longest time of the run [default: no limit].", 1, 31_536_000),
            "graceSeconds": number("Time that operations get to stop [default: 30].", 1, 3_600),
            "cleanupSeconds": number(
                "Time for operations with finally when the run is cancelled or its pod is deleted [default: 60].", 0, 86_400
            ),
            "resources": open("Resources of the executor pod, as in a container [default: that of the operator]."),
            "runsClaim": text(
                "PersistentVolumeClaim for the run folder. With it, the next executor pod resumes the run exactly; without it, it starts from the last progress."
            ),
            "executorPods": number(
                "Pods that one run may use, if pods are evicted or lost with their nodes [default: 6].", 1, 1_000
            ),
            "suspend": flag("Stops the run until it is false again. What has succeeded is not repeated."),
            "cancel": flag("Ends the run for ever. Operations with finally still run."),
            "keepFinishedSeconds": number(
                "Time after the end until the executor pod is deleted [default: with the Agenda].", 0, 31_536_000
            ),
        },
    })
}

fn status() -> Value {
    let condition = json!({
        "type": "object",
        "required": ["type", "status"],
        "properties": {
            "type": text("Accepted, Running, Complete or Succeeded."),
            "status": text("True or False."),
            "reason": text("One word for programs."),
            "message": text("The reason for people."),
            "lastTransitionTime": {"type": "string", "format": "date-time", "description": "Time of the last change of status."},
            "observedGeneration": {"type": "integer", "description": "Generation of the Agenda that the condition is about."},
        },
    });
    let count = |description: &str| json!({"type": "integer", "description": description});
    let time =
        |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    json!({
        "type": "object",
        "description": "The state of the run.",
        "properties": {
            "observedGeneration": {"type": "integer", "description": "Generation of the Agenda that this status is about."},
            "phase": text("Invalid, Waiting, Pending, Running, Stopping, Suspended, Succeeded, Failed or Cancelled."),
            "message": text("What the run waits for, or why it ended."),
            "run": text("Name of the run."),
            "runKey": text("Hash of the fields of the spec that the run depends on."),
            "executorPods": count("Executor pods that the run has used."),
            "lostPods": count("Executor pods that were evicted or lost."),
            "stoppedPod": count("Number of the last executor pod that the user has stopped."),
            "pod": text("The executor pod."),
            "percentComplete": count("Mean of all operations."),
            "outcome": text("succeeded, failed, deadLettered, fatal, timeLimit, stuck, cancelled, refused or lost."),
            "exitCode": count("Exit code of pop."),
            "counts": {
                "type": "object",
                "description": "Number of operations with each outcome.",
                "additionalProperties": {"type": "integer"},
            },
            "startedTime": time("Start of the first executor pod."),
            "completedTime": time("End of the run."),
            "lastProgress": text("The progress of the agenda (docs/kubernetes.md), as JSON text."),
            "faults": {
                "type": "array",
                "description": "All faults of an agenda that is not accepted.",
                "items": {"type": "string"},
            },
            "conditions": {
                "type": "array",
                "description": "Accepted: the agenda has no faults. Running: the executor pod runs. Complete: the run has ended, with any outcome, or the agenda is not accepted. Succeeded: every operation succeeded or was skipped.",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": condition,
            },
        },
    })
}
