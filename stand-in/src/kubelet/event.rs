//! Events of pods; repeated ones are counted.

use crate::cluster::{Cluster, now};
use crate::kind::EVENTS;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Records an event of a pod, reported by a component.
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
    // equal events have equal names, so that a repetition finds the first one
    let mut hasher = DefaultHasher::new();
    (metadata["uid"].as_str(), component, reason, message).hash(&mut hasher);
    let own = format!("{name}.{:016x}", hasher.finish());
    let again = cluster.change(&EVENTS, (namespace, &own), "", false, |old| {
        let mut new = old.clone();
        new["count"] = (old["count"].as_i64().unwrap_or(1) + 1).into();
        new["lastTimestamp"] = now().into();
        Ok(new)
    });
    if again.is_ok() {
        return;
    }
    let event = json!({
        "metadata": {"name": own},
        "involvedObject": {
            "kind": "Pod", "apiVersion": "v1", "namespace": namespace, "name": name, "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "reason": reason, "message": message, "type": severity, "count": 1,
        "firstTimestamp": now(), "lastTimestamp": now(), "eventTime": null,
        "source": {"component": component, "host": cluster.config.node.name},
        "reportingComponent": component, "reportingInstance": cluster.config.node.name,
    });
    // a namespace that is being deleted accepts no events
    cluster.create(&EVENTS, namespace, event, false).ok();
}
