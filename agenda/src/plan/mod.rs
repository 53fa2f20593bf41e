//! The plan: an agenda in which nothing is unresolved.

mod build;
mod fit;
mod graph;
mod payload;

pub use graph::{Edge, EdgeKind, Graph};
pub(crate) use payload::Values;
pub use payload::{BindError, Payload};

use crate::document::Identity;
use crate::name::OperationName;
use crate::ops::{OpIx, OpMap};
use pop_policy::Policies;
use pop_registry::{Entry, PodConfig, Resident};
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
}

/// One operation, ready to be scheduled.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name.
    pub name: OperationName,
    /// Its id, only handed on.
    pub id: Option<Box<str>>,
    /// The type under which it was asked for.
    pub handler_type: Arc<str>,
    /// Who carries it out.
    pub serves: Serves,
    /// Its input.
    pub payload: Payload,
    /// Its policies, shared by operations with the same ones.
    pub policies: Arc<Policies>,
    /// Whether another operation reads its result.
    pub is_read: bool,
}

/// An agenda that was checked from end to end. Only [`Plan::build`] makes one.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who the agenda is.
    pub identity: Identity,
    operations: OpMap<Planned>,
    graph: Graph,
    exec_pod: Arc<PodConfig>,
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
    pub fn operation(&self, op: OpIx) -> &Planned {
        &self.operations[op]
    }

    /// All operations, in the order of the agenda.
    pub fn operations(&self) -> impl Iterator<Item = (OpIx, &Planned)> {
        self.operations.iter()
    }

    /// Who waits for whom.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How containers and pods of type `exec` are made.
    pub fn exec_pod(&self) -> &Arc<PodConfig> {
        &self.exec_pod
    }

    /// The operation of this name.
    pub fn find(&self, name: &str) -> Option<OpIx> {
        self.operations.iter().find(|(_, planned)| planned.name.as_str() == name).map(|(op, _)| op)
    }
}
