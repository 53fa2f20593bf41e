//! Operations on objects of any kind: create, update, patch, delete, and garbage collection.

use crate::admission;
use crate::cluster::Cluster;
use crate::custom::definition::CustomKind;
use crate::custom::{schema, validation};
use crate::deletion::{DeleteOptions, Preconditions, collect, delete, is_free};
use crate::failure::{Cause, Failure};
use crate::field_owner::{self, Operation, Writer};
use crate::kind::{Kind, NAMESPACES, PODS};
use crate::list_type::ListTypes;
use crate::patch::PatchKind;
use crate::store::name_of;
use crate::validate;
use crate::write_rules::{
    check_namespace, check_preconditions, check_size, check_versions, create_namespace_objects, end_grace,
    finalizer_warnings, restore_fixed_fields, set_server_fields,
};
use serde_json::Value;
use std::sync::Arc;

/// A stored object, and the warnings about its write.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Arc<Value>,
    pub(crate) warnings: Vec<String>,
}

impl Cluster {
    /// Creates an object for the cluster itself.
    pub(crate) fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        object: Value,
        is_dry: bool,
    ) -> Result<Arc<Value>, Failure> {
        Ok(self.create_as(kind, namespace, object, is_dry, None)?.object)
    }

    /// Creates an object for a field manager, which then owns its fields.
    pub(crate) fn create_as(
        &self,
        kind: &Kind,
        namespace: &str,
        mut object: Value,
        is_dry: bool,
        writer: Option<&Writer>,
    ) -> Result<Written, Failure> {
        let sent = object.clone();
        set_server_fields(kind, namespace, &mut object)?;
        let name = name_of(&object).1;
        let served = self.served();
        let custom = served.custom(kind);
        if custom.is_some_and(|custom| custom.is_terminating) {
            return Err(Failure::terminating_kind());
        }
        let mut warnings = conform(kind, custom, writer, &mut object)?;
        warnings.extend(finalizer_warnings(kind, None, &object));
        let stored = {
            let mut store = self.store();
            admission::defaults(kind, &mut object);
            if let Some(writer) = writer {
                field_owner::create(lists(custom), &sent, &mut object, writer);
            }
            if kind.is_namespaced {
                check_namespace(&store, kind, namespace, &name)?;
            }
            if kind == &PODS {
                let webhook = self.switches().webhook;
                admission::admit_pod(&store, webhook, namespace, &mut object)?;
            }
            let mut causes = validate::check(kind, &object);
            causes.extend(custom.into_iter().flat_map(|custom| validation::check(&custom.schema, &object)));
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
                return Ok(Written { object: Arc::new(object), warnings });
            }
            let stored = store.put(kind, object);
            if kind == &NAMESPACES {
                create_namespace_objects(&mut store, &name, &self.ca_pem);
            }
            if stored["metadata"]["ownerReferences"].is_array() {
                // its owner may be deleted already
                collect(&mut store, &served.kinds);
            }
            stored
        };
        self.notify();
        Ok(Written { object: stored, warnings })
    }

    /// Replaces an object, or only its `status`.
    pub(crate) fn replace(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        object: Value,
        is_dry: bool,
        writer: &Writer,
    ) -> Result<Written, Failure> {
        let given = object["metadata"]["name"].as_str().unwrap_or(name);
        if given != name {
            let why = format!("the name of the object ({given}) does not match the name on the URL ({name})");
            return Err(Failure::bad_request(why));
        }
        let is_unversioned = object["metadata"]["resourceVersion"].as_str().is_none_or(str::is_empty);
        let needs_version = !kind.has_unconditional_updates();
        if needs_version && is_unversioned && self.store().find(kind, namespace, name).is_some() {
            let why = "must be specified for an update";
            let cause = Cause::new(
                "metadata.resourceVersion",
                "FieldValueInvalid",
                format!("Invalid value: 0x0: {why}"),
            );
            // the message has the name of the resource instead of the kind
            return Err(Failure::invalid(&Kind { kind: kind.resource, ..*kind }, name, &[cause]));
        }
        self.change_as(kind, (namespace, name), &writer.subresource, is_dry, Some(writer), |_| Ok(object))
    }

    /// Patches an object, or only its `status`.
    pub(crate) fn patch(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        how: PatchKind,
        patch: &Value,
        is_dry: bool,
        writer: &Writer,
    ) -> Result<Written, Failure> {
        let is_there = self.store().find(kind, namespace, name).is_some();
        if how == PatchKind::Apply && !is_there && writer.subresource.is_empty() {
            let mut object = patch.clone();
            object["metadata"]["name"] = name.into();
            return self.create_as(kind, namespace, object, is_dry, Some(writer));
        }
        let served = self.served();
        let custom = served.custom(kind);
        self.change_as(kind, (namespace, name), &writer.subresource, is_dry, Some(writer), |old| {
            if how == PatchKind::Apply {
                let conflicts = |conflicts: Vec<_>| Failure::not_owned(kind, &conflicts);
                return field_owner::apply(lists(custom), old, patch, writer).map_err(conflicts);
            }
            how.apply(kind, old, patch)
        })
    }

    /// Changes an object for the cluster itself.
    pub(crate) fn change(
        &self,
        kind: &Kind,
        place: (&str, &str),
        subresource: &str,
        is_dry: bool,
        change: impl FnOnce(&Value) -> Result<Value, Failure>,
    ) -> Result<Arc<Value>, Failure> {
        Ok(self.change_as(kind, place, subresource, is_dry, None, change)?.object)
    }

    /// Reads, changes, checks and stores an object under one lock. Every change takes this path.
    fn change_as(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        subresource: &str,
        is_dry: bool,
        writer: Option<&Writer>,
        change: impl FnOnce(&Value) -> Result<Value, Failure>,
    ) -> Result<Written, Failure> {
        let served = self.served();
        let custom = served.custom(kind);
        let (stored, warnings) = {
            let mut store = self.store();
            let Some(old) = store.find(kind, namespace, name).cloned() else {
                return Err(Failure::not_found(kind, name));
            };
            let mut new = change(&old)?;
            check_versions(kind, name, &old, &new)?;
            let mut warnings = conform(kind, custom, writer, &mut new)?;
            restore_fixed_fields(kind, subresource, &old, &mut new);
            warnings.extend(finalizer_warnings(kind, Some(&old), &new));
            if let Some(writer) = writer.filter(|writer| writer.operation == Operation::Update) {
                field_owner::update(lists(custom), &old, &mut new, writer);
            }
            admission::defaults(kind, &mut new);
            let mut causes = validate::check(kind, &new);
            causes.extend(validate::check_update(kind, &old, &new));
            if let Some(custom) = custom {
                // faults that the object had already do not refuse other changes
                let known = validation::check(&custom.schema, &old);
                let found = validation::check(&custom.schema, &new);
                causes.extend(found.into_iter().filter(|cause| !known.contains(cause)));
            }
            if !causes.is_empty() {
                return Err(Failure::invalid(kind, name, &causes));
            }
            check_size(&new)?;
            if is_dry {
                return Ok(Written { object: Arc::new(new), warnings });
            }
            let is_last = is_free(&new) && new["metadata"]["deletionTimestamp"].is_string();
            // a deleted pod waits for its kubelet, a namespace for its objects
            let waits =
                new["metadata"]["deletionGracePeriodSeconds"].as_i64() > Some(0) || kind == &NAMESPACES;
            let stored = if is_last && !waits {
                // the write becomes a deletion: watchers see only that, with the object before the write
                store.remove(kind, namespace, name);
                Arc::new(new)
            } else {
                store.put(kind, new)
            };
            if is_last {
                collect(&mut store, &served.kinds);
            }
            (stored, warnings)
        };
        self.notify();
        Ok(Written { object: stored, warnings })
    }

    /// Deletes an object, at once or after its grace.
    pub(crate) fn delete(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        options: &DeleteOptions,
    ) -> Result<Arc<Value>, Failure> {
        let served = self.served();
        let deleted = {
            let mut store = self.store();
            let Some(object) = store.find(kind, namespace, name).cloned() else {
                return Err(Failure::not_found(kind, name));
            };
            check_preconditions(kind, name, &object, options)?;
            if options.dry_run.is_some() {
                return Ok(object);
            }
            let deleted = delete(&mut store, kind, &object, options, &served.kinds);
            collect(&mut store, &served.kinds);
            deleted
        };
        self.notify();
        Ok(deleted)
    }

    /// Changes a pod for the scheduler or the kubelet, unless another pod has its name.
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
        self.notify();
    }

    /// Removes a pod that has ended, for its kubelet.
    pub(crate) fn finish_pod(&self, namespace: &str, name: &str, uid: &str) {
        self.write_pod((namespace, name), uid, |pod| end_grace(&mut pod["metadata"]));
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteOptions::default()
        };
        // it may be deleted already
        self.delete(&PODS, (namespace, name), &options).ok();
    }
}

/// How lists of a kind are merged.
fn lists(custom: Option<&CustomKind>) -> ListTypes<'_> {
    custom.map_or(ListTypes::by_name(), |custom| ListTypes::of_schema(&custom.schema))
}

/// Sets the defaults and prunes the unknown fields of a custom resource. Returns the warnings.
fn conform(
    kind: &Kind,
    custom: Option<&CustomKind>,
    writer: Option<&Writer>,
    object: &mut Value,
) -> Result<Vec<String>, Failure> {
    let unknown = custom.map(|custom| schema::conform(&custom.schema, object)).unwrap_or_default();
    let is_apply = writer.is_some_and(|writer| writer.operation == Operation::Apply);
    if is_apply && !unknown.is_empty() {
        return Err(Failure::undeclared_fields(kind, &name_of(object), &unknown));
    }
    let is_strict = writer.is_some_and(|writer| writer.is_strict);
    if is_strict && !unknown.is_empty() {
        return Err(Failure::unknown_fields(kind, &unknown));
    }
    Ok(unknown.iter().map(|path| format!("unknown field {path:?}")).collect())
}
