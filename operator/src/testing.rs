//! A test kit for handlers: a cluster in memory.
//!
//! [`World`] creates parents, syncs them with a handler until nothing changes, and shows parents and children. It tells
//! when a handler never settles, for example because a child has the time in it.
//!
//! ```
//! use pop_operator::testing::World;
//! use pop_operator::{Error, KindConfig, OperatorConfig, Strategy, SyncRequest, SyncResponse};
//! use serde_json::json;
//!
//! fn sync(request: &SyncRequest) -> Result<SyncResponse, Error> {
//!     let mut response = SyncResponse::from_status(json!({"children": request.children.len()}))?;
//!     response.add_child(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": request.parent["spec"],
//!         "metadata": {"name": request.parent_name(), "namespace": request.parent_namespace()}}))?;
//!     Ok(response)
//! }
//!
//! let config = OperatorConfig::new("demo", KindConfig::namespaced("x.dev/v1", "Site", "sites"))
//!     .child(KindConfig::namespaced("v1", "ConfigMap", "configmaps"), Strategy::Replace);
//! let mut world = World::new(config);
//! world.create_parent("a", &json!({"colour": "red"}));
//! world.settle(&sync)?;
//! assert_eq!(world.child("ConfigMap", "a").ok_or("no child")?["data"]["colour"], "red");
//! assert_eq!(world.parent("a").ok_or("no parent")?["status"]["children"], 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::handler::{Handler, SyncRequest};
use crate::kinds::OperatorConfig;
use crate::object::{GroupKind, ObjectId, controller_of, is_deleting, metadata_text};
use crate::reconcile::reconcile;
use crate::settle::SettleGuard;
use crate::write::Write;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Namespace of all parents that are not of the cluster.
pub const NAMESPACE: &str = "test";
/// Passes over a parent after which its handler counts as restless.
const MOST_PASSES: usize = 30;

/// Why a world is not as its handler wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSettled {
    /// The handler or one of its writes failed.
    #[error("the sync of `{parent}` failed: {message}")]
    Failed {
        /// Name of the parent.
        parent: String,
        /// Reason.
        message: String,
    },
    /// Each pass changes something.
    #[error("`{parent}` never settles: each pass writes {}; use no times or random values in a child", .writes.join(", "))]
    Restless {
        /// Name of the parent.
        parent: String,
        /// What the last pass wrote.
        writes: Vec<String>,
    },
}

/// A cluster in memory, with the objects of one operator.
#[derive(Debug)]
pub struct World {
    config: OperatorConfig,
    objects: BTreeMap<ObjectId, Value>,
    errors: BTreeMap<String, u32>,
    last_failures: BTreeMap<String, String>,
    last: u64,
}

impl World {
    /// An empty cluster.
    pub fn new(config: OperatorConfig) -> Self {
        Self {
            config,
            objects: BTreeMap::new(),
            errors: BTreeMap::new(),
            last_failures: BTreeMap::new(),
            last: 0,
        }
    }

    /// Creates a parent. One of this name must not exist.
    pub fn create_parent(&mut self, name: &str, spec: &Value) {
        let mut parent = json!({
            "apiVersion": self.config.parent.api_version, "kind": self.config.parent.kind,
            "metadata": {"name": name}, "spec": spec,
        });
        if self.config.parent.is_namespaced {
            parent["metadata"]["namespace"] = NAMESPACE.into();
        }
        // an object with a name is created
        self.create(&parent).ok();
    }

    /// Changes the spec of a parent.
    pub fn edit_parent(&mut self, name: &str, spec: &Value) {
        let version = self.next();
        if let Some(parent) = self.find_mut(&self.config.parent.group_kind(), name) {
            parent["spec"] = spec.clone();
            parent["metadata"]["resourceVersion"] = version.into();
            raise_generation(parent);
        }
    }

    /// Asks to delete a parent. It goes when its finalizer is removed, and its children go with it.
    pub fn delete_parent(&mut self, name: &str) {
        self.delete(&self.config.parent.group_kind(), name);
    }

    /// Deletes a child, as somebody else would.
    pub fn delete_child(&mut self, kind: &str, name: &str) {
        if let Some(kind) = self.kind(kind) {
            self.delete(&kind, name);
        }
    }

    /// Sets the status of a child, as its controller would.
    pub fn set_status(&mut self, kind: &str, name: &str, status: &Value) {
        let version = self.next();
        let Some(kind) = self.kind(kind) else { return };
        if let Some(child) = self.find_mut(&kind, name) {
            child["status"] = status.clone();
            child["metadata"]["resourceVersion"] = version.into();
        }
    }

    /// The parent of this name.
    pub fn parent(&self, name: &str) -> Option<&Value> {
        self.find(&self.config.parent.group_kind(), name)
    }

    /// The child of a kind (`Pod`, `Deployment.apps`) and a name.
    pub fn child(&self, kind: &str, name: &str) -> Option<&Value> {
        self.find(&self.kind(kind)?, name)
    }

    /// Number of failed syncs of a parent.
    pub fn errors(&self, parent: &str) -> u32 {
        self.errors.get(parent).copied().unwrap_or_default()
    }

    /// Syncs all parents until nothing changes. Times are passed over: a `finalize` that asks to be called again is
    /// called at once.
    pub fn settle(&mut self, handler: &dyn Handler) -> Result<(), NotSettled> {
        let mut settled = BTreeSet::new();
        loop {
            self.collect_garbage();
            let parent_kind = self.config.parent.group_kind();
            let is_open = |id: &&ObjectId| id.kind == parent_kind && !settled.contains(*id);
            let Some(parent) = self.objects.keys().find(is_open).cloned() else { return Ok(()) };
            self.settle_parent(&parent, handler)?;
            settled.insert(parent);
        }
    }

    fn settle_parent(&mut self, id: &ObjectId, handler: &dyn Handler) -> Result<(), NotSettled> {
        let mut guard = SettleGuard::default();
        let mut last = Vec::new();
        for _ in 0..MOST_PASSES {
            let Some(parent) = self.objects.get(id).cloned() else { return Ok(()) };
            let children = self.objects.values().filter(|object| *object != &parent).cloned().collect();
            let mut request = SyncRequest::observe(&self.config, parent, children);
            request.failures = self.errors(&id.name);
            request.last_failure = self.last_failures.remove(&id.name);
            let pass = match reconcile(&self.config, handler, &request, &guard) {
                Ok(pass) => pass,
                Err(error) => return Err(self.fail(id, error.to_string())),
            };
            last.clear();
            for write in &pass.writes {
                match self.perform(write) {
                    Ok(answer) => {
                        if answer.is_some() {
                            last.push(words(write));
                        }
                        guard.record_answer(write, answer.as_ref().unwrap_or(&Value::Null));
                    }
                    Err(message) => return Err(self.fail(id, message)),
                }
            }
            self.collect_garbage();
            let is_finalizing = self.objects.get(id).is_some_and(is_deleting);
            let is_at_rest =
                last.is_empty() && !pass.writes.iter().any(|write| matches!(write, Write::Probe(_)));
            if is_at_rest && !(is_finalizing && pass.again_after.is_some()) {
                return Ok(());
            }
        }
        Err(NotSettled::Restless { parent: id.name.clone(), writes: last })
    }

    fn fail(&mut self, id: &ObjectId, message: String) -> NotSettled {
        *self.errors.entry(id.name.clone()).or_default() += 1;
        self.last_failures.insert(id.name.clone(), message.clone());
        NotSettled::Failed { parent: id.name.clone(), message }
    }

    /// Performs a write. Returns the new object, or none if nothing has changed.
    fn perform(&mut self, write: &Write) -> Result<Option<Value>, String> {
        match write {
            Write::Create(write) => self.create(&write.object).map(Some),
            Write::Replace(write) => self.replace(&write.id, &write.object, false),
            Write::ReplaceStatus(write) => self.replace(&write.id, &write.object, true),
            Write::Probe(_) => Ok(None),
            Write::Delete { id, .. } => {
                self.delete(&id.kind.clone(), &id.name);
                Ok(Some(Value::Null))
            }
            Write::PatchFinalizers { id, patch } => {
                let version = self.next();
                let Some(object) = self.objects.get_mut(id) else { return Err(format!("{id} is not there")) };
                object["metadata"]["finalizers"] = patch["metadata"]["finalizers"].clone();
                object["metadata"]["resourceVersion"] = version.into();
                Ok(Some(object.clone()))
            }
        }
    }

    fn create(&mut self, object: &Value) -> Result<Value, String> {
        let Some(id) = ObjectId::of(object) else { return Err("an object without kind or name".to_owned()) };
        if self.objects.contains_key(&id) {
            return Err(format!("{id} is there already and belongs to somebody else"));
        }
        let mut object = object.clone();
        object["metadata"]["uid"] = format!("uid-{}", self.next()).into();
        object["metadata"]["resourceVersion"] = self.next().into();
        object["metadata"]["generation"] = 1.into();
        self.objects.insert(id, object.clone());
        Ok(object)
    }

    fn replace(&mut self, id: &ObjectId, object: &Value, is_status: bool) -> Result<Option<Value>, String> {
        let Some(seen) = self.objects.get(id) else { return Err(format!("{id} is not there")) };
        let mut new = if is_status { seen.clone() } else { object.clone() };
        if is_status {
            new["status"] = object["status"].clone();
        }
        if new == *seen {
            return Ok(None);
        }
        if new["spec"] != seen["spec"] {
            raise_generation(&mut new);
        }
        new["metadata"]["resourceVersion"] = self.next().into();
        self.objects.insert(id.clone(), new.clone());
        Ok(Some(new))
    }

    fn delete(&mut self, kind: &GroupKind, name: &str) {
        let version = self.next();
        let Some(object) = self.find_mut(kind, name) else { return };
        if !is_deleting(object) {
            object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            object["metadata"]["resourceVersion"] = version.into();
            raise_generation(object);
        }
        self.collect_garbage();
    }

    /// What is deleted without finalizers goes, and so does what has lost its owner.
    fn collect_garbage(&mut self) {
        loop {
            let uids: BTreeSet<String> = self
                .objects
                .values()
                .filter_map(|object| metadata_text(object, "uid"))
                .map(str::to_owned)
                .collect();
            let stays = |object: &Value| {
                let owner = controller_of(object).and_then(|owner| owner.get("uid")?.as_str());
                let has_finalizers =
                    object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
                (!is_deleting(object) || has_finalizers) && owner.is_none_or(|owner| uids.contains(owner))
            };
            let before = self.objects.len();
            self.objects.retain(|_, object| stays(object));
            if self.objects.len() == before {
                return;
            }
        }
    }

    fn kind(&self, name: &str) -> Option<GroupKind> {
        let mut kinds = self.config.children.iter().map(|child| child.kind.group_kind());
        kinds.find(|kind| kind.is_named(name))
    }

    fn find(&self, kind: &GroupKind, name: &str) -> Option<&Value> {
        let mut all = self.objects.iter();
        all.find(|(id, _)| id.kind == *kind && id.name == name).map(|(_, object)| object)
    }

    fn find_mut(&mut self, kind: &GroupKind, name: &str) -> Option<&mut Value> {
        let mut all = self.objects.iter_mut();
        all.find(|(id, _)| id.kind == *kind && id.name == name).map(|(_, object)| object)
    }

    fn next(&mut self) -> String {
        self.last += 1;
        self.last.to_string()
    }
}

fn raise_generation(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
    object["metadata"]["generation"] = (generation + 1).into();
}

fn words(write: &Write) -> String {
    match write {
        Write::Create(write) => format!("{} (created)", write.id),
        Write::Replace(write) | Write::Probe(write) => format!("{} (replaced)", write.id),
        Write::ReplaceStatus(write) => format!("the status of {}", write.id),
        Write::Delete { id, .. } => format!("{id} (deleted)"),
        Write::PatchFinalizers { id, .. } => format!("the finalizers of {id}"),
    }
}
