//! A Kubernetes operator as one function from the seen to the desired state.
//!
//! A [`Handler`] gets a parent with its children and returns the status and the children that should exist.
//! [`reconcile`] turns that answer into an ordered list of [`Write`]s. [`LeaderElection`] decides which of several
//! replicas works. This crate is pure: another one watches the API server, performs the writes and reads the clock.
//!
//! *Guarantees.* Every fault of an answer is found before the first write. An object that the parent does not own is
//! never deleted, and it is changed only to repair its missing label or ownerReference. With [`Strategy::Replace`],
//! fields, labels and finalizers of others survive. At most one replica leads.
//! *Assumptions.* All objects come from one API server. Each write carries its precondition (resource version or uid).

mod backoff;
mod compare;
mod failable;
mod finalizer;
mod handler;
mod kinds;
mod lease;
mod object;
mod overlay;
mod path;
mod rbac;
mod reconcile;
mod settle;
pub mod testing;
mod validate;
mod write;
mod write_plan;

pub use backoff::{Backoff, Failures};
pub use compare::{Difference, differences, exact_differences, is_equal};
pub use failable::{Failable, FailableHandler, HandlerResult};
pub use finalizer::{Phase, add_finalizer, phase, remove_finalizer};
pub use handler::{Error, FinalizeResponse, Handler, SyncRequest, SyncResponse, minimal_child};
pub use kinds::{ChildConfig, ConfigError, KindConfig, OperatorConfig, Ownership, Strategy, guess_plural};
pub use lease::{Action, Answer, Input, LeaderElection, Lease, LeaseSettings};
pub use object::{GroupKind, ObjectId, annotation, controller_of, is_deleting, label, metadata_text};
pub use overlay::{applied_paths, dropped_paths, lay_over, remove_paths};
pub use path::{Path, Segment};
pub use rbac::{PolicyRule, rules};
pub use reconcile::{Pass, ReconcileError, reconcile};
pub use settle::{SettleGuard, Unsettled};
pub use validate::{ChildFault, ChildProblem};
pub use write::{DeleteReason, ObjectWrite, Target, Write};
pub use write_plan::{plan_finalize, plan_sync};
