//! The Docker launcher: programs as containers of a Docker Engine.

mod body;
mod config_map;
mod credentials;
mod engine;
mod failure;
mod follow;
mod launcher;

pub use body::container_body;
pub use launcher::DockerLauncher;
