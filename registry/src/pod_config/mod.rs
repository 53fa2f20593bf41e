//! PodConfig: typed configuration of a handler's pod or container.

mod fields;
mod layer;
mod name_rules;
mod read;

pub use fields::field_names;
pub(crate) use fields::{check, of_entry, of_exec};
pub use layer::{Layer, SourcedValue};
pub(crate) use name_rules::{KEY, NAME, VARIABLE};
pub(crate) use read::{checked, required};

use pop_policy::{Cpu, Memory};
use std::time::Duration;

/// Configuration of a handler's pod or container: the merged and checked layers of a registry.
///
/// A field without a value is not requested. Amounts are never zero, and a limit is never below its request.
#[derive(Debug, Clone, PartialEq)]
pub struct PodConfig {
    /// Prefix of pod and container names.
    pub name_prefix: Option<String>,
    /// Container image.
    pub image: Option<String>,
    /// Container arguments.
    pub arguments: Vec<String>,
    /// Container environment.
    pub env_vars: Vec<(String, String)>,
    /// Service account of the pod.
    pub service_account: Option<String>,
    /// CPU request.
    pub cpu_request: Option<Cpu>,
    /// CPU limit.
    pub cpu_limit: Option<Cpu>,
    /// Memory request.
    pub memory_request: Option<Memory>,
    /// Memory limit.
    pub memory_limit: Option<Memory>,
    /// Whether to delete the pod when it has ended.
    pub reap_completed: bool,
    /// Whether to pull the image even if it is present.
    pub pull_always: bool,
    /// Longest time until the program runs.
    pub scheduled_timeout: Duration,
    /// Longest time without output; none means unlimited.
    pub stdout_timeout: Option<Duration>,
    /// Text that ends the log of a successful pod of POP. It is shown, and has no effect in pop.
    pub end_of_log: Option<String>,
    /// Preferred nodes, and the taint to tolerate.
    pub taints: Option<Taints>,
    /// Whether the container is privileged.
    pub privileged: bool,
    /// Whether to mount an empty folder for dumps at `/app/dumps`.
    pub empty_dir_logging: bool,
    /// Mounted config maps.
    pub config_maps: Vec<ConfigMapSetting>,
    /// Mounted NFS exports.
    pub nfs: Vec<Nfs>,
    /// Mounted folders and sockets of the node.
    pub host_paths: Vec<HostPath>,
    /// Liveness probe, for a pod that must end with the process that started it.
    pub alive_check: Option<AliveCheck>,
    /// Additional labels.
    pub labels: Vec<(String, String)>,
    /// Mount path of the folder in which pop was started.
    pub workspace_mount_path: Option<String>,
}

/// Nodes reserved for some pods by the label `dedicated` (preferred) and the taint `dedicated` (tolerated).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taints {
    /// Value of the label `dedicated`.
    pub selector: String,
    /// Value of the taint `dedicated`.
    pub toleration: String,
}

/// A config map mounted as a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMapSetting {
    /// Name of the config map; required to mount it.
    pub config_map_name: Option<String>,
    /// Name of the volume.
    pub volume_name: String,
    /// Mount path in the container.
    pub mount_path: String,
    /// Keys, each with the path of its file in the folder. Empty means all keys under their own names.
    pub keys: Vec<(String, String)>,
}

/// An NFS export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nfs {
    /// NFS server.
    pub server: String,
    /// Path on the server.
    pub path: String,
    /// Mount paths in the container.
    pub mount_paths: Vec<String>,
    /// Whether the mount is read-only.
    pub read_only: bool,
}

/// A folder or socket of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPath {
    /// Path on the node.
    pub path: String,
    /// Path in the container.
    pub mount_path: String,
    /// Whether the mount is read-only.
    pub read_only: bool,
}

/// A liveness probe: the node requests a URL, and Kubernetes ends the container when the URL stops answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliveCheck {
    /// Host of the URL; without it there is no probe.
    pub host: Option<String>,
    /// Path of the URL.
    pub path: String,
    /// Port of the URL.
    pub port: u16,
    /// Whether the probe is enabled.
    pub linking: bool,
    /// Time between two requests.
    pub interval: Duration,
    /// Failed requests in a row before the pod ends.
    pub failure_threshold: u32,
}

#[cfg(test)]
mod tests;
