//! The kinds of an operator, and which objects belong to a parent.

use crate::object::{GroupKind, controller_of, has_owner, label, metadata_text};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A kind of objects as the API server serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindConfig {
    /// API version with its group, for example `apps/v1`.
    pub api_version: String,
    /// Kind, for example `Deployment`.
    pub kind: String,
    /// Plural in the paths of the API, for example `deployments`.
    pub plural: String,
    /// Whether the objects are in namespaces.
    pub is_namespaced: bool,
}

impl KindConfig {
    /// A kind in namespaces.
    pub fn namespaced(api_version: &str, kind: &str, plural: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            is_namespaced: true,
        }
    }

    /// A kind of the cluster, outside of namespaces.
    pub fn cluster(api_version: &str, kind: &str, plural: &str) -> Self {
        Self { is_namespaced: false, ..Self::namespaced(api_version, kind, plural) }
    }

    /// The kind without its version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::of(&self.api_version, &self.kind)
    }
}

/// The plural that Kubernetes' own tools guess for a kind: `policies` for `Policy`.
pub fn guess_plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    let last = lower.chars().last();
    match last {
        Some('s') => format!("{lower}es"),
        Some('y') => format!("{}ies", &lower[..lower.len() - 1]),
        _ => format!("{lower}s"),
    }
}

/// What happens to a child that differs from the desired state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The desired fields are laid over the seen object. What others added stays.
    Replace,
    /// The child is deleted, and created in a later pass.
    Recreate,
    /// The child is not touched while it exists. It is created with the new content after somebody deletes it.
    OnDelete,
}

/// A kind of children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildConfig {
    /// Kind of the children.
    pub kind: KindConfig,
    /// What happens to a child that differs.
    pub strategy: Strategy,
}

/// The kinds and names of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorConfig {
    /// Name of the operator, the value of the ownership label.
    pub name: String,
    /// Kind of the parents.
    pub parent: KindConfig,
    /// Kinds of the children.
    pub children: Vec<ChildConfig>,
    /// Label of each child with the uid of its parent.
    pub tracking_label: String,
    /// Label of each child with the name of the operator.
    pub ownership_label: String,
    /// Annotation of each child with the paths that the operator has set.
    pub applied_annotation: String,
    /// Finalizer of each parent.
    pub finalizer: String,
    /// The only namespace that the operator watches; none for all.
    pub namespace: Option<String>,
    /// Whether only objects with the ownership label are watched. All others cost no memory. A child that loses the
    /// label is found again, because its name is taken.
    pub watches_only_labelled: bool,
}

/// A configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The name is no label value.
    #[error("`{0}` is no operator name: use 1 to 63 lower-case letters, digits and `-`")]
    Name(String),
    /// A kind of children is configured twice.
    #[error("the child kind `{0}` is configured twice")]
    Twice(GroupKind),
    /// A parent in a namespace cannot own an object of the cluster.
    #[error("`{0}` is a kind of the cluster: a parent in a namespace cannot own it")]
    Scope(GroupKind),
}

/// How an object is related to a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It has the tracking label and an ownerReference of the parent.
    Owned,
    /// It has the ownerReference, but not the label.
    OnlyReference,
    /// It has the label, but not the ownerReference.
    OnlyLabel,
    /// It has neither, or another controller.
    Foreign,
}

impl OperatorConfig {
    /// A configuration without kinds of children, with the default names, in all namespaces.
    pub fn new(name: &str, parent: KindConfig) -> Self {
        Self {
            name: name.to_owned(),
            parent,
            children: Vec::new(),
            tracking_label: "pop-rs.dev/owner".to_owned(),
            ownership_label: "app.kubernetes.io/managed-by".to_owned(),
            applied_annotation: "pop-rs.dev/applied-paths".to_owned(),
            finalizer: format!("pop-rs.dev/{name}"),
            namespace: None,
            watches_only_labelled: false,
        }
    }

    /// The same configuration with one more kind of children.
    #[must_use]
    pub fn child(mut self, kind: KindConfig, strategy: Strategy) -> Self {
        self.children.push(ChildConfig { kind, strategy });
        self
    }

    /// The same configuration for one namespace.
    #[must_use]
    pub fn within_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// The faults of the configuration; none if it can work.
    pub fn faults(&self) -> Vec<ConfigError> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_good = (1..=63).contains(&self.name.len())
            && self.name.bytes().all(is_name)
            && !self.name.starts_with('-')
            && !self.name.ends_with('-');
        let mut faults = Vec::new();
        if !is_good {
            faults.push(ConfigError::Name(self.name.clone()));
        }
        let mut known = BTreeSet::new();
        for child in &self.children {
            let kind = child.kind.group_kind();
            if self.parent.is_namespaced && !child.kind.is_namespaced {
                faults.push(ConfigError::Scope(kind.clone()));
            }
            if !known.insert(kind.clone()) {
                faults.push(ConfigError::Twice(kind));
            }
        }
        faults
    }

    /// The configuration of a kind of children, whatever its version.
    pub fn child_of(&self, kind: &GroupKind) -> Option<&ChildConfig> {
        self.children.iter().find(|child| child.kind.group_kind() == *kind)
    }

    /// How an object is related to a parent.
    pub fn ownership(&self, parent: &Value, object: &Value) -> Ownership {
        let uid = metadata_text(parent, "uid").unwrap_or_default();
        let has_label = !uid.is_empty() && label(object, &self.tracking_label) == Some(uid);
        let controller = controller_of(object).map(|owner| owner.get("uid").and_then(Value::as_str));
        match (has_owner(object, uid), has_label) {
            _ if controller.is_some_and(|controller| controller != Some(uid)) => Ownership::Foreign,
            (true, true) => Ownership::Owned,
            (true, false) => Ownership::OnlyReference,
            (false, true) => Ownership::OnlyLabel,
            (false, false) => Ownership::Foreign,
        }
    }

    /// The label selector of the watches of children; none for all objects.
    pub fn child_selector(&self) -> Option<String> {
        self.watches_only_labelled.then(|| format!("{}={}", self.ownership_label, self.name))
    }

    /// The labels that each child of a parent has.
    pub(crate) fn labels(&self, parent: &Value) -> [(&str, String); 2] {
        let uid = metadata_text(parent, "uid").unwrap_or_default();
        [(&self.ownership_label, self.name.clone()), (&self.tracking_label, uid.to_owned())]
    }

    /// The ownerReference that each child of a parent has.
    pub(crate) fn owner_reference(&self, parent: &Value) -> Value {
        json!({
            "apiVersion": self.parent.api_version,
            "kind": self.parent.kind,
            "name": metadata_text(parent, "name"),
            "uid": metadata_text(parent, "uid"),
            "controller": true,
            // a deletion in the foreground waits for the child only with this flag
            "blockOwnerDeletion": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_those_of_kubernetes() {
        for (kind, plural) in [
            ("Site", "sites"),
            ("WebSite", "websites"),
            ("Policy", "policies"),
            ("Glass", "glasses"),
            ("S", "ses"),
        ] {
            assert_eq!(guess_plural(kind), plural);
        }
    }
}
