//! What the toolkit reads in a Kubernetes object: identity, metadata and owners.

use serde_json::Value;
use std::fmt;

/// A kind of objects, whatever the version of its API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// API group, for example `apps`; empty for the core group.
    pub group: String,
    /// Kind, for example `Deployment`.
    pub kind: String,
}

impl GroupKind {
    /// The kind of an object with these fields `apiVersion` and `kind`.
    pub fn of(api_version: &str, kind: &str) -> Self {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Self { group: group.to_owned(), kind: kind.to_owned() }
    }

    /// Whether a text names this kind: `Deployment` or `Deployment.apps`.
    pub fn is_named(&self, name: &str) -> bool {
        name == self.kind
            || name.split_once('.').is_some_and(|(kind, group)| kind == self.kind && group == self.group)
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

/// The identity of an object: kind, namespace and name. The version of its API does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Kind with its group.
    pub kind: GroupKind,
    /// Namespace; none for an object of the cluster.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// The identity of an object; none if it lacks its kind or its name.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(Self {
            kind: GroupKind::of(text("apiVersion")?, text("kind")?),
            namespace: metadata_text(object, "namespace").map(str::to_owned),
            name: metadata_text(object, "name")?.to_owned(),
        })
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// A text in the metadata of an object; none if it is absent, empty or no text.
pub fn metadata_text<'o>(object: &'o Value, key: &str) -> Option<&'o str> {
    object.get("metadata")?.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// Whether somebody has asked the API server to delete an object.
pub fn is_deleting(object: &Value) -> bool {
    metadata_text(object, "deletionTimestamp").is_some()
}

/// The value of a label.
pub fn label<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str()
}

/// The value of an annotation.
pub fn annotation<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    object.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

/// The finalizers of an object.
pub(crate) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let list = object.get("metadata").and_then(|metadata| metadata.get("finalizers")?.as_array());
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// The owners of an object.
fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    let list = object.get("metadata").and_then(|metadata| metadata.get("ownerReferences")?.as_array());
    list.into_iter().flatten()
}

/// Whether an object names an owner with this uid.
pub(crate) fn has_owner(object: &Value, uid: &str) -> bool {
    !uid.is_empty() && owners(object).any(|owner| owner.get("uid").and_then(Value::as_str) == Some(uid))
}

/// The ownerReference of the controller of an object.
pub fn controller_of(object: &Value) -> Option<&Value> {
    owners(object).find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}
