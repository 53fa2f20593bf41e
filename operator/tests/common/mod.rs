//! Objects that several tests use.
#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses some of it")]

use pop_operator::{KindConfig, OperatorConfig, Strategy, SyncRequest, Write, applied_paths};
use serde_json::{Value, json};

/// Parents of kind Site; ConfigMaps are replaced, Pods recreated, Secrets left alone.
pub(crate) fn config() -> OperatorConfig {
    OperatorConfig::new("demo", KindConfig::namespaced("x.dev/v1", "Site", "sites"))
        .child(KindConfig::namespaced("v1", "ConfigMap", "configmaps"), Strategy::Replace)
        .child(KindConfig::namespaced("v1", "Pod", "pods"), Strategy::Recreate)
        .child(KindConfig::namespaced("v1", "Secret", "secrets"), Strategy::OnDelete)
}

/// A live parent with the finalizer.
pub(crate) fn parent() -> Value {
    json!({"apiVersion": "x.dev/v1", "kind": "Site", "spec": {"size": 2}, "metadata": {"name": "site", "namespace": "n",
        "uid": "u-1", "generation": 4, "resourceVersion": "10", "finalizers": ["pop-rs.dev/demo"]}})
}

/// A desired child.
pub(crate) fn child(kind: &str, name: &str, key: &str, content: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "n"}, key: content})
}

/// A desired child as the server has it after its creation.
pub(crate) fn created(desired: &Value) -> Value {
    let mut seen = desired.clone();
    let mut content = desired.clone();
    let fields = content.as_object_mut().unwrap();
    fields.remove("apiVersion");
    fields.remove("kind");
    fields.remove("metadata");
    let name = desired["metadata"]["name"].as_str().unwrap();
    seen["metadata"]["uid"] = format!("uid-of-{name}").into();
    seen["metadata"]["resourceVersion"] = "20".into();
    seen["metadata"]["labels"] = json!({"pop-rs.dev/owner": "u-1", "app.kubernetes.io/managed-by": "demo"});
    seen["metadata"]["annotations"] =
        json!({"pop-rs.dev/applied-paths": applied_paths(&content).to_string()});
    seen["metadata"]["ownerReferences"] = json!([{"apiVersion": "x.dev/v1", "kind": "Site", "name": "site",
        "uid": "u-1", "controller": true, "blockOwnerDeletion": true}]);
    seen
}

pub(crate) fn request(objects: Vec<Value>) -> SyncRequest {
    SyncRequest::observe(&config(), parent(), objects)
}

/// Writes in short: `POST ConfigMap n/a`.
pub(crate) fn words(writes: &[Write]) -> Vec<String> {
    let words = |write: &Write| match write {
        Write::Create(write) => format!("POST {}", write.id),
        Write::Replace(write) => format!("PUT {}", write.id),
        Write::Probe(write) => format!("TRY {}", write.id),
        Write::Delete { id, uid, .. } => format!("DELETE {id} of {uid}"),
        Write::ReplaceStatus(write) => format!("PUT status {}", write.wanted),
        Write::PatchFinalizers { patch, .. } => format!("PATCH {patch}"),
    };
    writes.iter().map(words).collect()
}
