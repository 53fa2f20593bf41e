//! The environment of a container: its own variables, and those from ConfigMaps, Secrets and its pod.

use crate::cluster::Cluster;
use crate::kind::Kind;
use base64::Engine as _;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const CONFIG_MAPS: Kind = Kind::new("", "v1", "configmaps", "ConfigMap");
pub(super) const SECRETS: Kind = Kind::new("", "v1", "secrets", "Secret");

/// The variables in the order of their definition, or why one has no value.
pub(super) fn variables(
    cluster: &Cluster,
    pod: &Value,
    container: &Value,
    ip: &str,
    host: &str,
) -> Result<Vec<(String, String)>, String> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut all: Vec<(String, String)> = [
        ("HOSTNAME", pod["metadata"]["name"].as_str().unwrap_or_default().to_owned()),
        ("KUBERNETES_SERVICE_HOST", host.to_owned()),
        ("KUBERNETES_SERVICE_PORT", cluster.port.to_string()),
        ("KUBERNETES_SERVICE_PORT_HTTPS", cluster.port.to_string()),
        ("KUBERNETES_PORT", format!("tcp://{host}:{}", cluster.port)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let prefix = source["prefix"].as_str().unwrap_or_default();
        for (field, kind) in [("configMapRef", CONFIG_MAPS), ("secretRef", SECRETS)] {
            let reference = &source[field];
            let Some(name) = reference["name"].as_str() else { continue };
            match data(cluster, &kind, namespace, name) {
                Some(data) => all.extend(data.into_iter().map(|(key, value)| {
                    (format!("{prefix}{key}"), String::from_utf8_lossy(&value).into_owned())
                })),
                None if reference["optional"] == true => {}
                None => return Err(format!("{} {name:?} not found", kind.kind.to_lowercase())),
            }
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default();
        let value = if variable["valueFrom"].is_object() {
            value_from(cluster, pod, namespace, ip, &variable["valueFrom"])?
        } else {
            Some(expand(variable["value"].as_str().unwrap_or_default(), &all))
        };
        all.extend(value.map(|value| (name.to_owned(), value)));
    }
    Ok(all)
}

fn value_from(
    cluster: &Cluster,
    pod: &Value,
    namespace: &str,
    ip: &str,
    source: &Value,
) -> Result<Option<String>, String> {
    if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
        return match path {
            "status.podIP" | "status.podIPs" => Ok(Some(ip.to_owned())),
            "status.hostIP" => Ok(Some("127.0.0.1".to_owned())),
            "spec.nodeName" => Ok(Some(cluster.config.node.name.clone())),
            _ => field(pod, path).map(Some).ok_or_else(|| format!("unsupported fieldPath: {path}")),
        };
    }
    for (field, kind) in [("configMapKeyRef", CONFIG_MAPS), ("secretKeyRef", SECRETS)] {
        let reference = &source[field];
        let Some(key) = reference["key"].as_str() else { continue };
        let name = reference["name"].as_str().unwrap_or_default();
        let is_optional = reference["optional"] == true;
        let Some(data) = data(cluster, &kind, namespace, name) else {
            let why = format!("{} {name:?} not found", kind.kind.to_lowercase());
            return if is_optional { Ok(None) } else { Err(why) };
        };
        return match data.get(key) {
            Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
            None if is_optional => Ok(None),
            None => Err(format!("couldn't find key {key} in {} {namespace}/{name}", kind.kind)),
        };
    }
    Err("unsupported source of a variable".to_owned())
}

/// A field of a pod as text: `metadata.name`, `metadata.labels['app']`.
pub(super) fn field(pod: &Value, path: &str) -> Option<String> {
    let (path, key) = match path.split_once("['") {
        Some((path, key)) => (path, key.strip_suffix("']")),
        None => (path, None),
    };
    let mut value = path.split('.').fold(pod, |at, part| &at[part]);
    if let Some(key) = key {
        value = &value[key];
        return Some(value.as_str().unwrap_or_default().to_owned());
    }
    match value {
        Value::Object(entries) => {
            let lines: Vec<_> = entries.iter().map(|(key, value)| format!("{key}={value}")).collect();
            Some(lines.join("\n"))
        }
        other => other.as_str().map(str::to_owned),
    }
}

/// The content of a ConfigMap or Secret.
pub(super) fn data(
    cluster: &Cluster,
    kind: &Kind,
    namespace: &str,
    name: &str,
) -> Option<BTreeMap<String, Vec<u8>>> {
    let object = cluster.store().find(kind, namespace, name).cloned()?;
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    let entries = |field: &str| object[field].as_object().cloned().into_iter().flatten();
    let is_text = kind == &CONFIG_MAPS;
    let plain = entries("data").map(|(key, value)| {
        let text = value.as_str().unwrap_or_default();
        (key, if is_text { text.as_bytes().to_vec() } else { decode(text) })
    });
    let binary = entries("binaryData").map(|(key, value)| (key, decode(value.as_str().unwrap_or_default())));
    Some(plain.chain(binary).collect())
}

/// Replaces `$(NAME)` by the value of an earlier variable; `$$` is a plain `$`.
pub(super) fn expand(text: &str, variables: &[(String, String)]) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let inner = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = inner {
            match variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => expanded.push_str(value),
                None => expanded.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_variables_are_expanded() {
        let known = [("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
        for (text, expected) in
            [("$(A)", "2"), ("x$(A)y$(B)", "x2y$(B)"), ("$$(A)", "$(A)"), ("$A $", "$A $"), ("$(A", "$(A")]
        {
            assert_eq!(expand(text, &known), expected, "{text}");
        }
    }
}
