//! The target of a request, parsed from path, method and query.

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::kind::{Kind, interned};
use crate::watch::{Query, is_true};
use hyper::Method;

/// The objects that a path names.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Target {
    /// The namespace to search; none means all.
    pub(crate) fn within(&self) -> Option<&str> {
        Some(self.namespace.as_str()).filter(|it| !it.is_empty() && self.kind.is_namespaced)
    }
}

/// Parses a path such as `/api/v1/namespaces/a/pods/x/log`.
pub(crate) fn target(cluster: &Cluster, path: &str) -> Result<Target, Failure> {
    parse(path, |group, version, resource, _| cluster.kind(group, version, resource))
}

/// Parses the path of a kind that is not served, such as one before its definition.
pub(crate) fn unserved_target(path: &str) -> Result<Target, Failure> {
    parse(path, |group, version, resource, is_namespaced| {
        let kind = Kind::new(interned(group), interned(version), interned(resource), "");
        Ok(if is_namespaced { kind } else { kind.cluster_scoped() })
    })
}

fn parse(
    path: &str,
    kind: impl FnOnce(&str, &str, &str, bool) -> Result<Kind, Failure>,
) -> Result<Target, Failure> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, version, rest) = match *parts {
        ["api", version, ref rest @ ..] => ("", version, rest),
        ["apis", group, version, ref rest @ ..] => (group, version, rest),
        _ => return Err(Failure::no_such_path()),
    };
    let (namespace, rest) = match *rest {
        ["namespaces", name, ref inner @ ..]
            if !matches!(inner.first(), None | Some(&("status" | "finalize"))) =>
        {
            (name, inner)
        }
        _ => ("", rest),
    };
    let (resource, name, subresource) = match *rest {
        [resource] => (resource, "", ""),
        [resource, name] => (resource, name, ""),
        [resource, name, subresource] => (resource, name, subresource),
        _ => return Err(Failure::no_such_path()),
    };
    let kind = kind(group, version, resource, !namespace.is_empty())?;
    if !kind.is_namespaced && !namespace.is_empty() {
        return Err(Failure::no_such_path());
    }
    Ok(Target { kind, namespace: decode(namespace), name: decode(name), subresource: subresource.to_owned() })
}

/// The verb of a request, as in RBAC rules.
pub(crate) fn verb(method: &Method, target: &Target, query: &Query) -> Result<&'static str, Failure> {
    let is_one = !target.name.is_empty();
    let needs_namespace = target.kind.is_namespaced && target.namespace.is_empty();
    Ok(match (method, is_one) {
        (&Method::GET, _) if is_true(query, "watch") && target.subresource.is_empty() => "watch",
        (&Method::GET, true) => "get",
        (&Method::GET, false) => "list",
        (&Method::POST, _) if !needs_namespace && (!is_one || !target.subresource.is_empty()) => "create",
        (&Method::PUT, true) => "update",
        (&Method::PATCH, true) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) if !needs_namespace => "deletecollection",
        _ => return Err(Failure::method_not_allowed()),
    })
}

/// Parses the query of a request.
pub(crate) fn parse_query(text: &str) -> Query {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Decodes percent-encoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
