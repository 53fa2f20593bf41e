//! Discovery: version, health, and the served kinds.

use crate::body::{Body, answer as json_answer, whole};
use crate::cluster::Cluster;
use crate::openapi;
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
        ["openapi", "v3"] => openapi::index(&cluster.served()),
        ["openapi", "v3", "api", version] => openapi::document(&cluster.served(), "", version)?,
        ["openapi", "v3", "apis", group, version] => openapi::document(&cluster.served(), group, version)?,
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
    let served = cluster.served();
    for kind in served.kinds.iter().filter(|kind| kind.group == group && kind.version == version) {
        let names = served.custom(kind).map(|custom| custom.names.clone()).unwrap_or_default();
        let mut entry = |name: String, verbs: &[&str]| {
            let is_subresource = name.contains('/');
            let mut entry = json!({
                "name": name, "singularName": kind.kind.to_lowercase(), "namespaced": kind.is_namespaced,
                "kind": kind.kind, "verbs": verbs,
            });
            if let (Some(singular), false) = (names["singular"].as_str(), is_subresource) {
                entry["singularName"] = singular.into();
            }
            for field in ["shortNames", "categories"] {
                if let (true, false) = (names[field].is_array(), is_subresource) {
                    entry[field] = names[field].clone();
                }
            }
            if let ([_, ..], false) = (short_names(kind.kind), is_subresource || kind.is_custom()) {
                entry["shortNames"] = json!(short_names(kind.kind));
            }
            resources.push(entry);
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

/// The short names of built-in kinds.
fn short_names(kind: &str) -> &'static [&'static str] {
    match kind {
        "ConfigMap" => &["cm"],
        "CustomResourceDefinition" => &["crd", "crds"],
        "Event" => &["ev"],
        "LimitRange" => &["limits"],
        "Namespace" => &["ns"],
        "Node" => &["no"],
        "Pod" => &["po"],
        "ResourceQuota" => &["quota"],
        "Service" => &["svc"],
        "ServiceAccount" => &["sa"],
        _ => &[],
    }
}
