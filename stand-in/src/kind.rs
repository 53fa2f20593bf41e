//! The built-in kinds of objects, one line each.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// One kind of objects: its path and its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// API group, empty for the core.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// Plural name, as in paths.
    pub resource: &'static str,
    /// Name, as in `kind`.
    pub kind: &'static str,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
    /// Whether `status` is a subresource, which an update of the object does not change.
    pub has_status: bool,
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// The built-in kinds.
pub(crate) const KINDS: &[Kind] = &[
    PODS,
    NAMESPACES,
    EVENTS,
    NEW_EVENTS,
    DEFINITIONS,
    SERVICE_ACCOUNTS,
    NODES,
    Kind::new("", "v1", "configmaps", "ConfigMap"),
    Kind::new("", "v1", "secrets", "Secret"),
    Kind::new("", "v1", "services", "Service").with_status(),
    Kind::new("", "v1", "limitranges", "LimitRange"),
    Kind::new("", "v1", "resourcequotas", "ResourceQuota").with_status(),
    Kind::new("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind::new("batch", "v1", "jobs", "Job").with_status(),
    Kind::new(RBAC, "v1", "roles", "Role"),
    Kind::new(RBAC, "v1", "rolebindings", "RoleBinding"),
    Kind::new(RBAC, "v1", "clusterroles", "ClusterRole").cluster_scoped(),
    Kind::new(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding").cluster_scoped(),
];

pub(crate) const PODS: Kind = Kind::new("", "v1", "pods", "Pod").with_status();
pub(crate) const NAMESPACES: Kind =
    Kind::new("", "v1", "namespaces", "Namespace").cluster_scoped().with_status();
pub(crate) const EVENTS: Kind = Kind::new("", "v1", "events", "Event");
/// Events of the newer API; they are stored as [`EVENTS`].
pub(crate) const NEW_EVENTS: Kind = Kind::new("events.k8s.io", "v1", "events", "Event");
pub(crate) const DEFINITIONS: Kind =
    Kind::new("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
        .cluster_scoped()
        .with_status();
pub(crate) const SERVICE_ACCOUNTS: Kind = Kind::new("", "v1", "serviceaccounts", "ServiceAccount");
pub(crate) const NODES: Kind = Kind::new("", "v1", "nodes", "Node").cluster_scoped().with_status();

impl Kind {
    /// A namespaced kind without subresources.
    pub const fn new(
        group: &'static str,
        version: &'static str,
        resource: &'static str,
        kind: &'static str,
    ) -> Self {
        Self { group, version, resource, kind, is_namespaced: true, has_status: false }
    }

    /// The same kind with a `status` subresource.
    #[must_use]
    pub const fn with_status(self) -> Self {
        Self { has_status: true, ..self }
    }

    /// The same kind outside namespaces.
    #[must_use]
    pub const fn cluster_scoped(self) -> Self {
        Self { is_namespaced: false, ..self }
    }

    /// Whether it is a custom resource.
    pub(crate) fn is_custom(&self) -> bool {
        !KINDS.iter().any(|kind| kind.group == self.group)
    }

    /// Parses `GROUP/VERSION/PLURAL/KIND`, then `:status` for a `status` subresource and `:cluster` for a kind outside
    /// namespaces.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts_and_flags = text.split(':');
        let parts: Vec<&str> = parts_and_flags.next()?.split('/').collect();
        let [group, version, resource, kind] = parts[..] else { return None };
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        let new = Self::new(interned(group), interned(version), interned(resource), interned(kind));
        parts_and_flags.try_fold(new, |kind, flag| match flag {
            "status" => Some(kind.with_status()),
            "cluster" => Some(kind.cluster_scoped()),
            _ => None,
        })
    }

    /// Whether an update may leave out the `resourceVersion`.
    pub(crate) fn has_unconditional_updates(&self) -> bool {
        !self.is_custom() && !matches!(self.kind, "Lease" | "CustomResourceDefinition")
    }

    /// Name in messages: `pods`, `leases.coordination.k8s.io`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }

    /// The `apiVersion` of its objects.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// The text with the lifetime of the program. Names of kinds are few, and each is kept once.
pub(crate) fn interned(text: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = names.get(text) {
        return name;
    }
    let name: &'static str = String::leak(text.to_owned());
    names.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_parsed_from_text() {
        let kind = Kind::parse("pop-rs.dev/v1/agendas/Agenda:status").unwrap();
        assert_eq!(kind, Kind::new("pop-rs.dev", "v1", "agendas", "Agenda").with_status());
        assert!(kind.is_custom() && !PODS.is_custom());
        assert!(std::ptr::eq(kind.kind, Kind::parse("pop-rs.dev/v1/agendas/Agenda").unwrap().kind));
        assert!(!Kind::parse("a.b/v1/cs/C:cluster").unwrap().is_namespaced);
        for wrong in ["", "a.b/v1/cs", "a.b/v1//C", "a.b/v1/cs/C:other", "a.b/v1/cs/C/d"] {
            assert_eq!(Kind::parse(wrong), None, "{wrong}");
        }
    }
}
