//! All objects with their versions, and a bounded history of their changes.
//!
//! One counter numbers all changes. Undoing the history gives a past state, so a version can be listed as long as the
//! history reaches back to it. The store has no clock and no network.

use crate::kind::Kind;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// The kind of a change.
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
    /// The object after the change. For a deletion: its last state, with the version of the deletion.
    pub(crate) object: Arc<Value>,
    /// The object before the change.
    pub(crate) before: Option<Arc<Value>>,
}

/// A version is older than the history; holds the oldest known version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VersionTooOld(pub(crate) u64);

type Id = (&'static str, &'static str);
type Name = (String, String);
/// Objects by namespace and name.
pub(crate) type Objects = BTreeMap<Name, Arc<Value>>;

/// All objects.
#[derive(Debug)]
pub(crate) struct Store {
    objects: BTreeMap<Id, Objects>,
    version: u64,
    /// Changes up to this version are not in the history.
    forgotten: u64,
    log: VecDeque<Event>,
    limit: usize,
}

impl Store {
    /// An empty store with a history of at most `limit` changes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { objects: BTreeMap::new(), version: 1, forgotten: 0, log: VecDeque::new(), limit }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn find(&self, kind: &Kind, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.objects.get(&id(kind))?.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Stores an object with the next version, unless it is unchanged.
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
        self.record(Event {
            version: self.version,
            change,
            kind: *kind,
            object: Arc::clone(&object),
            before,
        });
        object
    }

    /// Removes an object and returns its last state.
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
        self.record(event);
        Some(object)
    }

    /// The current objects of a kind, in one namespace or in all.
    pub(crate) fn list(&self, kind: &Kind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.objects.get(&id(kind)).map(|objects| within(objects, namespace)).unwrap_or_default()
    }

    /// The objects of a kind at a version.
    pub(crate) fn list_at(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Vec<Arc<Value>>, VersionTooOld> {
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

    /// The changes of objects of a kind after a version.
    pub(crate) fn since(&self, kind: &Kind, version: u64) -> Result<Vec<Event>, VersionTooOld> {
        if version < self.forgotten {
            return Err(VersionTooOld(self.forgotten));
        }
        let first = self.log.partition_point(|event| event.version <= version);
        Ok(self.log.range(first..).filter(|event| id(&event.kind) == id(kind)).cloned().collect())
    }

    /// Deletes the history.
    pub(crate) fn compact(&mut self) {
        self.log.clear();
        self.forgotten = self.version;
    }

    fn record(&mut self, event: Event) {
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
    fn one_counter_numbers_all_changes_and_skips_equal_writes() {
        let mut store = Store::new(10);
        store.put(&PODS, pod("x", "Pending"));
        store.put(&EVENTS, pod("x", ""));
        let same = store.put(&PODS, pod("x", "Pending"));
        assert_eq!(same["metadata"]["resourceVersion"], "2");
        assert_eq!(store.version(), 3);
        let gone = store.remove(&PODS, "a", "x").unwrap();
        assert_eq!(gone["metadata"]["resourceVersion"], "4");
        let changes: Vec<_> = store.since(&PODS, 1).unwrap().iter().map(|e| (e.version, e.change)).collect();
        assert_eq!(changes, [(2, Change::Added), (4, Change::Deleted)]);
    }

    #[test]
    fn a_past_version_can_be_listed_until_compaction() {
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
        assert_eq!(store.list_at(&PODS, Some("a"), then).unwrap_err(), VersionTooOld(store.version()));
        assert!(store.since(&PODS, store.version()).unwrap().is_empty());
    }

    #[test]
    fn the_history_is_bounded() {
        let mut store = Store::new(2);
        for name in ["a", "b", "c"] {
            store.put(&PODS, pod(name, ""));
        }
        assert_eq!(store.since(&PODS, 1).unwrap_err(), VersionTooOld(2));
        assert_eq!(store.since(&PODS, 2).unwrap().len(), 2);
    }
}
