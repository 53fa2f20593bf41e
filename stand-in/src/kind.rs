//! The kinds of objects that are served, one line each.

/// One kind of objects: where it is served, and what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// API group, empty for the core.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// The plural of the paths.
    pub resource: &'static str,
    /// The name in `kind`.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub is_namespaced: bool,
    /// Whether `status` is a subresource: an update of the object leaves it alone.
    pub has_status: bool,
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// The kinds that are always there.
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
    Kind::new(RBAC, "v1", "clusterroles", "ClusterRole").of_the_cluster(),
    Kind::new(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding").of_the_cluster(),
];

pub(crate) const PODS: Kind = Kind::new("", "v1", "pods", "Pod").with_status();
pub(crate) const NAMESPACES: Kind =
    Kind::new("", "v1", "namespaces", "Namespace").of_the_cluster().with_status();
pub(crate) const EVENTS: Kind = Kind::new("", "v1", "events", "Event");
pub(crate) const SERVICE_ACCOUNTS: Kind = Kind::new("", "v1", "serviceaccounts", "ServiceAccount");
pub(crate) const NODES: Kind = Kind::new("", "v1", "nodes", "Node").of_the_cluster().with_status();

impl Kind {
    /// A kind whose objects live in namespaces and are one whole.
    pub const fn new(
        group: &'static str,
        version: &'static str,
        resource: &'static str,
        kind: &'static str,
    ) -> Self {
        Self { group, version, resource, kind, is_namespaced: true, has_status: false }
    }

    /// The same kind with `status` as a subresource.
    #[must_use]
    pub const fn with_status(self) -> Self {
        Self { has_status: true, ..self }
    }

    /// The same kind outside namespaces.
    #[must_use]
    pub const fn of_the_cluster(self) -> Self {
        Self { is_namespaced: false, ..self }
    }

    /// Whether it is none of Kubernetes' own kinds: a custom resource.
    pub(crate) fn is_custom(&self) -> bool {
        !KINDS.iter().any(|kind| kind.group == self.group)
    }

    /// Reads `GROUP/VERSION/PLURAL/KIND`, with `:status` for a subresource `status` and `:cluster` for a kind outside
    /// namespaces behind it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(':');
        let parts: Vec<&str> = words.next()?.split('/').collect();
        let [group, version, resource, kind] = parts[..] else { return None };
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        // kinds are few and live as long as their server
        let kept = |text: &str| -> &'static str { String::leak(text.to_owned()) };
        let new = Self::new(kept(group), kept(version), kept(resource), kept(kind));
        words.try_fold(new, |kind, word| match word {
            "status" => Some(kind.with_status()),
            "cluster" => Some(kind.of_the_cluster()),
            _ => None,
        })
    }

    /// What messages call it: `pods`, `leases.coordination.k8s.io`.
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
    fn a_kind_is_read_from_a_word() {
        let kind = Kind::parse("pop-rs.dev/v1/agendas/Agenda:status").unwrap();
        assert_eq!(kind, Kind::new("pop-rs.dev", "v1", "agendas", "Agenda").with_status());
        assert!(kind.is_custom() && !PODS.is_custom());
        assert!(!Kind::parse("a.b/v1/cs/C:cluster").unwrap().is_namespaced);
        for wrong in ["", "a.b/v1/cs", "a.b/v1//C", "a.b/v1/cs/C:other", "a.b/v1/cs/C/d"] {
            assert_eq!(Kind::parse(wrong), None, "{wrong}");
        }
    }
}
