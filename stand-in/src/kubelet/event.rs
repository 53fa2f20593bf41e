//! Events about pods, counted where they repeat.

use crate::cluster::{Cluster, now};
use crate::kind::EVENTS;
use serde_json::{Value, json};

/// Records what happened to a pod, as the component that saw it.
pub(super) fn record(cluster: &Cluster, pod: &Value, component: &str, reason: &str, message: &str) {
    let warnings = [
        "Failed",
        "FailedMount",
        "FailedScheduling",
        "BackOff",
        "InspectFailed",
        "Evicted",
        "ErrImageNeverPull",
        "DeadlineExceeded",
    ];
    let severity = if warnings.contains(&reason) { "Warning" } else { "Normal" };
    let metadata = &pod["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    let name = metadata["name"].as_str().unwrap_or_default();
    let same = cluster.store().list(&EVENTS, Some(namespace)).into_iter().find(|event| {
        event["involvedObject"]["uid"] == metadata["uid"]
            && event["reason"] == reason
            && event["message"] == message
    });
    if let Some(event) = same {
        let own = event["metadata"]["name"].as_str().unwrap_or_default();
        // an event that is gone meanwhile is not worth an error
        cluster
            .change(&EVENTS, (namespace, own), "", false, |old| {
                let mut new = old.clone();
                new["count"] = (old["count"].as_i64().unwrap_or(1) + 1).into();
                new["lastTimestamp"] = now().into();
                Ok(new)
            })
            .ok();
        return;
    }
    let ending = uuid::Uuid::new_v4().simple().to_string();
    let event = json!({
        "metadata": {"name": format!("{name}.{}", &ending[..16])},
        "involvedObject": {
            "kind": "Pod", "apiVersion": "v1", "namespace": namespace, "name": name, "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "reason": reason, "message": message, "type": severity, "count": 1,
        "firstTimestamp": now(), "lastTimestamp": now(), "eventTime": null,
        "source": {"component": component, "host": cluster.config.node.name},
        "reportingComponent": component, "reportingInstance": cluster.config.node.name,
    });
    // a namespace that ends takes no events
    cluster.create(&EVENTS, namespace, event, false).ok();
}
