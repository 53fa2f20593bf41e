//! PodConfig: how the pod or container of a handler is made, in types.

mod fields;
mod grammar;
mod layer;
mod quantity;
mod read;

pub use fields::field_names;
pub(crate) use fields::{check, of_entry, of_exec};
pub(crate) use grammar::{KEY, NAME, VARIABLE};
pub use layer::{Layer, SourcedValue};
pub(crate) use quantity::quantity;
pub use quantity::{Cpu, Memory, QuantityError};
pub(crate) use read::{checked, needed};

use std::time::Duration;

/// How the pod or container of a handler is made: the layers of a registry laid over one another, and checked.
///
/// What has no value is not asked for. Amounts are never zero, and a limit is never below its request.
#[derive(Debug, Clone, PartialEq)]
pub struct PodConfig {
    /// What names of pods and containers begin with.
    pub name_prefix: Option<String>,
    /// The image.
    pub image: Option<String>,
    /// Arguments of the container.
    pub arguments: Vec<String>,
    /// Environment of the container.
    pub env_vars: Vec<(String, String)>,
    /// The service account of the pod.
    pub service_account: Option<String>,
    /// CPU that is kept free for it.
    pub cpu_request: Option<Cpu>,
    /// CPU that it may use at most.
    pub cpu_limit: Option<Cpu>,
    /// Memory that is kept free for it.
    pub memory_request: Option<Memory>,
    /// Memory that it may use at most.
    pub memory_limit: Option<Memory>,
    /// Whether the pod is deleted when it has ended.
    pub reap_completed: bool,
    /// Whether the image is pulled even if it is there.
    pub pull_always: bool,
    /// How long it may take until the program runs.
    pub scheduled_timeout: Duration,
    /// How long it may print nothing; only a registry sets it.
    pub stdout_timeout: Option<Duration>,
    /// The text with which the log of a program that succeeded ends.
    pub end_of_log: Option<String>,
    /// The nodes that it prefers, and whose taint it bears.
    pub taints: Option<Taints>,
    /// Whether the container is privileged.
    pub privileged: bool,
    /// Whether there is an empty folder for dumps, `/app/dumps`.
    pub empty_dir_logging: bool,
    /// Config maps that are mounted.
    pub config_maps: Vec<ConfigMapSetting>,
    /// NFS exports that are mounted.
    pub nfs: Vec<Nfs>,
    /// Folders and sockets of the machine that are mounted.
    pub host_paths: Vec<HostPath>,
    /// How a pod finds out that who started it is gone.
    pub alive_check: Option<AliveCheck>,
    /// More labels.
    pub labels: Vec<(String, String)>,
    /// Where the folder of the run is mounted.
    pub workspace_mount_path: Option<String>,
}

/// Nodes kept for some pods: a label that is preferred, and a taint that is borne; both are called `dedicated`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taints {
    /// The value of the label `dedicated`.
    pub selector: String,
    /// The value of the taint `dedicated`.
    pub toleration: String,
}

/// A config map mounted as a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMapSetting {
    /// Its name; without one nothing can be mounted.
    pub config_map_name: Option<String>,
    /// The name of the volume.
    pub volume_name: String,
    /// The folder that it becomes.
    pub mount_path: String,
    /// Its keys, each with the path of its file in the folder; none: all keys, each under its own name.
    pub keys: Vec<(String, String)>,
}

/// An NFS export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nfs {
    /// The server.
    pub server: String,
    /// The path on the server.
    pub path: String,
    /// The folders that it becomes.
    pub mount_paths: Vec<String>,
    /// Whether nothing may be written.
    pub read_only: bool,
}

/// A folder or socket of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPath {
    /// Where it is on the machine.
    pub path: String,
    /// Where it is in the container.
    pub mount_path: String,
    /// Whether nothing may be written.
    pub read_only: bool,
}

/// A page that a pod asks for again and again; without an answer it ends itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliveCheck {
    /// The host that is asked; none: the one that started the pod.
    pub host: Option<String>,
    /// The path of the page.
    pub path: String,
    /// The port.
    pub port: u16,
    /// Whether it is asked at all.
    pub linking: bool,
    /// The time between two questions.
    pub interval: Duration,
    /// How many answers may fail in a row.
    pub failure_threshold: u32,
}

#[cfg(test)]
mod tests;
