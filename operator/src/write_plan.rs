//! From a response to the writes that make it true: children first, status last.

use crate::compare::{Difference, differences, exact_differences};
use crate::finalizer::remove_finalizer;
use crate::handler::{FinalizeResponse, SyncRequest, SyncResponse};
use crate::kinds::{OperatorConfig, Ownership, Strategy};
use crate::object::{ObjectId, annotation, has_owner, is_deleting, metadata_text};
use crate::overlay::{applied_paths, dropped_paths, lay_over, remove_paths};
use crate::path::Path;
use crate::settle::SettleGuard;
use crate::validate::{ChildFault, DesiredChild, validate};
use crate::write::{DeleteReason, ObjectWrite, Target, Write};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The writes that make the response to a sync true, in order; empty at rest. All faults of the children are returned
/// at once, and then there are no writes.
pub fn plan_sync(
    config: &OperatorConfig,
    request: &SyncRequest,
    response: &SyncResponse,
    guard: &SettleGuard,
) -> Result<Vec<Write>, Vec<ChildFault>> {
    let mut writes = plan_children(config, request, &response.children, guard)?;
    writes.extend(plan_status(request, &response.status, guard));
    Ok(writes)
}

/// The writes that make the response to a deletion true, in order.
pub fn plan_finalize(
    config: &OperatorConfig,
    request: &SyncRequest,
    response: &FinalizeResponse,
    guard: &SettleGuard,
) -> Result<Vec<Write>, Vec<ChildFault>> {
    if response.retry.is_none() {
        return Ok(remove_finalizer(config, &request.parent).into_iter().collect());
    }
    let mut writes = match &response.children {
        Some(children) => plan_children(config, request, children, guard)?,
        None => Vec::new(),
    };
    writes.extend(plan_status(request, &response.status, guard));
    Ok(writes)
}

fn plan_children(
    config: &OperatorConfig,
    request: &SyncRequest,
    children: &[Value],
    guard: &SettleGuard,
) -> Result<Vec<Write>, Vec<ChildFault>> {
    let desired = validate(config, request, children)?;
    let with_id = |object| Some((ObjectId::of(object)?, object));
    let seen: BTreeMap<ObjectId, &Value> =
        request.children.iter().chain(&request.others).filter_map(with_id).collect();
    let planner = Planner { config, parent: &request.parent, guard };
    let mut writes: Vec<Write> =
        desired.iter().filter_map(|child| planner.write(child, seen.get(&child.id).copied())).collect();
    let wanted: BTreeSet<&ObjectId> = desired.iter().map(|child| &child.id).collect();
    // children that nobody wants go last: what replaces them exists by then
    let owned = request.children.iter().filter_map(with_id);
    writes.extend(owned.filter(|(id, _)| !wanted.contains(id)).filter_map(|(id, child)| {
        // a test may have made the request with other objects
        let is_owned = config.ownership(&request.parent, child) == Ownership::Owned;
        let is_ours = config.child_of(&id.kind).is_some() && is_owned && !is_deleting(child);
        is_ours.then(|| delete(id, child, DeleteReason::NotDesired))
    }));
    Ok(writes)
}

fn delete(id: ObjectId, child: &Value, reason: DeleteReason) -> Write {
    Write::Delete { id, uid: metadata_text(child, "uid").unwrap_or_default().to_owned(), reason }
}

/// Decides what to do about one child.
struct Planner<'p> {
    config: &'p OperatorConfig,
    parent: &'p Value,
    guard: &'p SettleGuard,
}

impl Planner<'_> {
    fn write(&self, child: &DesiredChild<'_>, seen: Option<&Value>) -> Option<Write> {
        let wanted = self.wanted(child);
        let Some(seen) = seen else { return Some(self.create(child, wanted)) };
        if is_deleting(seen) || child.config.strategy == Strategy::OnDelete {
            return None;
        }
        let target = Target::Child(child.id.clone());
        let dropped = if child.is_minimal { Vec::new() } else { self.dropped(child, seen) };
        let mut object = seen.clone();
        let removed = remove_paths(&mut object, &dropped);
        let found = self.guard.settling(&target, &wanted, differences(seen, &wanted));
        let needs_owner = !has_owner(seen, metadata_text(self.parent, "uid").unwrap_or_default());
        if child.config.strategy == Strategy::Recreate {
            let is_content = |difference: &&Difference| !self.is_tracking(&difference.path);
            let content: Vec<Difference> =
                found.iter().filter(is_content).cloned().chain(of_dropped(seen, &removed)).collect();
            if !content.is_empty() {
                if self.config.ownership(self.parent, seen) != Ownership::Owned {
                    return Some(self.repair(child, seen));
                }
                if self.guard.knows(&target, &wanted) {
                    return Some(delete(child.id.clone(), seen, DeleteReason::Differs(content)));
                }
                lay_over(&mut object, &wanted);
                self.add_owner(&mut object);
                let id = child.id.clone();
                return Some(Write::Probe(ObjectWrite { id, object, wanted, differences: content }));
            }
        }
        if found.is_empty() && removed.is_empty() && !needs_owner {
            return None;
        }
        let differences = found.into_iter().chain(of_dropped(seen, &removed)).collect();
        lay_over(&mut object, &wanted);
        self.add_owner(&mut object);
        Some(Write::Replace(ObjectWrite { id: child.id.clone(), object, wanted, differences }))
    }

    /// Gives a child its labels and its owner back. Only then may it be deleted.
    fn repair(&self, child: &DesiredChild<'_>, seen: &Value) -> Write {
        let labels: BTreeMap<&str, String> = self.config.labels(self.parent).into_iter().collect();
        let wanted = json!({ "metadata": { "labels": labels } });
        let mut object = seen.clone();
        lay_over(&mut object, &wanted);
        self.add_owner(&mut object);
        let differences = differences(seen, &wanted);
        Write::Replace(ObjectWrite { id: child.id.clone(), object, wanted, differences })
    }

    fn create(&self, child: &DesiredChild<'_>, wanted: Value) -> Write {
        let mut object = wanted.clone();
        self.add_owner(&mut object);
        Write::Create(ObjectWrite { id: child.id.clone(), object, wanted, differences: Vec::new() })
    }

    /// What the operator decides of a child: what the handler wants, the labels and the paths.
    fn wanted(&self, child: &DesiredChild<'_>) -> Value {
        let mut wanted = child.object.clone();
        let labels: BTreeMap<&str, String> = self.config.labels(self.parent).into_iter().collect();
        let mut metadata = json!({ "labels": labels });
        if !child.is_minimal {
            let paths = applied_paths(&content(&child.object)).to_string();
            metadata["annotations"] = json!({ &self.config.applied_annotation: paths });
        }
        lay_over(&mut wanted, &json!({ "metadata": metadata }));
        wanted
    }

    /// The paths that an earlier write has set and that nobody wants any more.
    fn dropped(&self, child: &DesiredChild<'_>, seen: &Value) -> Vec<Path> {
        let paths = annotation(seen, &self.config.applied_annotation);
        let paths = paths.and_then(|paths| serde_json::from_str::<Value>(paths).ok());
        // identity and owners are never removed, whatever somebody wrote into the annotation
        let paths = paths.map(|paths| content(&paths)).unwrap_or_default();
        if paths.is_object() { dropped_paths(&paths, &content(&child.object)) } else { Vec::new() }
    }

    /// Whether a path is a label or annotation that the toolkit sets.
    fn is_tracking(&self, path: &Path) -> bool {
        let labels = [&self.config.tracking_label, &self.config.ownership_label];
        let labels = labels.map(|label| Path::of_fields(&["metadata", "labels", label]));
        let annotation = Path::of_fields(&["metadata", "annotations", &self.config.applied_annotation]);
        let maps = [&["metadata", "labels"][..], &["metadata", "annotations"][..]].map(Path::of_fields);
        labels.contains(path) || annotation == *path || maps.contains(path)
    }

    fn add_owner(&self, object: &mut Value) {
        let uid = metadata_text(self.parent, "uid").unwrap_or_default();
        if has_owner(object, uid) {
            return;
        }
        let owner = self.config.owner_reference(self.parent);
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        match metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) {
            Some(owners) => owners.push(owner),
            None => drop(metadata.insert("ownerReferences".to_owned(), json!([owner]))),
        }
    }
}

/// What may be set and removed of a child: all but kind, name and the metadata of others.
fn content(object: &Value) -> Value {
    let mut content = object.clone();
    if let Some(fields) = content.as_object_mut() {
        fields.retain(|key, _| !matches!(key.as_str(), "apiVersion" | "kind" | "status"));
        let metadata = fields.get_mut("metadata").and_then(Value::as_object_mut);
        let has_metadata = metadata.is_some_and(|metadata| {
            metadata
                .retain(|key, value| matches!(key.as_str(), "labels" | "annotations") && value.is_object());
            !metadata.is_empty()
        });
        if !has_metadata {
            fields.remove("metadata");
        }
    }
    content
}

/// The removed paths as differences.
fn of_dropped(seen: &Value, removed: &[Path]) -> Vec<Difference> {
    let difference = |path: &Path| Difference {
        seen: crate::overlay::value_at(seen, path).cloned(),
        path: path.clone(),
        desired: None,
    };
    removed.iter().map(difference).collect()
}

/// The write of a status, if it is not exactly the seen one.
fn plan_status(request: &SyncRequest, status: &Value, guard: &SettleGuard) -> Option<Write> {
    if status.is_null() {
        return None;
    }
    let mut status = status.clone();
    if let Some(fields) = status.as_object_mut() {
        fields.insert("observedGeneration".to_owned(), json!(request.generation().unwrap_or(-1)));
    }
    let seen = request.parent.get("status").unwrap_or(&Value::Null);
    let found = guard.settling(&Target::Status, &status, exact_differences(seen, &status));
    if found.is_empty() {
        return None;
    }
    let mut object = request.parent.clone();
    object.as_object_mut()?.insert("status".to_owned(), status.clone());
    let id = ObjectId::of(&request.parent)?;
    Some(Write::ReplaceStatus(ObjectWrite { id, object, wanted: status, differences: found }))
}
