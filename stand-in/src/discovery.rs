//! Discovery: version, health, and the served kinds.

use crate::body::{Body, answer as json_answer, whole};
use crate::cluster::Cluster;
use hyper::Response;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The response to a discovery request; none for other paths.
pub(crate) fn answer(cluster: &Cluster, path: &str) -> Option<Response<Body>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let found = match *parts {
        ["healthz" | "readyz" | "livez"] => return Some(Response::new(whole("ok"))),
        ["version"] => json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2025-04-23T13:00:00Z", "goVersion": "go1.24.2", "compiler": "gc", "platform": "linux/amd64",
        }),
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs":
                [{"clientCIDR": "0.0.0.0/0", "serverAddress": format!("127.0.0.1:{}", cluster.port)}],
        }),
        ["api", "v1"] => resources(cluster, "", "v1")?,
        ["apis"] => groups(cluster),
        ["apis", group, version] => resources(cluster, group, version)?,
        _ => return None,
    };
    Some(json_answer(200, &found))
}

fn groups(cluster: &Cluster) -> Value {
    let named = cluster.kinds.iter().filter(|kind| !kind.group.is_empty());
    let all: BTreeSet<_> = named.map(|kind| (kind.group, kind.version)).collect();
    let groups: Vec<_> = all
        .into_iter()
        .map(|(group, version)| {
            let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
            json!({"name": group, "versions": [version], "preferredVersion": version})
        })
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn resources(cluster: &Cluster, group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for kind in cluster.kinds.iter().filter(|kind| kind.group == group && kind.version == version) {
        let mut entry = |name: String, verbs: &[&str]| {
            resources.push(json!({
                "name": name, "singularName": kind.kind.to_lowercase(), "namespaced": kind.is_namespaced,
                "kind": kind.kind, "verbs": verbs,
            }));
        };
        let all = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
        entry(kind.resource.to_owned(), &all);
        if kind.has_status {
            entry(format!("{}/status", kind.resource), &["get", "patch", "update"]);
        }
        if kind.kind == "Pod" {
            entry("pods/log".to_owned(), &["get"]);
            entry("pods/eviction".to_owned(), &["create"]);
        }
    }
    let name = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (!resources.is_empty())
        .then(|| json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}))
}
