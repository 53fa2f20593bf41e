//! Why a program could not be examined.

use pop_field_retriever::PayloadError;
use std::io;

/// Why a program could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError {
    /// The payload is not JSON.
    #[error("payload is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The payload does not fit into a variable.
    #[error("payload cannot be passed in PAYLOAD")]
    Payload(#[from] PayloadError),
    /// The folder of a launch could not be created.
    #[error("cannot create a folder for the launch")]
    Folder(#[from] io::Error),
    /// The machine could not start the program, or could not kill it.
    #[error("{0}")]
    Machine(String),
}
