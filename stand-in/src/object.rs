//! What is done with objects of any kind: create, update, patch, delete, and collecting what lost its owner.

use crate::admission;
use crate::admission::random_ending;
use crate::cluster::{Cluster, now, shown};
use crate::deletion::{DeleteOptions, Preconditions, collect, delete, is_free};
use crate::failure::{Cause, Failure};
use crate::kind::{Kind, NAMESPACES, PODS, SERVICE_ACCOUNTS};
use crate::patch::PatchKind;
use crate::store::{Store, name_of};
use crate::validate;
use base64::Engine as _;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What storage takes of one object.
const OBJECT_LIMIT: usize = 3 * 512 * 1024;

impl Cluster {
    /// Stores a new object.
    pub(crate) fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        mut object: Value,
        is_dry: bool,
    ) -> Result<Arc<Value>, Failure> {
        begin(kind, namespace, &mut object)?;
        let name = name_of(&object).1;
        let stored = {
            let mut store = self.store();
            admission::defaults(kind, &mut object);
            if kind.is_namespaced {
                check_namespace(&store, kind, namespace, &name)?;
            }
            if kind == &PODS {
                let webhook = self.switches().webhook;
                admission::admit_pod(&store, webhook, namespace, &mut object)?;
            }
            let causes = validate::check(kind, &object);
            if !causes.is_empty() {
                return Err(Failure::invalid(kind, &name, &causes));
            }
            if let Some(found) = store.find(kind, namespace, &name) {
                let is_going = found["metadata"]["deletionTimestamp"].is_string();
                let taken = if is_going { Failure::being_deleted } else { Failure::already_exists };
                return Err(taken(kind, &name));
            }
            check_size(&object)?;
            if is_dry {
                return Ok(Arc::new(object));
            }
            let stored = store.put(kind, object);
            if kind == &NAMESPACES {
                furnish_namespace(&mut store, &name, &self.ca_pem);
            }
            if stored["metadata"]["ownerReferences"].is_array() {
                // its owner may be gone already
                collect(&mut store, &self.kinds);
            }
            stored
        };
        self.tell();
        Ok(stored)
    }

    /// Replaces an object, or with `status` only that part of it.
    pub(crate) fn replace(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        subresource: &str,
        object: Value,
        is_dry: bool,
    ) -> Result<Arc<Value>, Failure> {
        let given = object["metadata"]["name"].as_str().unwrap_or(name);
        if given != name {
            let why = format!("the name of the object ({given}) does not match the name on the URL ({name})");
            return Err(Failure::bad_request(why));
        }
        let is_unversioned = object["metadata"]["resourceVersion"].as_str().is_none_or(str::is_empty);
        if kind.is_custom() && is_unversioned && self.store().find(kind, namespace, name).is_some() {
            let why = "must be specified for an update";
            let cause = Cause::new(
                "metadata.resourceVersion",
                "FieldValueInvalid",
                format!("Invalid value: 0x0: {why}"),
            );
            return Err(Failure::invalid(kind, name, &[cause]));
        }
        self.change(kind, (namespace, name), subresource, is_dry, |_| Ok(object))
    }

    /// Applies a patch to an object, or with `status` only to that part of it.
    pub(crate) fn patch(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        subresource: &str,
        how: PatchKind,
        patch: &Value,
        is_dry: bool,
    ) -> Result<Arc<Value>, Failure> {
        let is_there = self.store().find(kind, namespace, name).is_some();
        if how == PatchKind::Apply && !is_there {
            let mut object = patch.clone();
            object["metadata"]["name"] = name.into();
            return self.create(kind, namespace, object, is_dry);
        }
        self.change(kind, (namespace, name), subresource, is_dry, |old| how.apply(kind, old, patch))
    }

    /// The one way in which an object changes: read, change, check, store, all at once.
    pub(crate) fn change(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        subresource: &str,
        is_dry: bool,
        change: impl FnOnce(&Value) -> Result<Value, Failure>,
    ) -> Result<Arc<Value>, Failure> {
        let stored = {
            let mut store = self.store();
            let Some(old) = store.find(kind, namespace, name).cloned() else {
                return Err(Failure::not_found(kind, name));
            };
            let mut new = change(&old)?;
            check_versions(kind, name, &old, &new)?;
            keep(kind, subresource, &old, &mut new);
            admission::defaults(kind, &mut new);
            let mut causes = validate::check(kind, &new);
            causes.extend(validate::check_update(kind, &old, &new));
            if !causes.is_empty() {
                return Err(Failure::invalid(kind, name, &causes));
            }
            check_size(&new)?;
            if is_dry {
                return Ok(Arc::new(new));
            }
            let stored = store.put(kind, new);
            let is_last = is_free(&stored) && stored["metadata"]["deletionTimestamp"].is_string();
            // a pod that is deleted waits for its kubelet, a namespace for what is in it
            let waits =
                stored["metadata"]["deletionGracePeriodSeconds"].as_i64() > Some(0) || kind == &NAMESPACES;
            if is_last && !waits {
                store.remove(kind, namespace, name);
            }
            if is_last {
                collect(&mut store, &self.kinds);
            }
            stored
        };
        self.tell();
        Ok(stored)
    }

    /// Deletes an object, at once or when it has ended.
    pub(crate) fn delete(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        options: &DeleteOptions,
    ) -> Result<Arc<Value>, Failure> {
        let deleted = {
            let mut store = self.store();
            let Some(object) = store.find(kind, namespace, name).cloned() else {
                return Err(Failure::not_found(kind, name));
            };
            check_preconditions(kind, name, &object, options)?;
            if options.dry_run.is_some() {
                return Ok(object);
            }
            let deleted = delete(&mut store, kind, &object, options, &self.kinds);
            collect(&mut store, &self.kinds);
            deleted
        };
        self.tell();
        Ok(deleted)
    }

    /// Changes a pod as the scheduler and the kubelet do, if it is still the same one.
    pub(crate) fn write_pod(
        &self,
        (namespace, name): (&str, &str),
        uid: &str,
        change: impl FnOnce(&mut Value),
    ) {
        {
            let mut store = self.store();
            let found = store.find(&PODS, namespace, name).filter(|pod| pod["metadata"]["uid"] == uid);
            let Some(mut pod) = found.map(|pod| Value::clone(pod)) else { return };
            change(&mut pod);
            store.put(&PODS, pod);
        }
        self.tell();
    }

    /// Takes a pod away that has ended, as its kubelet does.
    pub(crate) fn finish_pod(&self, namespace: &str, name: &str, uid: &str) {
        self.write_pod((namespace, name), uid, |pod| end_grace(&mut pod["metadata"]));
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteOptions::default()
        };
        // it may be gone already
        self.delete(&PODS, (namespace, name), &options).ok();
    }
}

/// Takes the grace away that is left, and moves the time of the deletion to that of its request.
fn end_grace(metadata: &mut Value) {
    let grace = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let due = metadata["deletionTimestamp"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    metadata["deletionGracePeriodSeconds"] = 0.into();
    if let Some(due) = due {
        metadata["deletionTimestamp"] = shown(due - jiff::SignedDuration::from_secs(grace)).into();
    }
}

/// Gives a new object what the server gives it.
fn begin(kind: &Kind, namespace: &str, object: &mut Value) -> Result<(), Failure> {
    if !object.is_object() || !(object["metadata"].is_object() || object["metadata"].is_null()) {
        return Err(Failure::bad_request("the request is not an object with metadata"));
    }
    for (field, expected) in [("kind", kind.kind), ("apiVersion", &kind.api_version())] {
        match object[field].as_str().unwrap_or_default() {
            "" => object[field] = expected.into(),
            given if given != expected => {
                let why = format!(
                    "{} in version {:?} cannot be handled as a {}: no kind {:?} is registered for it",
                    kind.kind, kind.version, kind.kind, given
                );
                return Err(Failure::bad_request(why));
            }
            _ => {}
        }
    }
    let metadata = &mut object["metadata"];
    if metadata["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
        return Err(Failure::unexplained("resourceVersion should not be set on objects to be created"));
    }
    if metadata["namespace"].as_str().is_some_and(|given| !given.is_empty() && given != namespace) {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Failure::bad_request(why));
    }
    if kind.is_namespaced {
        metadata["namespace"] = namespace.into();
    }
    let prefix = metadata["generateName"].as_str().unwrap_or_default();
    if metadata["name"].as_str().unwrap_or_default().is_empty() && !prefix.is_empty() {
        metadata["name"] = format!("{prefix}{}", random_ending()).into();
    }
    metadata["uid"] = uuid::Uuid::new_v4().to_string().into();
    metadata["creationTimestamp"] = now().into();
    if kind.has_status || kind.is_custom() {
        metadata["generation"] = 1.into();
    }
    if let Some(fields) = metadata.as_object_mut() {
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"] {
            fields.remove(field);
        }
        fields.retain(|_, value| !value.is_null());
    }
    if let (true, Some(fields)) = (kind.has_status, object.as_object_mut())
        && kind.kind != "Node"
    {
        fields.remove("status");
    }
    if kind.kind == "Secret"
        && let Some(texts) = object.as_object_mut().and_then(|fields| fields.remove("stringData"))
    {
        for (key, text) in texts.as_object().into_iter().flatten() {
            let bytes = text.as_str().unwrap_or_default();
            object["data"][key] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
        }
    }
    Ok(())
}

fn check_namespace(store: &Store, kind: &Kind, namespace: &str, name: &str) -> Result<(), Failure> {
    let Some(found) = store.find(&NAMESPACES, "", namespace) else {
        return Err(Failure::not_found(&NAMESPACES, namespace));
    };
    if found["metadata"]["deletionTimestamp"].is_string() {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut failure = Failure::forbidden(kind, name, &why);
        failure.details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        return Err(failure);
    }
    Ok(())
}

fn check_size(object: &Value) -> Result<(), Failure> {
    let is_large = serde_json::to_string(object).is_ok_and(|text| text.len() > OBJECT_LIMIT);
    if is_large { Err(Failure::unexplained("etcdserver: request is too large")) } else { Ok(()) }
}

/// A change that was made to another version or another object is refused.
fn check_versions(kind: &Kind, name: &str, old: &Value, new: &Value) -> Result<(), Failure> {
    let given = |field: &str| new["metadata"][field].as_str().filter(|text| !text.is_empty());
    if let Some(uid) = given("uid").filter(|uid| old["metadata"]["uid"] != **uid) {
        let has = old["metadata"]["uid"].as_str().unwrap_or_default();
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {has}");
        return Err(Failure::conflict(kind, name, &why));
    }
    match given("resourceVersion") {
        Some(version) if old["metadata"]["resourceVersion"] != *version => Err(Failure::modified(kind, name)),
        _ => Ok(()),
    }
}

fn check_preconditions(
    kind: &Kind,
    name: &str,
    object: &Value,
    options: &DeleteOptions,
) -> Result<(), Failure> {
    let Some(conditions) = &options.preconditions else { return Ok(()) };
    let has = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    if let Some(uid) = conditions.uid.as_deref().filter(|uid| *uid != has("uid")) {
        let why =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", has("uid"));
        return Err(Failure::conflict(kind, name, &why));
    }
    if let Some(version) = conditions.resource_version.as_deref().filter(|it| *it != has("resourceVersion")) {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
            has("resourceVersion")
        );
        return Err(Failure::conflict(kind, name, &why));
    }
    Ok(())
}

/// Puts back what an update through this door does not change.
fn keep(kind: &Kind, subresource: &str, old: &Value, new: &mut Value) {
    let mut kept = vec![
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
    ];
    for field in ["kind", "apiVersion"] {
        new[field] = old[field].clone();
    }
    if subresource == "status" {
        let fields = old.as_object().into_iter().flatten();
        for (field, value) in fields.filter(|(field, _)| !matches!(field.as_str(), "status" | "metadata")) {
            new[field] = value.clone();
        }
        kept.push("ownerReferences");
        if kind.is_custom() {
            new["metadata"] = old["metadata"].clone();
        }
    } else if kind.has_status {
        new["status"] = old["status"].clone();
    }
    let content = |object: &Value| {
        let fields = object.as_object().into_iter().flatten();
        let is_content = |field: &str| !matches!(field, "metadata" | "status");
        fields
            .filter(|(field, _)| is_content(field))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect()
    };
    let (before, after): (Map<String, Value>, Map<String, Value>) = (content(old), content(new));
    let is_changed = (kind.has_status || kind.is_custom()) && before != after;
    for field in kept {
        new["metadata"][field] = old["metadata"][field].clone();
    }
    if is_changed {
        new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
    }
    if let Some(fields) = new["metadata"].as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    if let Some(fields) = new.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}

/// What every namespace has from its beginning.
fn furnish_namespace(store: &mut Store, name: &str, ca_pem: &str) {
    let metadata = |own: &str| {
        let uid = uuid::Uuid::new_v4().to_string();
        json!({"name": own, "namespace": name, "uid": uid, "creationTimestamp": now()})
    };
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("default")});
    store.put(&SERVICE_ACCOUNTS, account);
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("kube-root-ca.crt"), "data": {"ca.crt": ca_pem},
    });
    store.put(&Kind::new("", "v1", "configmaps", "ConfigMap"), map);
}
