//! Random worlds: whatever others do, the operator comes to rest, the world is as the handler wants it, and nothing of
//! others is lost.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod world;

use common::config;
use pop_operator::{
    Error, FinalizeResponse, Handler, ObjectId, Ownership, Path, ReconcileError, SettleGuard, SyncRequest,
    SyncResponse, Write, controller_of, differences, is_deleting, reconcile,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use world::{Refusal, Server};

const KINDS: [&str; 3] = ["ConfigMap", "Pod", "Secret"];
const PARENTS: [&str; 2] = ["one", "two"];

/// Maps `spec.children` of a parent to its children.
struct Mapper;

impl Handler for Mapper {
    fn sync(&self, request: &SyncRequest) -> Result<SyncResponse, Error> {
        let status = json!({"children": request.children.len(), "unknown": true});
        let mut response = SyncResponse::from_status(status)?;
        for child in wanted(&request.parent) {
            response.add_child(child)?;
        }
        Ok(response)
    }

    fn finalize(&self, request: &SyncRequest) -> Result<FinalizeResponse, Error> {
        if request.children_of_kind("Pod").next().is_none() {
            return Ok(FinalizeResponse::done());
        }
        let others = wanted(&request.parent).into_iter().filter(|child| child["kind"] != "Pod").collect();
        let response = FinalizeResponse::retry(Duration::from_secs(2)).with_children(others);
        response.with_status(json!({"phase": "leaving"}))
    }
}

fn wanted(parent: &Value) -> Vec<Value> {
    parent["spec"]["children"].as_array().cloned().unwrap_or_default()
}

fn content_of(kind: &str) -> &'static str {
    if kind == "Pod" { "spec" } else { "data" }
}

/// A desired child of the parent at this index. The bits choose its fields, the two highest ones their values.
fn desired(parent: usize, kind: usize, name: u8, bits: u8) -> Value {
    let values = bits >> 6;
    let fields = [
        ("image", json!(format!("i{values}"))),
        ("cpu", json!("0.1")),
        ("unknown", json!({"a": 1})),
        ("list", json!([{"name": "b", "x": values}, {"name": format!("c{values}"), "y": null}])),
        ("args", json!(vec!["a"; usize::from(values)])),
        ("nothing", Value::Null),
    ];
    let content: serde_json::Map<String, Value> = (0..)
        .zip(fields)
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .map(|(_, (key, value))| (key.to_owned(), value))
        .collect();
    let name = format!("{}-{name}", PARENTS[parent]);
    json!({"apiVersion": "v1", "kind": KINDS[kind], "metadata": {"name": name, "namespace": "n"},
        content_of(KINDS[kind]): content})
}

#[derive(Debug, Clone, Copy)]
enum Edit {
    AddField,
    AddLabel,
    AddFinalizer,
    RemoveFinalizers,
    ChangeOurField,
    RemoveOurField,
    RemoveLabels,
    RemoveOwners,
    RemoveAnnotations,
    AddItem,
    Delete,
}

#[derive(Debug, Clone)]
enum Event {
    /// The author of a parent changes what should exist. A missing parent is made.
    SetSpec(usize, Vec<(usize, u8, u8)>),
    DeleteParent(usize),
    /// Others do something to an object.
    Edit(u8, Edit),
    /// An object of others appears, perhaps with the name of a future child.
    Foreign(usize, u8, bool),
    /// One pass over a parent, perhaps as it was seen at the pass before.
    Pass(usize, bool),
    /// The operator starts again and has forgotten everything.
    Restart,
    Tick,
}

fn event() -> impl Strategy<Value = Event> {
    use Edit::{
        AddField, AddFinalizer, AddItem, AddLabel, ChangeOurField, Delete, RemoveAnnotations,
        RemoveFinalizers, RemoveLabels, RemoveOurField, RemoveOwners,
    };
    let edit = prop::sample::select(vec![
        AddField,
        AddLabel,
        AddFinalizer,
        AddItem,
        ChangeOurField,
        RemoveFinalizers,
        RemoveOurField,
        RemoveLabels,
        RemoveOwners,
        RemoveAnnotations,
        Delete,
    ]);
    let children = prop::collection::vec((0_usize..3, 0_u8..3, any::<u8>()), 0..5);
    prop_oneof![
        4 => (0_usize..2, children).prop_map(|(parent, children)| Event::SetSpec(parent, children)),
        1 => (0_usize..2).prop_map(Event::DeleteParent),
        6 => (any::<u8>(), edit).prop_map(|(index, edit)| Event::Edit(index, edit)),
        1 => (0_usize..3, 0_u8..4, any::<bool>()).prop_map(|(kind, name, like)| Event::Foreign(kind, name, like)),
        9 => (0_usize..2, prop::bool::weighted(0.3)).prop_map(|(parent, late)| Event::Pass(parent, late)),
        1 => Just(Event::Restart),
        2 => Just(Event::Tick),
    ]
}

/// An object as long as it lives: its identity and its uid.
type Life = (ObjectId, String);

#[derive(Default)]
struct World {
    server: Server,
    guards: BTreeMap<usize, SettleGuard>,
    /// Objects of others, as they left them.
    foreign: BTreeMap<ObjectId, Value>,
    /// Places where others have added something: a field, label, finalizer or item.
    theirs: BTreeMap<Life, BTreeSet<String>>,
    /// Objects that have lost the memory of what the operator set, or fields that others have set too.
    unclear: BTreeMap<Life, BTreeSet<&'static str>>,
    stale: BTreeMap<usize, SyncRequest>,
    count: u32,
}

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

fn site(index: usize, spec: &Value) -> Value {
    json!({"apiVersion": "x.dev/v1", "kind": "Site", "spec": spec,
        "metadata": {"name": PARENTS[index], "namespace": "n"}})
}

fn parent_id(index: usize) -> ObjectId {
    ObjectId::of(&site(index, &Value::Null)).unwrap()
}

impl World {
    fn event(&mut self, event: Event) {
        match event {
            Event::SetSpec(parent, children) => self.set_spec(parent, &children),
            Event::DeleteParent(parent) => drop(self.server.delete(&parent_id(parent), None)),
            Event::Edit(index, edit) => self.edit_one(usize::from(index), edit),
            Event::Foreign(kind, name, like) => self.add_foreign(kind, name, like),
            Event::Pass(parent, is_late) => {
                let now = self.see(parent);
                let before = self.stale.remove(&parent).filter(|_| is_late);
                let is_fresh = before.is_none();
                if let Some(request) = before.or(now.clone()) {
                    self.pass(parent, &request, is_fresh);
                }
                self.stale.extend(now.map(|now| (parent, now)));
            }
            Event::Restart => self.guards.clear(),
            Event::Tick => self.server.tick(),
        }
        self.check_foreign();
        let objects = &self.server.objects;
        self.foreign.retain(|id, left| objects.get(id).is_some_and(|object| uid(object) == uid(left)));
    }

    fn set_spec(&mut self, parent: usize, children: &[(usize, u8, u8)]) {
        let mut known = BTreeSet::new();
        let children = children.iter().filter(|(kind, name, _)| known.insert((*kind, *name)));
        let children: Vec<Value> =
            children.map(|(kind, name, bits)| desired(parent, *kind, *name, *bits)).collect();
        let (id, spec) = (parent_id(parent), json!({"children": children}));
        if self.server.objects.contains_key(&id) {
            self.server.edit(&id, |object| object["spec"] = spec);
        } else {
            self.server.create(&site(parent, &spec)).unwrap();
            self.guards.remove(&parent);
        }
    }

    fn add_foreign(&mut self, kind: usize, name: u8, is_like_a_child: bool) {
        let mut object = desired(0, kind, name, 0);
        if !is_like_a_child {
            // the label of a parent alone makes no child
            let owner = self.server.objects.get(&parent_id(0)).map(uid).unwrap_or_default();
            object["metadata"]["name"] = format!("foreign-{name}").into();
            object["metadata"]["labels"] = json!({"pop-rs.dev/owner": owner});
        }
        if let Ok(created) = self.server.create(&object) {
            self.foreign.insert(ObjectId::of(&created).unwrap(), created);
        }
    }

    fn edit_one(&mut self, index: usize, edit: Edit) {
        let is_child = |id: &&ObjectId| id.kind.kind != "Site" && !self.foreign.contains_key(*id);
        let ids: Vec<ObjectId> = self.server.objects.keys().filter(is_child).cloned().collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[index % ids.len()].clone();
        let life = (id.clone(), uid(&self.server.objects[&id]));
        if matches!(edit, Edit::Delete) {
            self.server.delete(&id, None).unwrap();
            return;
        }
        self.count += 1;
        let (count, content) = (self.count, content_of(&id.kind.kind));
        let item = format!("theirs-{count}");
        let theirs = self.theirs.entry(life.clone()).or_default();
        let unclear = self.unclear.entry(life).or_default();
        match edit {
            Edit::AddField => drop(theirs.insert("field".to_owned())),
            Edit::AddLabel => drop(theirs.insert("label".to_owned())),
            Edit::RemoveLabels => drop(theirs.remove("label")),
            // the server refuses new finalizers of a dying object
            Edit::AddFinalizer if is_deleting(&self.server.objects[&id]) => return,
            Edit::AddFinalizer => drop(theirs.insert("finalizer".to_owned())),
            Edit::RemoveFinalizers => drop(theirs.remove("finalizer")),
            Edit::RemoveAnnotations => drop(unclear.insert("all")),
            Edit::ChangeOurField => drop(unclear.insert("args")),
            Edit::AddItem if self.server.objects[&id][content]["list"].is_array() => {
                theirs.insert(item.clone());
                unclear.insert("list");
            }
            Edit::AddItem => return,
            Edit::RemoveOurField => theirs.retain(|place| !place.starts_with("theirs-")),
            Edit::RemoveOwners | Edit::Delete => {}
        }
        self.server.edit(&id, |object| {
            let mut remove = |map: &str, key: &str| {
                if let Some(fields) = object[map].as_object_mut() {
                    fields.remove(key);
                }
            };
            match edit {
                Edit::RemoveFinalizers => remove("metadata", "finalizers"),
                Edit::RemoveLabels => remove("metadata", "labels"),
                Edit::RemoveOwners => remove("metadata", "ownerReferences"),
                Edit::RemoveAnnotations => remove("metadata", "annotations"),
                Edit::RemoveOurField => remove(content, "list"),
                Edit::AddField => object[content]["theirs"] = json!(1),
                Edit::AddLabel => object["metadata"]["labels"]["theirs"] = json!("1"),
                Edit::AddFinalizer => object["metadata"]["finalizers"] = json!(["x.dev/theirs"]),
                Edit::ChangeOurField => object[content]["args"] = json!([format!("edited-{count}")]),
                Edit::AddItem => {
                    let list = object[content]["list"].as_array_mut().unwrap();
                    list.insert(0, json!({"name": item}));
                }
                Edit::Delete => {}
            }
        });
        self.release(&id);
    }

    /// An object without label and owner belongs to others from now on.
    fn release(&mut self, id: &ObjectId) {
        let object = &self.server.objects[id];
        let metadata = &object["metadata"];
        if metadata["labels"]["pop-rs.dev/owner"].is_null() && metadata["ownerReferences"].is_null() {
            self.foreign.insert(id.clone(), object.clone());
        }
    }

    fn see(&self, parent: usize) -> Option<SyncRequest> {
        let object = self.server.objects.get(&parent_id(parent))?.clone();
        Some(SyncRequest::observe(&config(), object, self.server.children(&config())))
    }

    /// One pass over a parent as it was seen. The result is the number of writes.
    fn pass(&mut self, parent: usize, request: &SyncRequest, is_fresh: bool) -> usize {
        let guard = self.guards.entry(parent).or_default();
        let pass = match reconcile(&config(), &Mapper, request, guard) {
            Ok(pass) => pass,
            Err(ReconcileError::Children(_)) => return 0,
            Err(error) => unreachable!("{error}"),
        };
        for write in &pass.writes {
            if is_fresh {
                check_is_ours(&self.server, &request.parent, write);
            }
            match (self.server.perform(write), write) {
                (Ok(answer), _) => drop(guard.record_answer(write, &answer)),
                (Err(Refusal::Immutable), Write::Probe(_)) => guard.record_refusal(write),
                (Err(refusal), _) => {
                    assert!(!is_fresh, "{refusal:?}: {write:?}");
                    break;
                }
            }
        }
        pass.writes.len()
    }

    /// Others do nothing more but let their finalizers and names go. The result is the number of rounds until rest.
    fn settle(&mut self) -> usize {
        self.check_foreign();
        for parent in 0..2 {
            let Some(request) = self.see(parent) else { continue };
            for id in wanted(&request.parent).iter().filter_map(ObjectId::of) {
                let object = self.server.objects.get(&id);
                // also a child of an earlier parent that lost its owner, so that the server did not delete it
                let is_foreign = |object| {
                    config().ownership(&request.parent, object) == Ownership::Foreign
                        && controller_of(object).is_none()
                };
                if object.is_some_and(is_foreign) {
                    self.server.objects.remove(&id);
                    self.foreign.remove(&id);
                }
            }
        }
        for round in 0..20 {
            let dying = self
                .server
                .objects
                .iter()
                .filter(|(id, object)| id.kind.kind != "Site" && is_deleting(object));
            let dying: Vec<ObjectId> = dying.map(|(id, _)| id.clone()).collect();
            for id in &dying {
                self.server.edit(id, |object| {
                    object["metadata"].as_object_mut().unwrap().remove("finalizers");
                });
            }
            self.foreign.retain(|id, _| !dying.contains(id));
            let before = self.server.objects.clone();
            self.server.tick();
            let mut writes = 0;
            for parent in 0..2 {
                writes += self.see(parent).map_or(0, |request| self.pass(parent, &request, true));
            }
            if writes == 0 && before == self.server.objects {
                return round;
            }
        }
        unreachable!("the operator never settles: {:#?}", self.server.objects);
    }

    fn check_foreign(&self) {
        for (id, left) in &self.foreign {
            let object = self.server.objects.get(id).filter(|object| uid(object) == uid(left));
            let is_good = object.is_none_or(|object| object == left || is_deleting(object));
            assert!(is_good, "{id} of others was touched");
        }
    }

    fn check_rest(&self) {
        self.check_foreign();
        for parent in 0..2 {
            let Some(request) = self.see(parent) else { continue };
            assert!(!request.is_deleting(), "the parent cannot go");
            let wanted = wanted(&request.parent);
            for child in &wanted {
                self.check_child(&request.parent, child);
            }
            for (id, object) in &self.server.objects {
                let is_owned = config().ownership(&request.parent, object) == Ownership::Owned;
                let is_wanted = wanted.iter().any(|child| ObjectId::of(child).as_ref() == Some(id));
                assert!(!is_owned || is_wanted, "{id} is not wanted");
            }
            let mut status = json!({"children": request.children.len(), "unknown": true,
                "observedGeneration": request.generation()});
            if self.server.rewrites {
                status.as_object_mut().unwrap().remove("unknown");
            }
            assert_eq!(request.parent["status"], status);
        }
    }

    fn check_child(&self, parent: &Value, child: &Value) {
        let id = ObjectId::of(child).unwrap();
        let object = self.server.objects.get(&id);
        let Some(object) = object else { unreachable!("{id} is missing") };
        let content = content_of(&id.kind.kind);
        if id.kind.kind == "Secret" {
            return;
        }
        assert_eq!(config().ownership(parent, object), Ownership::Owned, "{id}");
        let found = differences(object, child);
        let is_rewritten =
            |path: &Path| ["cpu", "unknown"].contains(&path.to_string().rsplit('.').next().unwrap());
        let missing = found.iter().find(|found| !self.server.rewrites || !is_rewritten(&found.path));
        assert!(missing.is_none(), "{id}: {missing:?}");
        let life = (id.clone(), uid(object));
        let empty = BTreeSet::new();
        let unclear = self.unclear.get(&life).unwrap_or(&empty);
        for key in object[content].as_object().into_iter().flat_map(|fields| fields.keys()) {
            let is_known = ["theirs", "defaulted"].contains(&key.as_str())
                || !child[content][key].is_null()
                // an empty array is the same as none
                || object[content][key] == json!([])
                || unclear.contains("all")
                || unclear.contains(key.as_str());
            assert!(is_known, "{id}: the field `{key}` should be gone");
        }
        for place in self.theirs.get(&life).into_iter().flatten() {
            let is_there = match place.as_str() {
                "field" => object[content]["theirs"] == 1,
                "label" => object["metadata"]["labels"]["theirs"] == "1",
                "finalizer" => object["metadata"]["finalizers"] == json!(["x.dev/theirs"]),
                item => {
                    let list = object[content]["list"].as_array();
                    list.is_some_and(|list| list.iter().any(|found| found["name"] == item))
                }
            };
            assert!(is_there, "{id}: {place} of others is lost");
        }
    }
}

/// A write changes only what belongs to the parent, and deletes only what surely does.
fn check_is_ours(server: &Server, parent: &Value, write: &Write) {
    let (id, is_deletion) = match write {
        Write::Delete { id, .. } => (id, true),
        Write::Replace(write) | Write::Probe(write) => (&write.id, false),
        _ => return,
    };
    let ownership = config().ownership(parent, &server.objects[id]);
    assert_ne!(ownership, Ownership::Foreign, "{write:?}");
    assert!(!is_deletion || ownership == Ownership::Owned, "{write:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn o5_o6_o7_o20_every_world_comes_to_rest_as_the_handler_wants(
        rewrites in any::<bool>(),
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut world = World::default();
        world.server.rewrites = rewrites;
        for event in events {
            world.event(event);
        }
        world.settle();
        world.check_rest();
        // a restarted operator finds nothing to do that changes the world
        let before = world.server.objects.clone();
        world.guards.clear();
        world.settle();
        for (id, object) in &world.server.objects {
            prop_assert_eq!(uid(object), uid(&before[id]), "{} was recreated", id);
        }
        prop_assert_eq!(before, world.server.objects.clone());
    }
}
