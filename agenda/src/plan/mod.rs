//! The plan: an agenda with all names, types and references resolved.

mod batch;
mod body;
mod build;
mod condition;
mod dispatch;
mod edges;
mod exec;
mod files;
mod fit;
mod generated;
mod graph;
mod grow;
mod length;
mod names;
mod needs;
mod op_ref;
mod payload;
mod scope;
mod shared_files;
mod spelling;
mod types;
mod warm;

pub use body::Body;
pub(crate) use build::MOST_OPERATIONS;
pub use condition::{OutcomeGroup, When};
pub(crate) use dispatch::{Dispatch, PlannedCalls};
pub use files::{PlannedFiles, SourceFile};
pub use graph::{Dependant, Edge, EdgeKind, Graph};
pub(crate) use grow::Grown;
pub use needs::Needs;
pub use op_ref::OpRef;
pub use payload::{BindError, BoundPayload, Payload};
pub(crate) use payload::{Referent, Values};

use crate::document::{Finally, Generator, Identity, ItemFailures};
use crate::name::OperationName;
use crate::ops::{OpIx, OpMap};
use pop_contract::{Capabilities, LaunchType};
use pop_policy::{Policies, PolicyLayer};
use pop_registry::{Entry, PodConfig, RejectedHandler, Resident, RouteStep};
use std::collections::HashMap;
use std::sync::Arc;

/// Kind of handler of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Serves {
    /// The command in the payload of the operation.
    Exec,
    /// A handler inside the executor.
    Resident(Resident),
    /// The program of a registry entry.
    Program(Arc<Entry>),
    /// The handlers of the types in the payload.
    Dispatch,
    /// The operations in the payload (type `agenda`).
    Agenda(Arc<Body>),
}

/// A checked operation, ready to be scheduled.
#[derive(Debug, Clone)]
pub struct PlannedOperation {
    /// Name of the operation.
    pub name: OperationName,
    /// Id, passed to the handler as `OPERATION_ID`.
    pub id: Option<Box<str>>,
    /// Operation type.
    pub handler_type: Arc<str>,
    /// Selection of the handler; none for a call of a dispatch.
    pub route: Option<Arc<Route>>,
    /// Kind of handler.
    pub serves: Serves,
    /// Payload, shared by the instances of one operation.
    pub payload: Arc<Payload>,
    /// Policies, shared by operations with equal ones.
    pub policies: Arc<Policies>,
    /// Whether the run stores the result because another operation reads it.
    pub is_read: bool,
    /// Whether a failure only counts for its item, because `itemFailures` is `drop` or `keep`.
    pub is_absorbed: bool,
    /// Fields that few operations have; none if it has none of them.
    pub rare: Option<Arc<RareFields>>,
    /// Origin of an operation that the run added; none for an operation of the agenda.
    pub origin: Option<Origin>,
}

/// Selection of a handler, shared by operations with the same type, handler, version and action.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Id of the handler; none for a built-in one.
    pub handler: Option<Box<str>>,
    /// Version of the handler.
    pub version: Option<Box<str>>,
    /// Step of the selection that chose the handler.
    pub step: RouteStep,
    /// Rejected handlers with the reasons.
    pub passed_over: Vec<RejectedHandler>,
}

/// Fields that few operations have.
#[derive(Debug, Clone, Default)]
pub struct RareFields {
    /// The items of `forEach`; the run makes one instance for each.
    pub for_each: Option<ForEach>,
    /// Place of the operations to add, in the result.
    pub generator: Option<Generator>,
    /// Lock keys: a string or a list of strings.
    pub lock_keys: Option<Payload>,
    /// The operation's own params; only with `onFail: DLQ`.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Policies of a dispatch for its calls.
    pub own: Option<Box<PolicyLayer>>,
    /// Action of the handler.
    pub action: Option<Box<str>>,
    /// Whether the operation waits for every other one without this mark (`finally` without `dependsOn`).
    pub is_last: bool,
    /// Whether the operation is clean-up, which also starts while the run is ending.
    pub is_cleanup: bool,
    /// When a resumed run repeats it; none without `finally`.
    pub finally: Option<Finally>,
    /// Operations whose effects this clean-up removes.
    pub undoes: Vec<OpRef>,
    /// Whether the operation is skipped if a dependency does not have the outcome that `dependsOn` names.
    pub is_conditional: bool,
    /// Expression without which it is skipped.
    pub when: Option<Arc<When>>,
    /// Groups of `dependsOn`, which must all hold.
    pub groups: Vec<OutcomeGroup>,
    /// Generators whose operations it waits for, also those that these generate.
    pub awaits: Vec<OpRef>,
    /// Files that it reads and writes.
    pub files: Option<Box<PlannedFiles>>,
    /// Resources that an attempt of the operation, or of one of its instances, holds.
    pub needs: Option<Needs>,
}

/// The `forEach` of an operation.
#[derive(Debug, Clone)]
pub struct ForEach {
    /// The list of items.
    pub items: Payload,
    /// Maximum number of instances that run at once; none for no limit.
    pub max_parallel: Option<u32>,
    /// Name of each instance for people, a string; none for its index.
    pub item_name: Option<Payload>,
    /// Effect of an instance that fails.
    pub failures: ItemFailures,
}

/// Origin of an operation that the run added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An instance or a call.
    Part {
        /// The whole operation.
        of: OpIx,
        /// Index of the part, from 0.
        index: u32,
    },
    /// An operation of the body of an operation of type `agenda`.
    Inner {
        /// The operation of type `agenda`, or its instance.
        of: OpIx,
        /// Index in the body.
        index: u32,
    },
    /// An operation from the result of a generator.
    Generated {
        /// The generator.
        by: OpIx,
        /// Number of nested generators that led to the operation, from 1.
        depth: u32,
    },
}

impl PlannedOperation {
    /// Whether the operation may be skipped, so that its result is null.
    pub fn may_skip(&self) -> bool {
        let is_conditional = self.rare.as_ref().is_some_and(|rare| rare.is_conditional);
        // a skipped instance only leaves null in the list of results
        is_conditional || (self.for_each().is_none() && self.policies.may_skip())
    }

    /// The `forEach` of the operation, if any.
    pub fn for_each(&self) -> Option<&ForEach> {
        self.rare.as_ref()?.for_each.as_ref()
    }

    /// Whether the operation runs as several parts.
    pub fn is_whole(&self) -> bool {
        matches!(self.serves, Serves::Dispatch | Serves::Agenda(_)) || self.for_each().is_some()
    }

    /// The operations inside, if the operation is of type `agenda`.
    pub fn body(&self) -> Option<&Arc<Body>> {
        match &self.serves {
            Serves::Agenda(body) => Some(body),
            _ => None,
        }
    }

    /// The generator params of the operation, if any.
    pub fn generator(&self) -> Option<&Generator> {
        self.rare.as_ref()?.generator.as_ref()
    }

    /// Whether the operation waits for every other one without this mark (`finally` without `dependsOn`).
    pub fn is_last(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_last)
    }

    /// Whether the operation is clean-up, which also starts while the run is ending.
    pub fn is_cleanup(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_cleanup)
    }

    /// The operation of which this one is a part, if any.
    pub fn part_of(&self) -> Option<OpIx> {
        match self.origin {
            Some(Origin::Part { of, .. } | Origin::Inner { of, .. }) => Some(of),
            _ => None,
        }
    }
}

/// A fully checked agenda. Only [`Plan::build`] makes one, and only a scheduler adds operations to it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Ids and title of the agenda.
    pub identity: Identity,
    operations: OpMap<PlannedOperation>,
    graph: Graph,
    pub(crate) exec_pod: Arc<PodConfig>,
    /// Launcher of the programs.
    pub(crate) on: LaunchType,
    /// Operations with [`RareFields::is_last`].
    last: Vec<OpIx>,
    /// Context to plan added operations; none if the run cannot add any.
    context: Option<Arc<types::PlanContext>>,
    /// Names of all operations; empty if the run cannot generate any.
    names: names::Names,
    /// Values of the agenda's inputs, a map.
    inputs: Arc<serde_json::Value>,
    /// Names of items for people, by instance.
    labels: HashMap<OpIx, Box<str>>,
    /// Operations that wait for everything that a generator adds, by generator.
    awaiting: HashMap<OpIx, Vec<OpIx>>,
    /// Operations that a generator has added, by generator.
    generated: HashMap<OpIx, Vec<OpIx>>,
    /// Files that must exist before the run.
    source_files: Vec<SourceFile>,
}

impl Plan {
    /// Number of operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are no operations.
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

    /// The dependencies between operations.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Values of the agenda's inputs, a map.
    pub fn inputs(&self) -> &serde_json::Value {
        &self.inputs
    }

    /// The operations that wait for every other one.
    pub fn last(&self) -> &[OpIx] {
        &self.last
    }

    /// Capabilities of the launcher of an operation.
    pub fn capabilities(&self, op: OpIx) -> Capabilities {
        match self.operations[op].serves {
            Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => Capabilities::RESIDENT,
            Serves::Exec | Serves::Program(_) => self.on.capabilities(),
        }
    }

    /// Pod configuration for type `exec`.
    pub fn exec_pod(&self) -> &Arc<PodConfig> {
        &self.exec_pod
    }

    /// Handlers that operations added during the run may use.
    pub fn handlers_to_come(&self) -> impl Iterator<Item = &Entry> {
        self.context.iter().flat_map(|context| context.catalog.entries())
    }

    /// The same plan, in which any number of instances of an operation may run at once.
    #[must_use]
    pub fn without_part_limits(mut self) -> Self {
        for planned in self.operations.values_mut() {
            if let Some(rare) = planned.rare.as_mut().filter(|rare| rare.for_each.is_some())
                && let Some(for_each) = &mut Arc::make_mut(rare).for_each
            {
                for_each.max_parallel = None;
            }
        }
        self
    }

    /// Whether an operation needs resources, or the run may add operations, which may need some.
    pub fn may_need_resources(&self) -> bool {
        let needs =
            |planned: &PlannedOperation| planned.rare.as_ref().is_some_and(|rare| rare.needs.is_some());
        self.context.is_some() || self.templates().any(needs)
    }

    /// The operation with this name.
    pub fn find(&self, name: &str) -> Option<OpIx> {
        self.operations.iter().find(|(_, planned)| planned.name.as_str() == name).map(|(op, _)| op)
    }
}
