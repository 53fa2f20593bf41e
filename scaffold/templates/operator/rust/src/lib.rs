//! Operator `{{name}}`: each parent has a `ConfigMap` with its text and a Deployment that serves it.

use pop_operator::{
    Error, KindConfig, OperatorConfig, Strategy, SyncRequest, SyncResponse, guess_plural,
};
use serde_json::json;

const NAME: &str = "{{name}}";
const KIND: &str = "{{kind}}";
/// Label of the pods.
const LABEL: &str = "example.com/{{name}}";

/// Kinds and names of the operator.
#[must_use]
pub fn config() -> OperatorConfig {
    let parent = KindConfig::namespaced("example.com/v1", KIND, &guess_plural(KIND));
    OperatorConfig::new(NAME, parent)
        .child(
            KindConfig::namespaced("v1", "ConfigMap", "configmaps"),
            Strategy::Replace,
        )
        .child(
            KindConfig::namespaced("apps/v1", "Deployment", "deployments"),
            Strategy::Replace,
        )
}

/// Returns status and children for what the cluster has. Equal requests need equal answers.
///
/// # Errors
///
/// None at present. An error changes nothing in the cluster, and the call is repeated.
pub fn sync(request: &SyncRequest) -> Result<SyncResponse, Error> {
    let (spec, name) = (&request.parent["spec"], request.parent_name());
    let metadata = json!({"name": name, "namespace": request.parent_namespace()});
    let labels = json!({ LABEL: name });
    let replicas = spec["replicas"].as_u64().unwrap_or(1);
    let seen = request.child("Deployment.apps", name);
    let ready = seen
        .and_then(|seen| seen["status"]["readyReplicas"].as_u64())
        .unwrap_or(0);
    let phase = if ready >= replicas {
        "Ready"
    } else {
        "Pending"
    };
    let mut response = SyncResponse::from_status(json!({"ready": ready, "phase": phase}))?;
    response.add_child(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"index.html": spec["text"]},
    }))?;
    response.add_child(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{
                        "name": "server", "image": "busybox:1", "command": ["httpd", "-f", "-h", "/page"],
                        "volumeMounts": [{"name": "page", "mountPath": "/page"}],
                    }],
                    "volumes": [{"name": "page", "configMap": {"name": name}}],
                },
            },
        },
    }))?;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_operator::testing::World;

    #[test]
    fn children_follow_the_spec_and_settle() {
        let mut world = World::new(config());
        let spec = json!({"text": "hello", "replicas": 2});
        world.create_parent("example", &spec);
        world.settle(&sync).unwrap();
        assert_eq!(
            world.child("ConfigMap", "example").unwrap()["data"]["index.html"],
            "hello"
        );
        assert_eq!(
            world.parent("example").unwrap()["status"]["phase"],
            "Pending"
        );
        world.set_status("Deployment.apps", "example", &json!({"readyReplicas": 2}));
        world.settle(&sync).unwrap();
        assert_eq!(world.parent("example").unwrap()["status"]["phase"], "Ready");
        world.delete_parent("example");
        world.settle(&sync).unwrap();
        assert!(world.parent("example").is_none() && world.child("ConfigMap", "example").is_none());
    }
}
