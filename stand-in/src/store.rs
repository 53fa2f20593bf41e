//! All objects with their versions, and the bounded log of what happened to them.
//!
//! One counter numbers every change of anything. A past state is had by undoing the log, so that it can be listed as
//! long as the log reaches back. It has no clock and no network.

use crate::kind::Kind;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) change: Change,
    pub(crate) kind: Kind,
    /// How it is now; of a deleted one its last state, under the version of the deletion.
    pub(crate) object: Arc<Value>,
    /// How it was.
    pub(crate) before: Option<Arc<Value>>,
}

/// The version asked for is forgotten; the oldest that is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten(pub(crate) u64);

type Id = (&'static str, &'static str);
type Name = (String, String);
/// Objects by namespace and name.
pub(crate) type Objects = BTreeMap<Name, Arc<Value>>;

/// All objects.
#[derive(Debug)]
pub(crate) struct Store {
    objects: BTreeMap<Id, Objects>,
    version: u64,
    /// Changes up to this version are forgotten.
    forgotten: u64,
    log: VecDeque<Event>,
    limit: usize,
}

impl Store {
    /// An empty store that remembers so many changes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { objects: BTreeMap::new(), version: 1, forgotten: 0, log: VecDeque::new(), limit }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn find(&self, kind: &Kind, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.objects.get(&id(kind))?.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Stores an object under the next version, unless nothing changed.
    pub(crate) fn put(&mut self, kind: &Kind, mut object: Value) -> Arc<Value> {
        let key = name_of(&object);
        let objects = self.objects.entry(id(kind)).or_default();
        let before = objects.get(&key).cloned();
        if let Some(before) = &before {
            object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
            if object == **before {
                return Arc::clone(before);
            }
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(object);
        objects.insert(key, Arc::clone(&object));
        let change = if before.is_some() { Change::Modified } else { Change::Added };
        self.remember(Event {
            version: self.version,
            change,
            kind: *kind,
            object: Arc::clone(&object),
            before,
        });
        object
    }

    /// Takes an object away; its last state.
    pub(crate) fn remove(&mut self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let objects = self.objects.get_mut(&id(kind))?;
        let before = objects.remove(&(namespace.to_owned(), name.to_owned()))?;
        self.version += 1;
        let mut last = Value::clone(&before);
        last["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(last);
        let event = Event {
            version: self.version,
            change: Change::Deleted,
            kind: *kind,
            object: Arc::clone(&object),
            before: Some(before),
        };
        self.remember(event);
        Some(object)
    }

    /// All objects of a kind as they are now, in one namespace or in all.
    pub(crate) fn list(&self, kind: &Kind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.objects.get(&id(kind)).map(|objects| within(objects, namespace)).unwrap_or_default()
    }

    /// All objects of a kind as they were at a version.
    pub(crate) fn list_at(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Vec<Arc<Value>>, Forgotten> {
        let mut objects = self.objects.get(&id(kind)).cloned().unwrap_or_default();
        for event in self.since(kind, version)?.into_iter().rev() {
            let key = name_of(&event.object);
            match event.before {
                Some(before) => objects.insert(key, before),
                None => objects.remove(&key),
            };
        }
        Ok(within(&objects, namespace))
    }

    /// All objects of every kind, with their kinds.
    pub(crate) fn everything(&self) -> impl Iterator<Item = (Id, &Arc<Value>)> {
        self.objects.iter().flat_map(|(id, objects)| objects.values().map(|object| (*id, object)))
    }

    /// What happened to objects of a kind after a version.
    pub(crate) fn since(&self, kind: &Kind, version: u64) -> Result<Vec<Event>, Forgotten> {
        if version < self.forgotten {
            return Err(Forgotten(self.forgotten));
        }
        let first = self.log.partition_point(|event| event.version <= version);
        Ok(self.log.range(first..).filter(|event| id(&event.kind) == id(kind)).cloned().collect())
    }

    /// Forgets all changes until now.
    pub(crate) fn compact(&mut self) {
        self.log.clear();
        self.forgotten = self.version;
    }

    fn remember(&mut self, event: Event) {
        self.log.push_back(event);
        while self.log.len() > self.limit {
            self.forgotten = self.log.pop_front().map_or(self.forgotten, |event| event.version);
        }
    }
}

fn id(kind: &Kind) -> Id {
    (kind.group, kind.resource)
}

fn within(objects: &Objects, namespace: Option<&str>) -> Vec<Arc<Value>> {
    let Some(namespace) = namespace else { return objects.values().cloned().collect() };
    let from = Bound::Included((namespace.to_owned(), String::new()));
    let found = objects.range((from, Bound::Unbounded)).take_while(|((place, _), _)| place == namespace);
    found.map(|(_, object)| Arc::clone(object)).collect()
}

/// Namespace and name of an object.
pub(crate) fn name_of(object: &Value) -> (String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{EVENTS, PODS};
    use serde_json::json;

    fn pod(name: &str, phase: &str) -> Value {
        json!({"metadata": {"namespace": "a", "name": name}, "status": {"phase": phase}})
    }

    fn names(objects: &[Arc<Value>]) -> Vec<String> {
        objects.iter().map(|object| name_of(object).1).collect()
    }

    #[test]
    fn one_counter_numbers_every_change_and_a_change_of_nothing_is_none() {
        let mut store = Store::new(10);
        store.put(&PODS, pod("x", "Pending"));
        store.put(&EVENTS, pod("x", ""));
        let same = store.put(&PODS, pod("x", "Pending"));
        assert_eq!(same["metadata"]["resourceVersion"], "2");
        assert_eq!(store.version(), 3);
        let gone = store.remove(&PODS, "a", "x").unwrap();
        assert_eq!(gone["metadata"]["resourceVersion"], "4");
        let told: Vec<_> = store.since(&PODS, 1).unwrap().iter().map(|e| (e.version, e.change)).collect();
        assert_eq!(told, [(2, Change::Added), (4, Change::Deleted)]);
    }

    #[test]
    fn a_past_state_can_be_listed_until_it_is_forgotten() {
        let mut store = Store::new(10);
        store.put(&PODS, pod("x", "Pending"));
        store.put(&PODS, pod("y", "Pending"));
        let then = store.version();
        store.remove(&PODS, "a", "x");
        store.put(&PODS, pod("y", "Running"));
        store.put(&PODS, pod("z", "Pending"));
        let past = store.list_at(&PODS, Some("a"), then).unwrap();
        assert_eq!(names(&past), ["x", "y"]);
        assert_eq!(past[1]["status"]["phase"], "Pending");
        assert_eq!(names(&store.list(&PODS, None)), ["y", "z"]);
        assert!(store.list(&PODS, Some("b")).is_empty());
        store.compact();
        assert_eq!(store.list_at(&PODS, Some("a"), then).unwrap_err(), Forgotten(store.version()));
        assert!(store.since(&PODS, store.version()).unwrap().is_empty());
    }

    #[test]
    fn the_log_has_a_bound() {
        let mut store = Store::new(2);
        for name in ["a", "b", "c"] {
            store.put(&PODS, pod(name, ""));
        }
        assert_eq!(store.since(&PODS, 1).unwrap_err(), Forgotten(2));
        assert_eq!(store.since(&PODS, 2).unwrap().len(), 2);
    }
}
