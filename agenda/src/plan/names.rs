//! The names of a plan's operations: which number each has, and which of them collide.

use crate::document::Operation;
use crate::name::OperationName;
use crate::ops::OpIx;
use pop_document::{Fault, Pointer, Site, nearest};
use std::collections::{HashMap, HashSet};

/// The most faults among which the name that was meant is sought.
const MOST_SOUGHT: usize = 100;

/// Names of operations, perhaps on top of those of a plan that grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    numbers: HashMap<String, OpIx>,
    /// Whoever has a name with this key, which no other may have.
    keys: HashMap<String, OpIx>,
    /// Operations that could not be read; their faults are told already.
    unread: HashSet<String>,
}

impl Names {
    /// The names of operations that are numbered from `first`; what collides among them, or with `below`, is a fault.
    pub(super) fn check(
        operations: &[Operation],
        unread: Vec<String>,
        first: usize,
        below: Option<&Self>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut names = Self {
            numbers: HashMap::with_capacity(operations.len()),
            keys: HashMap::with_capacity(operations.len()),
            unread: unread.into_iter().collect(),
        };
        for (index, operation) in operations.iter().enumerate() {
            let op = OpIx((first + index) as u32);
            let name = operation.name.as_str();
            names.numbers.entry(name.to_owned()).or_insert(op);
            let key = OperationName::collision_key(name);
            let is_below = below.is_some_and(|below| below.keys.contains_key(&key));
            let other = names.keys.insert(key, op).map(|other| &operations[other.index() - first]);
            if other.is_none() && !is_below {
                continue;
            }
            let message = match other {
                Some(other) if other.name != operation.name => {
                    format!("`{name}` and `{}` differ only in letter case or Unicode form", other.name)
                }
                _ => format!("two operations are called `{name}`"),
            };
            let fault = Fault::value("duplicate-name", operation.pointer.join("name"), message);
            faults.push(match other {
                Some(other) => fault.related(site(&other.pointer), "the other one"),
                None => fault.hint("the other one is in the agenda, or was generated before"),
            });
        }
        names
    }

    /// Takes in the names of what was added.
    pub(super) fn extend(&mut self, added: Self) {
        self.numbers.extend(added.numbers);
        self.keys.extend(added.keys);
    }
}

fn site(operation: &Pointer) -> Site {
    Site::Value(operation.join("name"))
}

/// The names that an operation may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'n> {
    /// Those that come with it.
    pub(super) own: &'n Names,
    /// Those that the plan had before.
    pub(super) below: Option<&'n Names>,
}

impl Known<'_> {
    pub(super) fn number(&self, name: &str) -> Option<OpIx> {
        self.own.numbers.get(name).or_else(|| self.below?.numbers.get(name)).copied()
    }

    /// Whether there is such an operation, which could not be read.
    pub(super) fn is_unread(&self, name: &str) -> bool {
        self.own.unread.contains(name)
    }

    /// The name nearest to one that is not there; not sought any more when there are many faults already, for
    /// every search looks at all names.
    pub(super) fn near(&self, name: &str, faults: &[Fault]) -> Option<&str> {
        let all =
            self.own.numbers.keys().chain(self.below.into_iter().flat_map(|names| names.numbers.keys()));
        let sought = faults.len() < MOST_SOUGHT;
        sought.then(|| nearest(name, all.map(String::as_str))).flatten()
    }
}
