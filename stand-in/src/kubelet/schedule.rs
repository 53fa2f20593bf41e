//! Scheduling: whether the node accepts a pod.

use crate::cluster::Cluster;
use crate::kind::{NODES, PODS};
use crate::quantity;
use crate::validate::as_text;
use serde_json::Value;

/// The node's name, or why it does not accept the pod.
pub(super) fn place(cluster: &Cluster, pod: &Value) -> Result<String, String> {
    let name = &cluster.config.node.name;
    let store = cluster.store();
    let Some(node) = store.find(&NODES, "", name) else {
        return Err("no nodes available to schedule pods".to_owned());
    };
    let spec = &pod["spec"];
    let mut reasons = Vec::new();
    let labels = &node["metadata"]["labels"];
    let is_wanted = |(key, value): (&String, &Value)| &labels[key] == value;
    if !spec["nodeSelector"].as_object().into_iter().flatten().all(is_wanted) {
        reasons.push("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    if node["spec"]["unschedulable"] == true {
        reasons.push("node(s) were unschedulable".to_owned());
    }
    if cluster.switches().is_node_lost {
        reasons.push("node(s) had untolerated taint(s)".to_owned());
    }
    let placed: Vec<_> = store
        .list(&PODS, None)
        .into_iter()
        .filter(|other| other["spec"]["nodeName"] == **name)
        .filter(|other| !matches!(other["status"]["phase"].as_str(), Some("Succeeded" | "Failed")))
        .collect();
    for resource in ["cpu", "memory"] {
        let has = quantity::parse(&as_text(&node["status"]["allocatable"][resource])).unwrap_or(i128::MAX);
        let used: i128 = placed.iter().map(|other| request(&other["spec"], resource)).sum();
        let wanted = request(spec, resource);
        if wanted > 0 && used + wanted > has {
            reasons.push(format!("Insufficient {resource}"));
        }
    }
    let most = quantity::parse(&as_text(&node["status"]["allocatable"]["pods"])).unwrap_or(i128::MAX);
    if (placed.len() as i128 + 1) * 1_000 > most {
        reasons.push("Too many pods".to_owned());
    }
    if reasons.is_empty() {
        return Ok(name.clone());
    }
    let counts: Vec<_> = reasons.iter().map(|reason| format!("1 {reason}")).collect();
    Err(format!(
        "0/1 nodes are available: {}. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
        counts.join(", ")
    ))
}

/// The request of a pod: the sum of its containers, or its largest init container.
fn request(spec: &Value, resource: &str) -> i128 {
    let of = |container: &Value| {
        let resources = &container["resources"];
        let requested = quantity::parse(&as_text(&resources["requests"][resource]));
        requested.or_else(|| quantity::parse(&as_text(&resources["limits"][resource]))).unwrap_or(0)
    };
    let all = |list: &str| spec[list].as_array().cloned().unwrap_or_default();
    let is_sidecar = |container: &Value| container["restartPolicy"] == "Always";
    let mains: i128 = all("containers").iter().map(of).sum();
    let sidecars: i128 = all("initContainers").iter().filter(|it| is_sidecar(it)).map(of).sum();
    let inits = all("initContainers").iter().filter(|it| !is_sidecar(it)).map(of).max().unwrap_or(0);
    (mains + sidecars).max(inits)
}
