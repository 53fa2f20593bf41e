//! The interface of an operator's author: a request with the seen state, a response with the desired state.

use crate::kinds::{OperatorConfig, Ownership};
use crate::object::{GroupKind, ObjectId, is_deleting, metadata_text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// The error of a handler. `?` turns any error into it, and `.into()` any text.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The logic of an operator.
pub trait Handler: Send + Sync + 'static {
    /// Answers with the status and the children that a parent should have. It is called again after each change of
    /// the parent or its children, so equal requests need equal answers. An error changes nothing in the cluster.
    fn sync(&self, request: &SyncRequest) -> Result<SyncResponse, Error>;

    /// Cleans up before a parent is deleted. It may be called several times for one parent. It is not called if
    /// somebody removes the finalizer. By default, the deletion proceeds.
    fn finalize(&self, _request: &SyncRequest) -> Result<FinalizeResponse, Error> {
        Ok(FinalizeResponse::done())
    }
}

impl<F> Handler for F
where
    F: Fn(&SyncRequest) -> Result<SyncResponse, Error> + Send + Sync + 'static,
{
    fn sync(&self, request: &SyncRequest) -> Result<SyncResponse, Error> {
        self(request)
    }
}

/// A pair of functions: the second turns an error into a status and a time until the next call. The children stay as
/// they are.
impl<S, E> Handler for (S, E)
where
    S: Fn(&SyncRequest) -> Result<SyncResponse, Error> + Send + Sync + 'static,
    E: Fn(&SyncRequest, Error) -> (Value, Option<Duration>) + Send + Sync + 'static,
{
    fn sync(&self, request: &SyncRequest) -> Result<SyncResponse, Error> {
        (self.0)(request).or_else(|error| {
            let (status, resync) = (self.1)(request, error);
            let mut response = SyncResponse { status, resync, has_failed: true, ..SyncResponse::default() };
            response.keep_children(request);
            Ok(response)
        })
    }
}

/// A parent and its children at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncRequest {
    /// The parent as the API server sent it.
    pub parent: Value,
    /// The children, in the order of kind, namespace and name. Those that are being deleted are among them.
    pub children: Vec<Value>,
    /// Calls for this parent that failed in a row before this one.
    pub failures: u32,
    /// Why the last call or its writes failed; none after a success. A status may tell it.
    pub last_failure: Option<String>,
    /// Other objects that could be in the way of a child.
    pub(crate) others: Vec<Value>,
}

impl SyncRequest {
    /// A request with children that all belong to the parent, for tests of a handler.
    pub fn new(parent: Value, children: Vec<Value>) -> Self {
        let mut request = Self { parent, children, failures: 0, last_failure: None, others: Vec::new() };
        request.children.sort_by_cached_key(ObjectId::of);
        request
    }

    /// A request from all objects that may concern a parent: each that has its label or ownerReference, and each that
    /// was found under the name of a child. A child has both. An object with one of them becomes a child again when a
    /// response names it; users also let objects of their own go with a parent by an ownerReference alone.
    pub fn observe(config: &OperatorConfig, parent: Value, objects: Vec<Value>) -> Self {
        let is_child = |object: &Value| config.ownership(&parent, object) == Ownership::Owned;
        let (children, others) = objects.into_iter().partition(is_child);
        Self { others, ..Self::new(parent, children) }
    }

    /// The parent as a type.
    pub fn parent_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.parent).map_err(|error| format!("the parent cannot be read: {error}").into())
    }

    /// Name of the parent; empty if it has none.
    pub fn parent_name(&self) -> &str {
        metadata_text(&self.parent, "name").unwrap_or_default()
    }

    /// Namespace of the parent; none for a parent of the cluster.
    pub fn parent_namespace(&self) -> Option<&str> {
        metadata_text(&self.parent, "namespace")
    }

    /// The uid of the parent; empty if it has none.
    pub fn parent_uid(&self) -> &str {
        metadata_text(&self.parent, "uid").unwrap_or_default()
    }

    /// Generation of the parent, which each change of its spec raises; none if the server keeps none.
    pub fn generation(&self) -> Option<i64> {
        self.parent.get("metadata")?.get("generation")?.as_i64()
    }

    /// Whether somebody has asked to delete the parent.
    pub fn is_deleting(&self) -> bool {
        is_deleting(&self.parent)
    }

    /// The children of a kind, named as `Pod` or `Deployment.apps`.
    pub fn children_of_kind<'r>(&'r self, kind: &'r str) -> impl Iterator<Item = &'r Value> {
        self.children.iter().filter(move |child| is_of_kind(child, kind))
    }

    /// The children of a kind as a type.
    pub fn children_as<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, Error> {
        let read = |child| {
            T::deserialize(child).map_err(|error| {
                let name = metadata_text(child, "name").unwrap_or_default();
                format!("the child `{name}` of kind `{kind}` cannot be read: {error}").into()
            })
        };
        self.children_of_kind(kind).map(read).collect()
    }

    /// The child of a kind and a name, in the namespace of a namespaced parent, else in any.
    pub fn child(&self, kind: &str, name: &str) -> Option<&Value> {
        let is_it = |child: &&Value| is_of_kind(child, kind) && metadata_text(child, "name") == Some(name);
        self.children.iter().find(is_it)
    }

    /// The child of a kind and a name in a namespace; for parents of the cluster.
    pub fn child_in(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        let is_it = |child: &&Value| {
            is_of_kind(child, kind)
                && metadata_text(child, "namespace") == Some(namespace)
                && metadata_text(child, "name") == Some(name)
        };
        self.children.iter().find(is_it)
    }
}

fn is_of_kind(object: &Value, kind: &str) -> bool {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    text("apiVersion")
        .zip(text("kind"))
        .is_some_and(|(version, name)| GroupKind::of(version, name).is_named(kind))
}

/// The desired state of a parent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncResponse {
    /// Status of the parent. Null writes no status. An object gets the field `observedGeneration`.
    pub status: Value,
    /// Children that should exist, with the fields that the operator decides. A child of only `apiVersion`, `kind`,
    /// namespace and name stays as it is. Owned children that are not in the list are deleted.
    pub children: Vec<Value>,
    /// Time until the next call if nothing changes; none waits for a change.
    pub resync: Option<Duration>,
    /// Whether this is the answer to an error: it counts as one, but its status and children are written.
    pub has_failed: bool,
}

impl SyncResponse {
    /// A response with this status and without children.
    pub fn from_status<T: Serialize>(status: T) -> Result<Self, Error> {
        Ok(Self { status: serde_json::to_value(status)?, ..Self::default() })
    }

    /// Adds a child.
    pub fn add_child<T: Serialize>(&mut self, child: T) -> Result<(), Error> {
        self.children.push(serde_json::to_value(child)?);
        Ok(())
    }

    /// Adds all children of a request in such a way that they stay as they are. Those being deleted are left out.
    pub fn keep_children(&mut self, request: &SyncRequest) {
        let kept = request.children.iter().filter(|child| !is_deleting(child));
        self.children.extend(kept.map(minimal_child));
    }

    /// The same response with a time until the next call.
    #[must_use]
    pub fn resync(mut self, after: Duration) -> Self {
        self.resync = Some(after);
        self
    }
}

/// A child of a response that stays as it is: kind, name and namespace only.
pub fn minimal_child(child: &Value) -> Value {
    let mut metadata = json!({ "name": metadata_text(child, "name") });
    if let Some(namespace) = metadata_text(child, "namespace") {
        metadata["namespace"] = namespace.into();
    }
    json!({ "apiVersion": child.get("apiVersion"), "kind": child.get("kind"), "metadata": metadata })
}

/// The answer to the deletion of a parent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FinalizeResponse {
    /// Time until the next call. None ends the clean-up: the finalizer is removed, and nothing else is written.
    pub retry: Option<Duration>,
    /// Status of the parent until then. Null writes no status.
    pub status: Value,
    /// Children that should exist until then; none leaves all children as they are.
    pub children: Option<Vec<Value>>,
    /// Whether this is the answer to an error: it counts as one, but it is carried out.
    pub has_failed: bool,
}

impl FinalizeResponse {
    /// The clean-up is done: the parent may go, and its children go with it.
    pub fn done() -> Self {
        Self::default()
    }

    /// The clean-up goes on: call again after this time, or earlier after a change.
    pub fn retry(after: Duration) -> Self {
        Self { retry: Some(after), ..Self::default() }
    }

    /// The same response with a status.
    pub fn with_status<T: Serialize>(mut self, status: T) -> Result<Self, Error> {
        self.status = serde_json::to_value(status)?;
        Ok(self)
    }

    /// The same response with the children that should exist. Others are deleted.
    #[must_use]
    pub fn with_children(mut self, children: Vec<Value>) -> Self {
        self.children = Some(children);
        self
    }
}
