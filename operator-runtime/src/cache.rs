//! The parents and children that the watches have seen, and which parents a change concerns.
//!
//! *Guarantees.* An object of an unchanged version concerns nobody. An object that is missing in a list and was known
//! before is a deletion, whatever the watch missed. The answer to a write is in the cache before the next sync.

use pop_operator::{GroupKind, ObjectId, OperatorConfig, metadata_text};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is watched: the parents or one kind of children.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Parent,
    Child(GroupKind),
}

/// Whether the objects of a kind are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum KindState {
    /// No list has succeeded yet.
    #[default]
    Pending,
    /// A list has succeeded.
    Listed,
    /// The API server refuses the list or does not know the kind. The writes of this kind wait.
    Refused,
}

/// The objects of one kind.
#[derive(Debug, Default)]
struct Objects {
    by_id: HashMap<ObjectId, Arc<Value>>,
    /// The version up to which all changes are known.
    position: u64,
    state: KindState,
}

#[derive(Debug, Default)]
struct State {
    parents: Objects,
    children: HashMap<GroupKind, Objects>,
    /// The parents by uid.
    parent_of: HashMap<String, ObjectId>,
    /// The children by the uids of their owners and tracking labels.
    owned: HashMap<String, BTreeSet<ObjectId>>,
    /// The names of children that others had when a parent wanted them, with the uids of these parents.
    claims: HashMap<ObjectId, BTreeSet<String>>,
}

/// A parent and the objects that concern it, at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) parent: Value,
    pub(crate) objects: Vec<Value>,
}

/// The objects of an operator.
#[derive(Debug)]
pub(crate) struct Cache {
    tracking_label: String,
    state: Mutex<State>,
}

impl Cache {
    pub(crate) fn new(config: &OperatorConfig) -> Self {
        let children = config.children.iter().map(|child| (child.kind.group_kind(), Objects::default()));
        let state = State { children: children.collect(), ..State::default() };
        Self { tracking_label: config.tracking_label.clone(), state: Mutex::new(state) }
    }

    /// Replaces all objects by those of a list. Returns the parents that must be synced.
    pub(crate) fn replace(&self, role: &Role, items: Vec<Value>, version: &str) -> BTreeSet<String> {
        let mut state = self.state();
        let version = number(version);
        let mut touched = BTreeSet::new();
        let Some(objects) = state.objects(role) else { return touched };
        // a server restored from a backup counts from an earlier version
        let is_rewound = version < objects.position;
        let was_listed = objects.state == KindState::Listed;
        objects.position = version;
        objects.state = KindState::Listed;
        let mut listed = HashSet::new();
        for item in items {
            let Some(id) = ObjectId::of(&item) else { continue };
            listed.insert(id.clone());
            self.put(&mut state, role, id, item, is_rewound, &mut touched);
        }
        let Some(objects) = state.objects(role) else { return touched };
        // what is newer than the list was written by this process
        let is_gone = |(id, object): &(&ObjectId, &Arc<Value>)| {
            !listed.contains(*id) && (is_rewound || version_of(object) <= version)
        };
        let gone: Vec<ObjectId> = objects.by_id.iter().filter(is_gone).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.take(&mut state, role, &id, &mut touched);
        }
        if !was_listed {
            touched.extend(state.parent_of.keys().cloned());
        }
        touched
    }

    /// Records an added or changed object. Returns the parents that must be synced.
    pub(crate) fn apply(&self, role: &Role, object: Value) -> BTreeSet<String> {
        let (mut state, mut touched) = (self.state(), BTreeSet::new());
        let Some(id) = ObjectId::of(&object) else { return touched };
        state.advance(role, version_of(&object));
        self.put(&mut state, role, id, object, false, &mut touched);
        touched
    }

    /// Records a deletion. Returns the parents that must be synced.
    pub(crate) fn remove(&self, role: &Role, object: &Value) -> BTreeSet<String> {
        let (mut state, mut touched) = (self.state(), BTreeSet::new());
        let Some(id) = ObjectId::of(object) else { return touched };
        state.advance(role, version_of(object));
        let known = state.objects(role).and_then(|objects| objects.by_id.get(&id));
        // a write of this process may have created the name again already
        if known.is_some_and(|known| version_of(known) <= version_of(object)) {
            self.take(&mut state, role, &id, &mut touched);
        }
        touched
    }

    /// Records that all changes up to a version are known.
    pub(crate) fn advance(&self, role: &Role, version: &str) {
        self.state().advance(role, number(version));
    }

    /// Records that the API server refuses a kind. Returns whether that is news.
    pub(crate) fn refuse(&self, role: &Role) -> bool {
        let mut state = self.state();
        let Some(objects) = state.objects(role) else { return false };
        std::mem::replace(&mut objects.state, KindState::Refused) != KindState::Refused
    }

    /// Records the answer to a write or to a read, unless the watch is past it. Returns the parents that must be synced.
    pub(crate) fn learn(&self, object: &Value) -> BTreeSet<String> {
        let (mut state, mut touched) = (self.state(), BTreeSet::new());
        let Some(id) = ObjectId::of(object) else { return touched };
        let roles = [Role::Parent, Role::Child(id.kind.clone())];
        for role in roles {
            let is_parent_kind = state.parents.by_id.contains_key(&id);
            if role == Role::Parent && !is_parent_kind {
                continue;
            }
            if state.objects(&role).is_some_and(|objects| objects.position < version_of(object)) {
                self.put(&mut state, &role, id.clone(), object.clone(), false, &mut touched);
            }
        }
        touched
    }

    /// Forgets an object whose deletion the API server has confirmed. Returns the parents that must be synced.
    pub(crate) fn forget(&self, role: &Role, id: &ObjectId, uid: &str) -> BTreeSet<String> {
        let (mut state, mut touched) = (self.state(), BTreeSet::new());
        let known = state.objects(role).and_then(|objects| objects.by_id.get(id));
        if known.is_some_and(|known| metadata_text(known, "uid") == Some(uid)) {
            self.take(&mut state, role, id, &mut touched);
        }
        touched
    }

    /// Syncs a parent whenever the object of this name changes, until it withdraws.
    pub(crate) fn claim(&self, uid: &str, id: &ObjectId) {
        self.state().claims.entry(id.clone()).or_default().insert(uid.to_owned());
    }

    /// Withdraws the claims of a parent.
    pub(crate) fn withdraw(&self, uid: &str) {
        self.state().claims.retain(|_, uids| {
            uids.remove(uid);
            !uids.is_empty()
        });
    }

    /// A parent with the objects that concern it; none if it is gone.
    pub(crate) fn snapshot(&self, uid: &str) -> Option<Snapshot> {
        let state = self.state();
        let parent = state.parents.by_id.get(state.parent_of.get(uid)?)?;
        let claimed = state.claims.iter().filter(|(_, uids)| uids.contains(uid)).map(|(id, _)| id);
        let ids: BTreeSet<&ObjectId> = state.owned.get(uid).into_iter().flatten().chain(claimed).collect();
        let find =
            |id: &ObjectId| state.children.get(&id.kind)?.by_id.get(id).map(|object| Value::clone(object));
        let objects = ids.into_iter().filter_map(find).collect();
        Some(Snapshot { parent: Value::clone(parent), objects })
    }

    /// The uids of all parents.
    pub(crate) fn parents(&self) -> Vec<String> {
        self.state().parent_of.keys().cloned().collect()
    }

    /// Number of parents.
    pub(crate) fn len(&self) -> usize {
        self.state().parent_of.len()
    }

    /// Whether syncs may start: the parents are listed, and each kind of children is listed or refused.
    pub(crate) fn is_filled(&self) -> bool {
        let state = self.state();
        state.parents.state == KindState::Listed
            && state.children.values().all(|objects| objects.state != KindState::Pending)
    }

    /// Whether the objects of a kind of children are known, so that it may be written.
    pub(crate) fn is_listed(&self, kind: &GroupKind) -> bool {
        self.state().children.get(kind).is_some_and(|objects| objects.state == KindState::Listed)
    }

    fn put(
        &self,
        state: &mut State,
        role: &Role,
        id: ObjectId,
        object: Value,
        is_rewound: bool,
        touched: &mut BTreeSet<String>,
    ) {
        let Some(objects) = state.objects(role) else { return };
        if let Some(known) = objects.by_id.get(&id) {
            let is_same = metadata_text(known, "resourceVersion")
                == metadata_text(&object, "resourceVersion")
                && metadata_text(known, "uid") == metadata_text(&object, "uid");
            if is_same || (!is_rewound && version_of(known) > version_of(&object)) {
                return;
            }
        }
        self.take(state, role, &id, touched);
        let concerned = self.concerned(role, &object);
        match role {
            Role::Parent => {
                state.parent_of.extend(concerned.iter().map(|uid| (uid.clone(), id.clone())));
            }
            Role::Child(_) => {
                for uid in &concerned {
                    state.owned.entry(uid.clone()).or_default().insert(id.clone());
                }
                touched.extend(state.claims.get(&id).into_iter().flatten().cloned());
            }
        }
        touched.extend(concerned);
        if let Some(objects) = state.objects(role) {
            objects.by_id.insert(id, Arc::new(object));
        }
    }

    /// Takes an object out, with its entries in the indexes.
    fn take(&self, state: &mut State, role: &Role, id: &ObjectId, touched: &mut BTreeSet<String>) {
        let Some(object) = state.objects(role).and_then(|objects| objects.by_id.remove(id)) else { return };
        let concerned = self.concerned(role, &object);
        for uid in &concerned {
            match role {
                Role::Parent => drop(state.parent_of.remove(uid)),
                Role::Child(_) => {
                    if let Some(ids) = state.owned.get_mut(uid) {
                        ids.remove(id);
                        if ids.is_empty() {
                            state.owned.remove(uid);
                        }
                    }
                }
            }
        }
        if *role != Role::Parent {
            touched.extend(state.claims.get(id).into_iter().flatten().cloned());
        }
        touched.extend(concerned);
    }

    /// The uids of the parents that an object concerns: its own, or those of its owners and its label.
    fn concerned(&self, role: &Role, object: &Value) -> BTreeSet<String> {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if *role == Role::Parent {
            return text(&metadata["uid"]).into_iter().collect();
        }
        let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
        let owners = owners.filter_map(|owner| text(&owner["uid"]));
        owners.chain(text(&metadata["labels"][&self.tracking_label])).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn objects(&mut self, role: &Role) -> Option<&mut Objects> {
        match role {
            Role::Parent => Some(&mut self.parents),
            Role::Child(kind) => self.children.get_mut(kind),
        }
    }

    fn advance(&mut self, role: &Role, version: u64) {
        if let Some(objects) = self.objects(role) {
            objects.position = objects.position.max(version);
        }
    }
}

/// A resource version as a number. Those of one kind are comparable since Kubernetes 1.35, and were before in practice.
fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}

fn version_of(object: &Value) -> u64 {
    metadata_text(object, "resourceVersion").map_or(0, number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_operator::{KindConfig, Strategy};
    use serde_json::json;

    fn cache() -> Cache {
        let config = OperatorConfig::new("demo", KindConfig::namespaced("x.dev/v1", "Site", "sites"))
            .child(KindConfig::namespaced("v1", "Pod", "pods"), Strategy::Replace);
        let cache = Cache::new(&config);
        cache.replace(&Role::Parent, vec![site("u-1", 5), site("u-2", 5)], "10");
        cache
    }

    fn site(uid: &str, version: u64) -> Value {
        json!({"apiVersion": "x.dev/v1", "kind": "Site", "metadata":
            {"name": uid, "namespace": "n", "uid": uid, "resourceVersion": version.to_string()}})
    }

    fn pod(name: &str, owner: &str, version: u64) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n", "uid": format!("{name}-uid"),
            "resourceVersion": version.to_string(), "ownerReferences": [{"uid": owner}]}})
    }

    fn pods() -> Role {
        Role::Child(GroupKind::of("v1", "Pod"))
    }

    fn set(uids: &[&str]) -> BTreeSet<String> {
        uids.iter().map(|uid| (*uid).to_owned()).collect()
    }

    #[test]
    fn o27_list_touches_only_what_changed_or_vanished() {
        let cache = cache();
        assert!(!cache.is_filled());
        // the first list of a kind concerns all parents
        let first = cache.replace(&pods(), vec![pod("a", "u-1", 6), pod("b", "u-2", 7)], "10");
        assert_eq!((first, cache.is_filled()), (set(&["u-1", "u-2"]), true));
        let again = |items, version| cache.replace(&pods(), items, version);
        assert_eq!(again(vec![pod("a", "u-1", 6), pod("b", "u-2", 7)], "20"), set(&[]));
        assert_eq!(again(vec![pod("a", "u-1", 25), pod("b", "u-2", 7)], "30"), set(&["u-1"]));
        assert_eq!(again(vec![pod("a", "u-1", 25)], "40"), set(&["u-2"]));
        assert_eq!(cache.snapshot("u-1").map(|seen| seen.objects), Some(vec![pod("a", "u-1", 25)]));
        // a server restored from a backup: its list is the truth
        assert_eq!(again(vec![pod("b", "u-2", 7)], "9"), set(&["u-1", "u-2"]));
        assert_eq!(cache.replace(&Role::Parent, vec![site("u-2", 5)], "50"), set(&["u-1"]));
        assert!(cache.snapshot("u-1").is_none() && cache.len() == 1);
    }

    #[test]
    fn answer_to_a_write_counts_unless_the_watch_is_past_it() {
        let cache = cache();
        cache.replace(&pods(), vec![], "10");
        assert_eq!(cache.learn(&pod("a", "u-1", 12)), set(&["u-1"]));
        assert_eq!(cache.apply(&pods(), pod("a", "u-1", 12)), set(&[]));
        // an older event, and a list that was made before the write
        assert_eq!(cache.learn(&pod("a", "u-1", 20)), set(&["u-1"]));
        assert_eq!(cache.apply(&pods(), pod("a", "u-1", 15)), set(&[]));
        assert_eq!(cache.replace(&pods(), vec![], "17"), set(&[]));
        assert_eq!(cache.remove(&pods(), &pod("a", "u-1", 21)), set(&["u-1"]));
        // a late answer brings no deleted object back
        assert_eq!(cache.learn(&pod("a", "u-1", 20)), set(&[]));
        assert_eq!(cache.snapshot("u-1").map(|seen| seen.objects.len()), Some(0));
    }

    #[test]
    fn claimed_name_is_seen_and_its_change_touches_the_claimer() {
        let cache = cache();
        cache.replace(&pods(), vec![pod("a", "u-2", 6)], "10");
        let id = ObjectId::of(&pod("a", "", 0)).unwrap();
        cache.claim("u-1", &id);
        assert_eq!(cache.snapshot("u-1").map(|seen| seen.objects.len()), Some(1));
        assert_eq!(cache.remove(&pods(), &pod("a", "u-2", 11)), set(&["u-1", "u-2"]));
        cache.withdraw("u-1");
        assert_eq!(cache.apply(&pods(), pod("a", "u-2", 12)), set(&["u-2"]));
    }

    #[test]
    fn refused_kind_does_not_hold_up_the_others() {
        let cache = cache();
        assert!(cache.refuse(&pods()) && !cache.refuse(&pods()));
        assert!(cache.is_filled() && !cache.is_listed(&GroupKind::of("v1", "Pod")));
        assert_eq!(cache.replace(&pods(), vec![], "10"), set(&["u-1", "u-2"]));
    }
}
