//! The Docker launcher: programs as containers of a Docker Engine, which may be Podman.
//!
//! It uses HTTP without a client library: bollard fails if a newer Engine adds a value to its answers.

mod address;
mod api;
mod body;
mod config_map;
mod connection;
mod container;
mod container_usage;
mod credentials;
mod ended;
mod engine;
mod error;
mod failure;
mod follow;
mod frames;
mod launch;
mod launcher;
mod mounts;
mod output_stream;
mod received_output;
mod start_failure;
mod sweep;
mod variables;
mod verdict;

pub use body::container_body;
pub use ended::{EndedContainer, EndedContainers};
pub use launcher::DockerLauncher;
