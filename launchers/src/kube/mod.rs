//! The Kubernetes launcher: programs as pods of a cluster.

mod api;
mod failure;
mod follow;
mod launcher;
mod log;
mod manifest;
mod sight;
mod volumes;
mod watch;

pub use api::client;
pub use launcher::KubernetesLauncher;
pub use manifest::pod_manifest;
