//! The Kubernetes launcher: programs as pods of a cluster.

mod api;
#[cfg(test)]
mod cut_log_tests;
mod failure;
mod follow;
mod launcher;
mod limits;
mod log_reader;
mod log_stamps;
mod manifest;
mod pod_status;
mod volumes;
mod wait_reason;
mod watch;
mod working_folder;

pub use api::client;
pub use launcher::KubernetesLauncher;
pub use manifest::pod_manifest;
