//! Runs a Kubernetes operator: the effects around the pure crate `pop-operator`.
//!
//! [`run`] lists and watches the parents and each kind of children, calls the [`Handler`](pop_operator::Handler) for each
//! change, performs its writes, and takes part in the leader election.
//!
//! *Guarantees.* At most one sync per parent runs at a time. A change during a sync leads to exactly one more. A child
//! that vanished while a watch was broken is noticed at the next list. A kind of children that the API server refuses
//! holds up only the writes of that kind. Nothing is written unless this replica leads. Nothing is sent while nothing
//! changes, but the watches and the renewals of the Lease.
//! *Assumptions.* Resource versions of one kind are numbers that grow. The handler returns: a sync that hangs keeps its
//! place, and a graceful end waits for it.

mod api;
mod cache;
mod events;
mod health;
mod http;
mod lease;
mod metrics;
mod operator;
mod perform;
mod queue;
mod settings;
mod sync;
mod watch;

pub use api::read_object;
pub use kube::Client;
pub use operator::{Operator, run};
pub use settings::{HttpSettings, LeaseTarget, RuntimeError, Settings};
