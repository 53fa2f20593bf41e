//! The checks of a handler's children, before anything is written.

use crate::compare::without_nulls;
use crate::handler::SyncRequest;
use crate::kinds::{ChildConfig, OperatorConfig, Ownership};
use crate::object::{ObjectId, controller_of, is_deleting, metadata_text};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// A child that cannot be written. None of the children of its response are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildFault {
    /// Position in the response, from 0.
    pub index: usize,
    /// What is known of kind and name, for messages.
    pub child: String,
    /// The reason.
    pub problem: ChildProblem,
}

impl fmt::Display for ChildFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child {} ({}): {}", self.index + 1, self.child, self.problem)
    }
}

/// The reason why a child cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChildProblem {
    /// It is no object with `apiVersion` and `kind`.
    #[error("`apiVersion` or `kind` is missing")]
    NoKind,
    /// The operator is not configured for this kind.
    #[error("the kind `{api_version}/{kind}` is not configured: add it to the children of the operator")]
    UnknownKind {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
    /// It has no name.
    #[error("`metadata.name` is missing")]
    NoName,
    /// It is in another namespace than its parent, or in none.
    #[error("`metadata.namespace` is {found}, but the parent is in `{parent}`")]
    OtherNamespace {
        /// Its namespace, for messages.
        found: String,
        /// Namespace of the parent.
        parent: String,
    },
    /// It has no namespace, and neither has its parent.
    #[error("`metadata.namespace` is missing")]
    NoNamespace,
    /// It is an object of the cluster, but has a namespace.
    #[error("`metadata.namespace` is set, but the kind has no namespaces")]
    HasNamespace,
    /// It has a status, which only the controller of its kind may write.
    #[error("`status` is set: leave it out, the controller of the kind writes it")]
    HasStatus,
    /// It sets metadata that the toolkit or others decide.
    #[error("`metadata.{0}` is set: leave it out")]
    ReservedMetadata(&'static str),
    /// Another child of the response has this identity.
    #[error("child {} is the same object", .0 + 1)]
    Twice(usize),
    /// An object of this name belongs to others.
    #[error("the name is taken by an object of {0}: choose another name")]
    NameTaken(String),
}

/// A child that can be written.
#[derive(Debug)]
pub(crate) struct DesiredChild<'c> {
    pub(crate) id: ObjectId,
    pub(crate) config: &'c ChildConfig,
    /// The child without nulls and without metadata that only the server writes.
    pub(crate) object: Value,
    /// Whether the child has nothing but its identity: it stays as it is.
    pub(crate) is_minimal: bool,
}

/// Metadata that handlers must not set. The toolkit decides owners; finalizers are a list that others share.
const RESERVED: [&str; 2] = ["finalizers", "ownerReferences"];
/// Metadata that handlers may set.
const OWN: [&str; 4] = ["name", "namespace", "labels", "annotations"];

/// The children of a response, or all their faults.
pub(crate) fn validate<'c>(
    config: &'c OperatorConfig,
    request: &SyncRequest,
    children: &[Value],
) -> Result<Vec<DesiredChild<'c>>, Vec<ChildFault>> {
    let mut faults = Vec::new();
    let mut desired = Vec::new();
    let mut known = BTreeMap::new();
    for (index, child) in children.iter().enumerate() {
        let child = without_nulls(child);
        let mut problems = Vec::new();
        match check(config, request, &child, &mut problems) {
            Some(found) => match known.get(&found.id) {
                Some(before) => problems.push(ChildProblem::Twice(*before)),
                None => {
                    known.insert(found.id.clone(), index);
                    desired.push(found);
                }
            },
            None => debug_assert!(!problems.is_empty(), "a refused child has a reason"),
        }
        faults.extend(problems.into_iter().map(|problem| ChildFault {
            index,
            child: words(&child),
            problem,
        }));
    }
    if faults.is_empty() { Ok(desired) } else { Err(faults) }
}

fn words(child: &Value) -> String {
    let text = |key: &str| child.get(key).and_then(Value::as_str).unwrap_or("?");
    format!("{} {}", text("kind"), metadata_text(child, "name").unwrap_or("?"))
}

fn check<'c>(
    config: &'c OperatorConfig,
    request: &SyncRequest,
    child: &Value,
    problems: &mut Vec<ChildProblem>,
) -> Option<DesiredChild<'c>> {
    if child.get("status").is_some() {
        problems.push(ChildProblem::HasStatus);
    }
    for field in RESERVED.into_iter().filter(|field| child.pointer(&format!("/metadata/{field}")).is_some()) {
        problems.push(ChildProblem::ReservedMetadata(field));
    }
    if metadata_text(child, "name").is_none() {
        problems.push(ChildProblem::NoName);
    }
    let text = |key: &str| child.get(key).and_then(Value::as_str);
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        problems.push(ChildProblem::NoKind);
        return None;
    };
    let is_it = |known: &&ChildConfig| known.kind.api_version == api_version && known.kind.kind == kind;
    let Some(child_config) = config.children.iter().find(is_it) else {
        let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
        problems.push(ChildProblem::UnknownKind { api_version, kind });
        return None;
    };
    let namespace = metadata_text(child, "namespace");
    problems.extend(namespace_problem(child_config, request.parent_namespace(), namespace));
    let id = ObjectId::of(child)?;
    problems.extend(taken(config, request, &id));
    let object = own_fields(child, config);
    let is_minimal = object
        .get("metadata")
        .and_then(Value::as_object)
        .is_some_and(|metadata| metadata.keys().all(|key| key == "name" || key == "namespace"))
        && object.as_object().is_some_and(|object| object.len() == 3);
    Some(DesiredChild { id, config: child_config, object, is_minimal })
}

fn namespace_problem(
    child: &ChildConfig,
    parent: Option<&str>,
    namespace: Option<&str>,
) -> Option<ChildProblem> {
    match (child.kind.is_namespaced, parent, namespace) {
        (true, Some(parent), found) if found != Some(parent) => Some(ChildProblem::OtherNamespace {
            found: found.map_or("missing".to_owned(), |found| format!("`{found}`")),
            parent: parent.to_owned(),
        }),
        (true, None, None) => Some(ChildProblem::NoNamespace),
        (false, _, Some(_)) => Some(ChildProblem::HasNamespace),
        _ => None,
    }
}

/// Whether others have an object of this identity.
fn taken(config: &OperatorConfig, request: &SyncRequest, id: &ObjectId) -> Option<ChildProblem> {
    let mut objects = request.others.iter();
    let object = objects.find(|object| ObjectId::of(object).as_ref() == Some(id))?;
    let is_foreign = config.ownership(&request.parent, object) == Ownership::Foreign;
    (is_foreign && !is_deleting(object)).then(|| {
        let owner = controller_of(object).map_or("others".to_owned(), |owner| {
            let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or("?");
            format!("{} `{}`", text("kind"), text("name"))
        });
        ChildProblem::NameTaken(owner)
    })
}

/// The child without metadata that only the server writes, and without what the toolkit sets itself.
fn own_fields(child: &Value, config: &OperatorConfig) -> Value {
    let mut child = child.clone();
    let Some(metadata) = child.get_mut("metadata").and_then(Value::as_object_mut) else { return child };
    metadata.retain(|key, _| OWN.contains(&key.as_str()));
    let mut take = |map: &str, names: &[&str]| {
        if let Some(values) = metadata.get_mut(map).and_then(Value::as_object_mut) {
            values.retain(|name, _| !names.contains(&name.as_str()));
        }
        // an empty map is the same as none
        if metadata.get(map).and_then(Value::as_object).is_some_and(Map::is_empty) {
            metadata.remove(map);
        }
    };
    take("labels", &[config.tracking_label.as_str(), config.ownership_label.as_str()]);
    take("annotations", &[config.applied_annotation.as_str()]);
    child
}
