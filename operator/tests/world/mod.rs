//! A tiny API server in memory.

use pop_operator::{ObjectId, OperatorConfig, Write, controller_of, is_deleting, metadata_text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Why a request was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    Conflict,
    Immutable,
}

/// The objects of a namespace.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) objects: BTreeMap<ObjectId, Value>,
    last: u64,
    /// Whether it rewrites quantities and prunes unknown fields.
    pub(crate) rewrites: bool,
}

impl Server {
    fn next(&mut self) -> String {
        self.last += 1;
        self.last.to_string()
    }

    /// Creates an object.
    pub(crate) fn create(&mut self, object: &Value) -> Result<Value, Refusal> {
        let id = ObjectId::of(object).unwrap();
        if self.objects.contains_key(&id) {
            return Err(Refusal::Conflict);
        }
        let mut object = self.as_stored(object);
        object["metadata"]["uid"] = format!("uid-{}", self.next()).into();
        object["metadata"]["resourceVersion"] = self.next().into();
        object["metadata"]["generation"] = 1.into();
        self.objects.insert(id, object.clone());
        Ok(object)
    }

    /// Replaces an object, or only tries to.
    fn replace(&mut self, object: &Value, is_dry: bool) -> Result<Value, Refusal> {
        let id = ObjectId::of(object).unwrap();
        let seen = self.objects.get(&id).ok_or(Refusal::NotFound)?.clone();
        if object["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"] {
            return Err(Refusal::Conflict);
        }
        for key in ["uid", "generation", "deletionTimestamp"] {
            assert_eq!(object["metadata"][key], seen["metadata"][key], "{key} changes");
        }
        let mut new = self.as_stored(object);
        if id.kind.kind == "Pod" && new["spec"]["image"] != seen["spec"]["image"] {
            return Err(Refusal::Immutable);
        }
        // a write that changes nothing makes no new version
        if new != seen && !is_dry {
            new["metadata"]["resourceVersion"] = self.next().into();
            if new["spec"] != seen["spec"] {
                new["metadata"]["generation"] = (seen["metadata"]["generation"].as_i64().unwrap() + 1).into();
            }
            self.objects.insert(id, new.clone());
        }
        Ok(new)
    }

    fn replace_status(&mut self, object: &Value) -> Result<Value, Refusal> {
        let id = ObjectId::of(object).unwrap();
        let mut new = self.objects.get(&id).ok_or(Refusal::NotFound)?.clone();
        new["status"] = object["status"].clone();
        new["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
        self.replace(&new, false)
    }

    /// Asks to delete an object. A pod, and an object with finalizers, stays for a while.
    pub(crate) fn delete(&mut self, id: &ObjectId, uid: Option<&str>) -> Result<(), Refusal> {
        let version = self.next();
        let object = self.objects.get_mut(id).ok_or(Refusal::NotFound)?;
        if uid.is_some_and(|uid| metadata_text(object, "uid") != Some(uid)) {
            return Err(Refusal::Conflict);
        }
        if id.kind.kind != "Pod" && !has_finalizers(object) {
            self.objects.remove(id);
        } else if !is_deleting(object) {
            object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            object["metadata"]["resourceVersion"] = version.into();
            // a deletion raises the generation
            object["metadata"]["generation"] =
                (object["metadata"]["generation"].as_i64().unwrap() + 1).into();
        }
        Ok(())
    }

    /// What happens by itself: what is being deleted without finalizers goes, and so does what has lost its owner.
    pub(crate) fn tick(&mut self) {
        self.objects.retain(|_, object| !is_deleting(object) || has_finalizers(object));
        let uids: Vec<String> =
            self.objects.values().map(|object| metadata_text(object, "uid").unwrap().to_owned()).collect();
        let has_lost_its_owner = |object: &Value| {
            let owner = controller_of(object).and_then(|owner| owner["uid"].as_str());
            owner.is_some_and(|owner| !uids.iter().any(|uid| uid == owner))
        };
        let lost = self.objects.iter().filter(|(_, object)| has_lost_its_owner(object));
        let lost: Vec<ObjectId> = lost.map(|(id, _)| id.clone()).collect();
        for id in lost {
            self.delete(&id, None).unwrap();
        }
    }

    /// Performs a write of the operator.
    pub(crate) fn perform(&mut self, write: &Write) -> Result<Value, Refusal> {
        match write {
            Write::Create(write) => self.create(&write.object),
            Write::Replace(write) => self.replace(&write.object, false),
            Write::Probe(write) => self.replace(&write.object, true),
            Write::ReplaceStatus(write) => self.replace_status(&write.object),
            Write::Delete { id, uid, .. } => self.delete(id, Some(uid)).map(|()| Value::Null),
            Write::PatchFinalizers { id, patch } => {
                let mut object = self.objects.get(id).ok_or(Refusal::NotFound)?.clone();
                for (key, value) in patch["metadata"].as_object().unwrap() {
                    object["metadata"][key] = value.clone();
                }
                self.replace(&object, false)
            }
        }
    }

    /// The objects of an operator's kinds.
    pub(crate) fn children(&self, config: &OperatorConfig) -> Vec<Value> {
        let is_child = |id: &ObjectId| config.child_of(&id.kind).is_some();
        self.objects.iter().filter(|(id, _)| is_child(id)).map(|(_, object)| object.clone()).collect()
    }

    /// An edit by others.
    pub(crate) fn edit(&mut self, id: &ObjectId, edit: impl FnOnce(&mut Value)) {
        let mut object = self.objects[id].clone();
        edit(&mut object);
        let new = self.as_stored(&object);
        if new != self.objects[id] {
            let is_spec_new = new["spec"] != self.objects[id]["spec"];
            let version = self.next();
            let object = self.objects.get_mut(id).unwrap();
            let generation = object["metadata"]["generation"].as_i64().unwrap();
            *object = new;
            object["metadata"]["resourceVersion"] = version.into();
            object["metadata"]["generation"] = (generation + i64::from(is_spec_new)).into();
        }
    }

    fn as_stored(&self, object: &Value) -> Value {
        let mut object = object.clone();
        for content in ["spec", "data", "status"] {
            let Some(fields) = object.get_mut(content).and_then(Value::as_object_mut) else { continue };
            fields.retain(|_, value| !value.is_null());
            if content == "spec" {
                fields.entry("defaulted").or_insert(json!(true));
            }
            if self.rewrites {
                if fields.get("cpu") == Some(&json!("0.1")) {
                    fields.insert("cpu".to_owned(), json!("100m"));
                }
                fields.remove("unknown");
            }
        }
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.retain(|_, value| !value.is_null() && *value != json!([]) && *value != json!({}));
        object
    }
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|names| !names.is_empty())
}
