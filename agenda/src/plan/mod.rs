//! The plan: an agenda in which nothing is unresolved.

mod build;
mod dispatch;
mod edges;
mod fit;
mod graph;
mod grow;
mod length;
mod names;
mod payload;
mod spelling;
mod types;

pub(crate) use build::MOST_OPERATIONS;
pub(crate) use dispatch::{Called, Dispatch};
pub use graph::{Dependant, Edge, EdgeKind, Graph};
pub(crate) use grow::Grown;
pub(crate) use payload::Values;
pub use payload::{BindError, BoundPayload, Payload};

use crate::document::{Generator, Identity};
use crate::name::OperationName;
use crate::ops::{OpIx, OpMap};
use pop_contract::{Capabilities, LaunchType};
use pop_policy::{Policies, PolicyLayer};
use pop_registry::{Entry, PassedOver, PodConfig, Resident, RouteStep};
use std::sync::Arc;

/// Who carries an operation out.
#[derive(Debug, Clone, PartialEq)]
pub enum Serves {
    /// The command in the operation's own payload.
    Exec,
    /// A handler inside the executor.
    Resident(Resident),
    /// The program of a registry entry.
    Program(Arc<Entry>),
    /// The handlers of the types in its payload, each for its own.
    Dispatch,
}

/// One operation, ready to be scheduled.
#[derive(Debug, Clone)]
pub struct PlannedOperation {
    /// Its name.
    pub name: OperationName,
    /// Its id, only handed on.
    pub id: Option<Box<str>>,
    /// The type under which it was asked for.
    pub handler_type: Arc<str>,
    /// How its handler was chosen; none for a call, whose dispatch was asked for.
    pub route: Option<Arc<Route>>,
    /// Who carries it out.
    pub serves: Serves,
    /// Its input, shared by the instances of one operation.
    pub payload: Arc<Payload>,
    /// Its policies, shared by operations with the same ones.
    pub policies: Arc<Policies>,
    /// Whether its result is kept, for another operation reads it.
    pub is_read: bool,
    /// What few operations have; none for the others.
    pub rare: Option<Arc<RareFields>>,
    /// Where it comes from, if it is not written in the agenda.
    pub origin: Option<Origin>,
}

/// How a handler was chosen, the same for all operations that ask alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its id; none for what is built in.
    pub handler: Option<Box<str>>,
    /// Its version.
    pub version: Option<Box<str>>,
    /// By which step it was chosen.
    pub step: RouteStep,
    /// The handlers that were not taken, and why.
    pub passed_over: Vec<PassedOver>,
}

/// What few operations have.
#[derive(Debug, Clone, Default)]
pub struct RareFields {
    /// The items, for each of which there is an instance.
    pub for_each: Option<ForEach>,
    /// Where in its result further operations stand.
    pub generator: Option<Generator>,
    /// The keys that it locks: a text or a list of texts.
    pub lock_keys: Option<Payload>,
    /// The params of one that is put aside when it fails, as they were written.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// The own policies of one that asks handlers, for its calls.
    pub own: Option<Box<PolicyLayer>>,
    /// Which of the handler's actions it asks for.
    pub action: Option<Box<str>>,
    /// Whether it waits for whatever is not like it.
    pub is_last: bool,
    /// Whether it is there for when others do not end well, and also starts while a run is being ended.
    pub is_cleanup: bool,
    /// Whether it is skipped if another operation has not the outcome that it waits for.
    pub is_conditional: bool,
}

/// The items of an operation.
#[derive(Debug, Clone)]
pub struct ForEach {
    /// The list.
    pub items: Payload,
    /// How many instances are under way at once, at most.
    pub max_parallel: Option<u32>,
}

/// Where an operation comes from that is not written in the agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is one of the operations that another was made into, and settled for it.
    Part {
        /// The other.
        of: OpIx,
        /// Its number among them.
        index: u32,
    },
    /// It stood in the result of a generator.
    Generated {
        /// The generator.
        by: OpIx,
        /// How many generators there are above it.
        depth: u32,
    },
}

impl PlannedOperation {
    /// Whether it may end without a result although nothing went wrong.
    pub fn may_skip(&self) -> bool {
        let is_conditional = self.rare.as_ref().is_some_and(|rare| rare.is_conditional);
        // items that are skipped leave null in the list of results
        is_conditional || (self.for_each().is_none() && self.policies.may_skip())
    }

    /// Its items, if it is for several.
    pub fn for_each(&self) -> Option<&ForEach> {
        self.rare.as_ref()?.for_each.as_ref()
    }

    /// Whether it is made into several.
    pub fn is_whole(&self) -> bool {
        self.serves == Serves::Dispatch || self.for_each().is_some()
    }

    /// Its marks, if it generates operations.
    pub fn generator(&self) -> Option<&Generator> {
        self.rare.as_ref()?.generator.as_ref()
    }

    /// Whether it waits for whatever is not like it.
    pub fn is_last(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_last)
    }

    /// Whether it also starts while a run is being ended.
    pub fn is_cleanup(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_cleanup)
    }

    /// The operation that it is a part of.
    pub fn part_of(&self) -> Option<OpIx> {
        match self.origin {
            Some(Origin::Part { of, .. }) => Some(of),
            _ => None,
        }
    }
}

/// An agenda that was checked from end to end. Only [`Plan::build`] makes one; only a scheduler lets it grow.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who the agenda is.
    pub identity: Identity,
    operations: OpMap<PlannedOperation>,
    graph: Graph,
    exec_pod: Arc<PodConfig>,
    /// How programs of the run are launched.
    on: LaunchType,
    /// The operations that wait for whatever is not like them.
    last: Vec<OpIx>,
    /// What generated operations are planned with, if there may be any.
    roots: Option<Arc<types::Roots>>,
    /// The names of all operations, likewise.
    names: names::Names,
}

impl Plan {
    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// One operation.
    pub fn operation(&self, op: OpIx) -> &PlannedOperation {
        &self.operations[op]
    }

    /// All operations, in the order of the agenda.
    pub fn operations(&self) -> impl Iterator<Item = (OpIx, &PlannedOperation)> {
        self.operations.iter()
    }

    /// Who waits for whom.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The operations that wait for whatever is not like them.
    pub fn last(&self) -> &[OpIx] {
        &self.last
    }

    /// What launching an operation needs and offers.
    pub fn capabilities(&self, op: OpIx) -> Capabilities {
        match self.operations[op].serves {
            Serves::Resident(_) | Serves::Dispatch => Capabilities::RESIDENT,
            Serves::Exec | Serves::Program(_) => self.on.capabilities(),
        }
    }

    /// How containers and pods of type `exec` are made.
    pub fn exec_pod(&self) -> &Arc<PodConfig> {
        &self.exec_pod
    }

    /// The handlers that operations may have which come into the plan while it runs.
    pub fn handlers_to_come(&self) -> impl Iterator<Item = &Entry> {
        self.roots.iter().flat_map(|roots| roots.catalog.entries())
    }

    /// The operation of this name.
    pub fn find(&self, name: &str) -> Option<OpIx> {
        self.operations.iter().find(|(_, planned)| planned.name.as_str() == name).map(|(op, _)| op)
    }
}
