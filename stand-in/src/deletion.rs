//! Deletion: immediate or graceful, and garbage collection of owned objects and namespaces.

use crate::cluster::{now, seconds_from_now};
use crate::custom::definition;
use crate::kind::{DEFINITIONS, Kind, NAMESPACES, PODS};
use crate::store::{Store, name_of};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// The options of a deletion.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_period_seconds: Option<i64>,
    pub(crate) propagation_policy: Option<String>,
    pub(crate) preconditions: Option<Preconditions>,
    #[serde(rename = "dryRun")]
    pub(crate) dry_run: Option<Vec<String>>,
}

/// Conditions that the object must meet to be deleted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

const FOREGROUND: &str = "foregroundDeletion";

/// Whether no finalizer holds an object.
pub(crate) fn is_free(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
}

pub(crate) fn delete(
    store: &mut Store,
    kind: &Kind,
    object: &Arc<Value>,
    options: &DeleteOptions,
    kinds: &[Kind],
) -> Arc<Value> {
    let (namespace, name) = name_of(object);
    let mut new = Value::clone(object);
    if kind == &DEFINITIONS && object["metadata"]["deletionTimestamp"].is_null() {
        definition::terminate(&mut new, &now());
        return store.put(kind, new);
    }
    let grace = grace(kind, object, options);
    let policy = options.propagation_policy.as_deref();
    if policy == Some("Foreground") {
        let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == FOREGROUND) {
            finalizers.push(FOREGROUND.into());
        }
        new["metadata"]["finalizers"] = finalizers.into();
    } else if policy == Some("Orphan") {
        orphan(store, object, kinds);
    }
    if grace == 0 && is_free(&new) && kind != &NAMESPACES {
        return store.remove(kind, &namespace, &name).unwrap_or_else(|| Arc::clone(object));
    }
    let metadata = &mut new["metadata"];
    let earlier = metadata["deletionGracePeriodSeconds"].as_i64();
    let is_first = metadata["deletionTimestamp"].is_null();
    if let (true, Some(generation)) = (is_first, metadata["generation"].as_i64()) {
        metadata["generation"] = (generation + 1).into();
    }
    if is_first || earlier.is_some_and(|earlier| grace < earlier) {
        metadata["deletionTimestamp"] = seconds_from_now(grace).into();
        metadata["deletionGracePeriodSeconds"] = grace.into();
    }
    if kind == &NAMESPACES {
        new["status"]["phase"] = "Terminating".into();
    }
    store.put(kind, new)
}

/// The grace of a deletion in seconds; 0 except for running pods.
fn grace(kind: &Kind, object: &Value, options: &DeleteOptions) -> i64 {
    let is_ended = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let is_bound = object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    if kind != &PODS || is_ended || !is_bound {
        return 0;
    }
    let usual = object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    options.grace_period_seconds.unwrap_or(usual).max(0)
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

/// Whether an owned object blocks the deletion of its owner.
fn is_blocked(store: &Store, owner: &Value) -> bool {
    let uid = &owner["metadata"]["uid"];
    let blocks = |reference: &Value| &reference["uid"] == uid && reference["blockOwnerDeletion"] == true;
    store.everything().any(|(_, object)| owners(object).any(blocks))
}

/// Removes the owner from the references of its objects.
fn orphan(store: &mut Store, owner: &Value, kinds: &[Kind]) {
    let uid = &owner["metadata"]["uid"];
    let owned: Vec<_> = store
        .everything()
        .filter(|(_, object)| owners(object).any(|reference| &reference["uid"] == uid))
        .map(|(id, object)| (id, Value::clone(object)))
        .collect();
    for (id, mut object) in owned {
        if let Some(references) = object["metadata"]["ownerReferences"].as_array_mut() {
            references.retain(|reference| &reference["uid"] != uid);
        }
        if let Some(kind) = kinds.iter().find(|kind| (kind.group, kind.resource) == id) {
            store.put(kind, object);
        }
    }
}

/// Deletes objects without owners or namespace left, and removes the objects that waited for them.
pub(crate) fn collect(store: &mut Store, kinds: &[Kind]) {
    while let Some((kind, object)) = next_to_collect(store, kinds) {
        let (namespace, name) = name_of(&object);
        if object["metadata"]["deletionTimestamp"].is_null() {
            delete(store, &kind, &object, &DeleteOptions::default(), kinds);
        } else if kind == NAMESPACES {
            store.remove(&kind, &namespace, &name);
        } else {
            let mut new = Value::clone(&object);
            if let Some(finalizers) = new["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != FOREGROUND);
            }
            let is_pending = object["metadata"]["deletionGracePeriodSeconds"].as_i64() > Some(0);
            if is_free(&new) && !is_pending {
                store.remove(&kind, &namespace, &name);
            } else {
                store.put(&kind, new);
            }
        }
    }
}

fn next_to_collect(store: &Store, kinds: &[Kind]) -> Option<(Kind, Arc<Value>)> {
    let is_deleted = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();
    let namespaces = store.list(&NAMESPACES, None);
    let ending: Vec<String> = namespaces.iter().filter(|it| is_deleted(it)).map(|it| name_of(it).1).collect();
    let is_in_ending = |object: &Value| !ending.is_empty() && ending.contains(&name_of(object).0);
    let has_owners = |object: &Value| owners(object).next().is_some();
    // only these can be collected; most objects are not among them
    let candidates: Vec<_> = store
        .everything()
        .filter(|(_, object)| has_owners(object) || is_deleted(object) || is_in_ending(object))
        .collect();
    let namespace = |object: &Value| object["metadata"]["namespace"].as_str().map(str::to_owned);
    let uids: HashMap<&str, Option<String>> = if candidates.iter().any(|(_, object)| has_owners(object)) {
        let is_going = |object: &Value| is_deleted(object) && is_foreground(object);
        let staying = store.everything().filter(|(_, object)| !is_going(object));
        staying
            .filter_map(|(_, object)| Some((object["metadata"]["uid"].as_str()?, namespace(object))))
            .collect()
    } else {
        HashMap::new()
    };
    // an owner is cluster-scoped or in the same namespace; any other reference names no owner
    let is_lost = |object: &Value, reference: &Value| {
        let is_known = kinds.iter().any(|kind| reference["kind"] == kind.kind);
        let owner = uids.get(reference["uid"].as_str().unwrap_or_default());
        is_known && owner.is_none_or(|owner| owner.is_some() && *owner != namespace(object))
    };
    let is_empty = |name: &str| !store.everything().any(|(_, it)| it["metadata"]["namespace"] == name);
    let is_due = |(id, object): &((&str, &str), &Arc<Value>)| match is_deleted(object) {
        true if id.1 == NAMESPACES.resource => is_free(object) && is_empty(&name_of(object).1),
        true => is_foreground(object) && !is_blocked(store, object),
        false => {
            let is_lost = |reference: &Value| is_lost(object, reference);
            is_in_ending(object) || (has_owners(object) && owners(object).all(is_lost))
        }
    };
    let (id, object) = candidates.into_iter().find(is_due)?;
    let kind = kinds.iter().find(|kind| (kind.group, kind.resource) == id)?;
    Some((*kind, Arc::clone(object)))
}

fn is_foreground(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().any(|finalizer| finalizer == FOREGROUND)
}
