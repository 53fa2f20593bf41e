//! What surrounds launches: given once to a launcher by whoever makes it.

use crate::secrets::Secrets;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What surrounds launches, the same for all that one launcher starts.
#[derive(Clone, Default)]
pub struct Setting {
    /// The variables of this process: processes inherit them, containers and pods do not.
    pub surroundings: Vec<(OsString, OsString)>,
    /// The variables that every program is given.
    pub variables: Vec<(String, String)>,
    /// Where programs start unless told otherwise; containers find it at the same path.
    pub folder: PathBuf,
    /// The folder beside which configuration and relative files of secrets are looked for.
    pub home: Option<PathBuf>,
    /// What ends leftovers of this process when it is killed ([`crate::ProcessLauncher::holding_on`]).
    pub guard_command: Option<Vec<String>>,
    /// How long a pod has from SIGTERM to SIGKILL when the caller stops it; a minute if it is not given.
    pub grace: Option<Duration>,
    /// The run whose containers and pods are this launcher's alone: what of it nobody follows is ended.
    pub run: Option<String>,
    /// How a cluster is reached.
    pub cluster: Cluster,
    /// The secrets of all programs, and what of them is to be hidden.
    pub secrets: Secrets,
}

impl Setting {
    /// A variable of this process.
    pub fn surrounding(&self, name: &str) -> Option<&str> {
        let found = self.surroundings.iter().rev().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.to_str()).filter(|value| !value.is_empty())
    }
}

/// How a cluster is reached; what is not given is found as `kubectl` finds it, or by the pod this process runs in.
#[derive(Clone, Default)]
pub struct Cluster {
    /// The address of the API server.
    pub master_url: Option<String>,
    /// Where pods are made.
    pub namespace: Option<String>,
    /// A node label that must be `true`.
    pub zone: Option<String>,
    /// The certificate of the cluster's authority, as PEM.
    pub authority: Option<String>,
    /// The token that this process shows.
    pub token: Option<String>,
    /// The name of the pod that this process runs in.
    pub own_pod: Option<String>,
}
