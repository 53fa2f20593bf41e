//! Kubernetes operators in any language: the handler is a program of the registry.
//!
//! [`OperatorFile`] reads `operator.yaml`: the kinds of the operator and the type of its handler. [`ProgramHandler`] calls
//! that handler with each [`SyncRequest`](pop_operator::SyncRequest) as payload ([`payload`]) and reads the response from its
//! result (docs/operator.md).
//!
//! *Guarantees.* A result with a fault changes nothing in the cluster; the error names the field.

mod exchange;
mod operator_file;
mod program_handler;

pub use exchange::{payload, read_finalize, read_sync};
pub use operator_file::{OperatorFile, PrinterColumn};
pub use program_handler::ProgramHandler;
