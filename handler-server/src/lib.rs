//! Serves a handler to callers outside of a run, by ZeroMQ with the messages of SDS (docs/serve.md).
//!
//! [`Dispatcher`] decides which instance handles which request; it is pure, as are messages, envelopes and routes.
//! [`Server`] is the loop: it reads callers, starts instances through the launch port, and obeys the manager
//! ([`ControlSocket`]).

mod control;
mod dispatcher;
mod envelope;
mod error;
mod instances;
mod kind;
mod message;
mod outbox;
mod peers;
mod routes;
mod server;
mod settings;

pub use control::{
    Control, ControlError, ControlSocket, control_folder, free_id, running_ids, send_command, watch_events,
};
pub use dispatcher::Dispatcher;
pub use error::ServeError;
pub use kind::ServeKind;
pub use message::{BadRequest, Echo, Reply, Request};
pub use peers::Endpoint;
pub use routes::{DEPENDENCY_VARIABLE, DependencyError, dependency_variables};
pub use server::Server;
pub use settings::{DEFAULT_QUEUE, MAX_QUEUE, ServeSettings};
