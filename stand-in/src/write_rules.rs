//! The rules of every write: fields that the server sets, fields that a client may change, and refusals. Pure.

use crate::admission::random_suffix;
use crate::cluster::{now, timestamp};
use crate::deletion::DeleteOptions;
use crate::failure::Failure;
use crate::kind::{Kind, NAMESPACES, SERVICE_ACCOUNTS};
use crate::store::Store;
use base64::Engine as _;
use serde_json::{Map, Value, json};

/// The largest stored object, in bytes.
const OBJECT_LIMIT: usize = 3 * 512 * 1024;

/// Drops the remaining grace, and sets the deletion time back to that of the request.
pub(crate) fn end_grace(metadata: &mut Value) {
    let grace = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let due = metadata["deletionTimestamp"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    metadata["deletionGracePeriodSeconds"] = 0.into();
    if let Some(due) = due {
        metadata["deletionTimestamp"] = timestamp(due - jiff::SignedDuration::from_secs(grace)).into();
    }
}

/// Sets the fields of a new object that the server sets.
pub(crate) fn set_server_fields(kind: &Kind, namespace: &str, object: &mut Value) -> Result<(), Failure> {
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
        metadata["name"] = format!("{prefix}{}", random_suffix()).into();
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

pub(crate) fn check_namespace(
    store: &Store,
    kind: &Kind,
    namespace: &str,
    name: &str,
) -> Result<(), Failure> {
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

pub(crate) fn check_size(object: &Value) -> Result<(), Failure> {
    let is_large = serde_json::to_string(object).is_ok_and(|text| text.len() > OBJECT_LIMIT);
    if is_large { Err(Failure::unexplained("etcdserver: request is too large")) } else { Ok(()) }
}

/// Refuses a change based on another version or another object.
pub(crate) fn check_versions(kind: &Kind, name: &str, old: &Value, new: &Value) -> Result<(), Failure> {
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

pub(crate) fn check_preconditions(
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

/// Restores the fields that an update through this subresource cannot change.
pub(crate) fn restore_fixed_fields(kind: &Kind, subresource: &str, old: &Value, new: &mut Value) {
    // field owners are set by each kind of write separately
    let owners = new["metadata"]["managedFields"].take();
    let mut fixed = vec![
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
        fixed.push("ownerReferences");
        if kind.is_custom() {
            new["metadata"] = old["metadata"].clone();
        }
    } else if kind.has_status {
        new["status"] = old["status"].clone();
    }
    let content = |object: &Value| {
        let fields = object.as_object().into_iter().flatten();
        // without a subresource, the status is content like any other field
        let has_own_status = kind.has_status || !kind.is_custom();
        let is_content = |field: &str| field != "metadata" && (field != "status" || !has_own_status);
        fields
            .filter(|(field, _)| is_content(field))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect()
    };
    let (before, after): (Map<String, Value>, Map<String, Value>) = (content(old), content(new));
    let is_changed = (kind.has_status || kind.is_custom()) && before != after;
    for field in fixed {
        new["metadata"][field] = old["metadata"][field].clone();
    }
    if is_changed {
        new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
    }
    new["metadata"]["managedFields"] = owners;
    if let Some(fields) = new["metadata"].as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    if let Some(fields) = new.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}

/// Warnings about new finalizers without a domain.
pub(crate) fn finalizer_warnings(kind: &Kind, old: Option<&Value>, new: &Value) -> Vec<String> {
    let has = |object: Option<&Value>, finalizer: &Value| {
        let finalizers = object.and_then(|object| object["metadata"]["finalizers"].as_array());
        finalizers.is_some_and(|finalizers| finalizers.contains(finalizer))
    };
    let finalizers = new["metadata"]["finalizers"].as_array().into_iter().flatten();
    let added =
        finalizers.filter(|finalizer| kind.is_custom() && !has(old, finalizer)).filter_map(Value::as_str);
    let standard = ["orphan", "foregroundDeletion", "kubernetes"];
    added
        .filter(|finalizer| !finalizer.contains('/') && !standard.contains(finalizer))
        .map(|finalizer| {
            format!(
                "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name including a path (/) to \
                 avoid accidental conflicts with other finalizer writers"
            )
        })
        .collect()
}

/// Creates the objects that every namespace has.
pub(crate) fn create_namespace_objects(store: &mut Store, name: &str, ca_pem: &str) {
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
