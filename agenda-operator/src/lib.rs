//! Agendas as Kubernetes resources: one executor pod for each Agenda.
//!
//! [`definition`] is the CustomResourceDefinition. [`AgendaHandler`] is the handler of its operator: it turns an Agenda and
//! the pods that the cluster has into a status and the pods that should exist. The executor pod runs `pop run`, which starts
//! the pods of the operations and annotates its own pod with the progress. The operator only reads these annotations, so it
//! may be away for any time.
//!
//! *Guarantees.* At most one executor pod of an Agenda works at a time: the next one is created when every earlier one is
//! gone. What the last progress shows as succeeded is not run again by the next pod. An Agenda gets one outcome for each
//! run, and it never changes. *Assumptions.* Only this operator creates pods with its labels. The handler has no clock and
//! reads no ConfigMap by itself: both are passed in as [`Surroundings`].

mod crd;
mod executor_pod;
mod handler;
mod manifest;
mod names;
mod run;
mod spec;
mod status;

pub use crd::{GROUP, KIND, PLURAL, VERSION, definition};
pub use handler::{AgendaHandler, AgendaText, Check, ReadConfigMap, Surroundings, config};
pub use manifest::ExecutorDefaults;
