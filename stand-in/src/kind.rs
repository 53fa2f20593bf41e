//! The served kinds of objects, one line each.

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
        // kinds are few and live as long as the server
        let leaked = |text: &str| -> &'static str { String::leak(text.to_owned()) };
        let new = Self::new(leaked(group), leaked(version), leaked(resource), leaked(kind));
        parts_and_flags.try_fold(new, |kind, flag| match flag {
            "status" => Some(kind.with_status()),
            "cluster" => Some(kind.cluster_scoped()),
            _ => None,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_parsed_from_text() {
        let kind = Kind::parse("pop-rs.dev/v1/agendas/Agenda:status").unwrap();
        assert_eq!(kind, Kind::new("pop-rs.dev", "v1", "agendas", "Agenda").with_status());
        assert!(kind.is_custom() && !PODS.is_custom());
        assert!(!Kind::parse("a.b/v1/cs/C:cluster").unwrap().is_namespaced);
        for wrong in ["", "a.b/v1/cs", "a.b/v1//C", "a.b/v1/cs/C:other", "a.b/v1/cs/C/d"] {
            assert_eq!(Kind::parse(wrong), None, "{wrong}");
        }
    }
}
