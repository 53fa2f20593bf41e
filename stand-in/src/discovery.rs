//! Discovery: version, health, and the served kinds.

use crate::body::{Body, answer as json_answer, whole};
use crate::cluster::Cluster;
use hyper::Response;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

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
        ["apis"] => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": group_versions(cluster)}),
        ["apis", group] => group_versions(cluster).into_iter().find(|found| found["name"] == *group)?,
        ["apis", group, version] => resources(cluster, group, version)?,
        _ => return None,
    };
    Some(json_answer(200, &found))
}

/// All groups with their versions, stable versions first.
fn group_versions(cluster: &Cluster) -> Vec<Value> {
    let served = cluster.served();
    let mut groups = BTreeMap::<&str, BTreeSet<_>>::new();
    for kind in served.kinds.iter().filter(|kind| !kind.group.is_empty()) {
        groups.entry(kind.group).or_default().insert((priority(kind.version), kind.version));
    }
    let group = |(group, versions): (&str, BTreeSet<(_, &str)>)| {
        let versions: Vec<_> = versions
            .into_iter()
            .map(|(_, version)| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
            .collect();
        let best = versions.first();
        json!({"kind": "APIGroup", "apiVersion": "v1", "name": group, "preferredVersion": best, "versions": versions})
    };
    groups.into_iter().map(group).collect()
}

/// The order of versions: `v2`, `v1`, `v1beta1`, `v1alpha1`, then other names.
fn priority(version: &str) -> (u8, Reverse<u32>, Reverse<u32>) {
    let parts = version.strip_prefix('v').unwrap_or_default();
    let major: String = parts.chars().take_while(char::is_ascii_digit).collect();
    let rest = &parts[major.len()..];
    let (rank, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        _ if major.is_empty() => (3, ""),
        (Some(minor), _) => (1, minor),
        (_, Some(minor)) => (2, minor),
        _ if rest.is_empty() => (0, ""),
        _ => (3, ""),
    };
    (rank, Reverse(major.parse().unwrap_or_default()), Reverse(minor.parse().unwrap_or_default()))
}

fn resources(cluster: &Cluster, group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for kind in cluster.served().kinds.iter().filter(|kind| kind.group == group && kind.version == version) {
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
