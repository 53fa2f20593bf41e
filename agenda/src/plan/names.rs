//! The names of a plan's operations: their numbers and collisions.

use super::OpRef;
use crate::document::Operation;
use crate::name::OperationName;
use crate::ops::OpIx;
use pop_document::{ElementPointer, Fault, Site, nearest};
use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// Number of faults after which no similar names are searched.
const SEARCH_LIMIT: usize = 100;

/// Names of operations of an agenda, or of those added to a plan.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    numbers: HashMap<Box<str>, OpIx>,
    /// The operations whose collision key, which must be unique, is not their name.
    other_keys: HashMap<Box<str>, OpIx>,
    /// Operations that could not be read and have faults already.
    unread: HashSet<String>,
    /// Operations whose result adds operations.
    generators: HashSet<OpIx>,
}

impl Names {
    /// The names of operations numbered from `first`. A collision among them or with `below` is a fault.
    pub(super) fn check(
        operations: &[Operation],
        unread: Vec<String>,
        first: usize,
        below: Option<&Self>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut names = Self {
            numbers: HashMap::with_capacity(operations.len()),
            other_keys: HashMap::new(),
            unread: unread.into_iter().collect(),
            generators: HashSet::new(),
        };
        for (index, operation) in operations.iter().enumerate() {
            let op = OpIx((first + index) as u32);
            let name = operation.name.as_str();
            let key = OperationName::collision_key(name);
            let is_below = below.is_some_and(|below| below.with_key(&key).is_some());
            let other = names.add(op, name, key).map(|other| &operations[other.index() - first]);
            if operation.rare.as_ref().is_some_and(|rare| rare.generator.is_some()) {
                names.generators.insert(op);
            }
            if other.is_none() && !is_below {
                continue;
            }
            let message = match other {
                Some(other) if other.name != operation.name => {
                    format!("`{name}` and `{}` differ only in letter case or Unicode form", other.name)
                }
                _ => format!("two operations have the name `{name}`"),
            };
            let fault = Fault::value("duplicate-name", operation.pointer.join("name"), message);
            faults.push(match other {
                Some(other) => fault.related(site(&other.pointer), "the other operation"),
                None => fault.hint("the other operation is in the agenda or was generated earlier"),
            });
        }
        names
    }

    /// Adds a name and its collision key. Returns the operation that has the same key already.
    fn add(&mut self, op: OpIx, name: &str, key: Cow<'_, str>) -> Option<OpIx> {
        let is_other = key != name;
        let other = (is_other || !self.other_keys.is_empty()).then(|| self.with_key(&key)).flatten();
        if is_other {
            self.other_keys.entry(key.into()).or_insert(op);
        }
        match self.numbers.entry(name.into()) {
            Entry::Vacant(entry) => {
                entry.insert(op);
                other
            }
            Entry::Occupied(same) => other.or(Some(*same.get())),
        }
    }

    /// The operation with this collision key.
    fn with_key(&self, key: &str) -> Option<OpIx> {
        let is_own_key = |_: &&OpIx| OperationName::collision_key(key) == key;
        self.other_keys.get(key).or_else(|| self.numbers.get(key).filter(is_own_key)).copied()
    }

    /// Adds the names of added operations.
    pub(super) fn extend(&mut self, added: Self) {
        self.numbers.extend(added.numbers);
        self.other_keys.extend(added.other_keys);
        self.generators.extend(added.generators);
    }
}

fn site(operation: &ElementPointer) -> Site {
    Site::Value(operation.join("name"))
}

/// The names that an operation may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'n> {
    /// Names of the operations that are planned together with this one.
    pub(super) own: &'n Names,
    /// Names that the plan had before.
    pub(super) below: Option<&'n Names>,
    /// Names around the body to which these operations belong.
    pub(super) around: Option<&'n Self>,
    /// Whether these operations are those of a body.
    pub(super) is_body: bool,
}

impl<'n> Known<'n> {
    /// The names of an agenda.
    pub(super) fn of_agenda(own: &'n Names) -> Self {
        Self { own, below: None, around: None, is_body: false }
    }

    /// The names of a body; `around` are those that its operations may refer to besides.
    pub(super) fn of_body(own: &'n Names, around: Option<&'n Self>) -> Self {
        Self { own, below: None, around, is_body: true }
    }

    /// Whether the result of an operation adds operations.
    pub(super) fn is_generator(&self, on: OpRef) -> bool {
        match (on, self.around) {
            (OpRef::Fixed(op), None) => {
                self.own.generators.contains(&op)
                    || self.below.is_some_and(|below| below.generators.contains(&op))
            }
            (OpRef::Fixed(_), Some(around)) => around.is_generator(on),
            // a generator cannot be inside an operation
            (OpRef::Inner { .. }, _) => false,
        }
    }

    /// The operation of a name. Names inside hide those around.
    pub(super) fn find(&self, name: &str) -> Option<OpRef> {
        if let Some(op) = self.own.numbers.get(name) {
            return Some(if self.is_body { OpRef::sibling(op.index()) } else { OpRef::Fixed(*op) });
        }
        if let Some(op) = self.below.and_then(|below| below.numbers.get(name)) {
            return Some(OpRef::Fixed(*op));
        }
        self.around?.find(name).map(OpRef::inwards)
    }

    /// Whether an operation of this name exists but could not be read.
    pub(super) fn is_unread(&self, name: &str) -> bool {
        self.own.unread.contains(name) || self.around.is_some_and(|around| around.is_unread(name))
    }

    /// The known name most similar to an unknown one. After many faults there is no search, because each search
    /// compares all names.
    pub(super) fn near(&self, name: &str, faults: &[Fault]) -> Option<&str> {
        let own = self.own.numbers.keys();
        let all = own.chain(self.below.into_iter().flat_map(|names| names.numbers.keys()));
        let is_searched = faults.len() < SEARCH_LIMIT;
        let near = is_searched.then(|| nearest(name, all.map(|name| &**name))).flatten();
        near.or_else(|| self.around?.near(name, faults))
    }
}
