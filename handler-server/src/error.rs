//! Why a handler cannot be served or managed.

use crate::peers::Endpoint;
use pop_contract::Failure;
use std::io;
use std::path::PathBuf;

/// Why a handler cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An endpoint cannot be bound.
    #[error("cannot listen on {endpoint}: {source}")]
    Bind {
        /// The endpoint.
        endpoint: Endpoint,
        /// The reason of the operating system.
        source: io::Error,
    },
    /// The folder for payloads cannot be made.
    #[error("cannot make a folder for payloads: {0}")]
    Folder(io::Error),
    /// The socket of the manager cannot be bound.
    #[error("cannot listen on {}: {source}", .path.display())]
    Manager {
        /// Its path.
        path: PathBuf,
        /// The reason of the operating system.
        source: io::Error,
    },
    /// No instance starts.
    #[error("no instance starts: {}", .0.message)]
    Start(Box<Failure>),
}
