//! The settings that all launches of a launcher share.

use crate::secrets::Secrets;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Settings that are the same for all programs of one launcher.
#[derive(Clone, Default)]
pub struct Setting {
    /// The variables of this process: processes inherit them, containers and pods do not.
    pub surroundings: Vec<(OsString, OsString)>,
    /// The variables of every program.
    pub variables: Vec<(String, String)>,
    /// Default working directory of programs; containers see it at the same path.
    pub folder: PathBuf,
    /// Base folder of configuration and of relative secret files.
    pub home: Option<PathBuf>,
    /// The command that kills remaining processes if this process is killed ([`crate::ProcessLauncher::holding_on`]).
    pub guard_command: Option<Vec<String>>,
    /// Time between SIGTERM and SIGKILL for a pod that the caller stops; `None`: one minute.
    pub grace: Option<Duration>,
    /// The run that owns this launcher's containers and pods: those that no launch follows are removed.
    pub run: Option<String>,
    /// Access to the cluster.
    pub cluster: Cluster,
    /// The secrets of all programs, and the values to mask.
    pub secrets: Secrets,
}

impl Setting {
    /// A variable of this process.
    pub fn surrounding(&self, name: &str) -> Option<&str> {
        let found = self.surroundings.iter().rev().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.to_str()).filter(|value| !value.is_empty())
    }
}

/// Access to a cluster. Missing fields default to those of `kubectl`, or of the pod that this process runs in.
#[derive(Clone, Default)]
pub struct Cluster {
    /// The address of the API server.
    pub master_url: Option<String>,
    /// Namespace of the pods.
    pub namespace: Option<String>,
    /// A node label that must be `true`.
    pub zone: Option<String>,
    /// The certificate of the cluster's authority, as PEM.
    pub authority: Option<String>,
    /// The bearer token of this process.
    pub token: Option<String>,
    /// The name of the pod that this process runs in.
    pub own_pod: Option<String>,
}
