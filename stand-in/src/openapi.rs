//! OpenAPI v3: only what clients need to know that the server validates fields. Schemas of kinds are left out.

use crate::served::Served;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The groups with their documents.
pub(crate) fn index(served: &Served) -> Value {
    let groups: BTreeSet<String> = served.kinds.iter().map(|kind| place(kind.group, kind.version)).collect();
    let paths: Map<String, Value> = groups
        .into_iter()
        .map(|group| {
            let url = json!({"serverRelativeURL": format!("/openapi/v3/{group}?hash=0")});
            (group, url)
        })
        .collect();
    json!({"paths": paths})
}

/// The document of one version of a group; none if it has no kinds.
pub(crate) fn document(served: &Served, group: &str, version: &str) -> Option<Value> {
    let parameters: Vec<_> = ["dryRun", "fieldManager", "fieldValidation", "force"]
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    let kinds = served.kinds.iter().filter(|kind| kind.group == group && kind.version == version);
    let paths: Map<String, Value> = kinds
        .map(|kind| {
            let namespace = if kind.is_namespaced { "namespaces/{namespace}/" } else { "" };
            let path = format!("/{}/{namespace}{}/{{name}}", place(group, version), kind.resource);
            let patch = json!({
                "operationId": format!("patch{}", kind.kind), "parameters": parameters,
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {"group": group, "kind": kind.kind, "version": version},
                "responses": {"200": {"description": "OK"}},
            });
            (path, json!({"patch": patch}))
        })
        .collect();
    let info = json!({"title": "Kubernetes", "version": "v1.33.0"});
    (!paths.is_empty()).then(|| json!({"openapi": "3.0.0", "info": info, "paths": paths}))
}

fn place(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}
