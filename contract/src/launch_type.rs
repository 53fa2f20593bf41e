//! The three ways to launch a program.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a program is launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum LaunchType {
    /// As a process on this machine.
    Local,
    /// As a container.
    Docker,
    /// As a pod.
    Kubernetes,
}

impl LaunchType {
    /// Every launch type.
    pub const ALL: [Self; 3] = [Self::Local, Self::Docker, Self::Kubernetes];

    /// The name of the launch type, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// Requirements and features of a launch type. Code checks a capability instead of comparing launch types, so that a
/// new launch type is described in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The program comes from an image; without one nothing can start.
    pub needs_image: bool,
    /// Programs are files of this machine, looked up in its folders and on its `PATH`.
    pub uses_host_programs: bool,
    /// Programs can read files of this machine at their own paths.
    pub reads_host_files: bool,
    /// A launch may wait for its image or its node before the program runs.
    pub has_pending_phase: bool,
    /// A launch survives its executor, and the next executor can find it.
    pub outlives_executor: bool,
    /// An engine or API server must answer before anything can be launched.
    pub needs_connection: bool,
    /// The platform itself supplies secrets that are stored in the cluster.
    pub supplies_cluster_secrets: bool,
    /// Why instances of a handler cannot serve several operations; `None` if they can.
    pub no_warm_instances: Option<&'static str>,
}

impl Capabilities {
    /// A handler inside the executor: nothing is launched, and it ends with the executor.
    pub const RESIDENT: Self = Self {
        needs_image: false,
        uses_host_programs: false,
        reads_host_files: false,
        has_pending_phase: false,
        outlives_executor: false,
        needs_connection: false,
        supplies_cluster_secrets: false,
        no_warm_instances: Some("a handler inside the executor starts nothing"),
    };
}

impl LaunchType {
    /// The capabilities of this launch type.
    pub const fn capabilities(self) -> Capabilities {
        let remote = Capabilities {
            needs_image: true,
            uses_host_programs: false,
            reads_host_files: false,
            has_pending_phase: true,
            outlives_executor: true,
            needs_connection: true,
            supplies_cluster_secrets: false,
            no_warm_instances: None,
        };
        match self {
            Self::Local => Capabilities {
                uses_host_programs: true,
                reads_host_files: true,
                no_warm_instances: None,
                ..Capabilities::RESIDENT
            },
            Self::Docker => Capabilities { reads_host_files: true, ..remote },
            Self::Kubernetes => Capabilities {
                supplies_cluster_secrets: true,
                no_warm_instances: Some("a socket of the executor does not reach the node of a pod"),
                ..remote
            },
        }
    }
}

impl fmt::Display for LaunchType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for LaunchType {
    type Error = UnknownLaunchType;
    fn try_from(word: String) -> Result<Self, UnknownLaunchType> {
        word.parse()
    }
}

impl From<LaunchType> for &'static str {
    fn from(launch_type: LaunchType) -> Self {
        launch_type.as_str()
    }
}

/// Error: the word is not a launch type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLaunchType(pub String);

impl fmt::Display for UnknownLaunchType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown launch type `{}`; use local, docker or kubernetes", self.0)
    }
}

impl std::error::Error for UnknownLaunchType {}

impl FromStr for LaunchType {
    type Err = UnknownLaunchType;

    /// Parses the name of a launch type, in any letter case.
    fn from_str(word: &str) -> Result<Self, UnknownLaunchType> {
        let found = Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(word.trim()));
        found.ok_or_else(|| UnknownLaunchType(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_letter_case_is_parsed_and_lower_case_printed() {
        for (word, wanted) in [
            ("Kubernetes", LaunchType::Kubernetes),
            ("LOCAL", LaunchType::Local),
            ("docker", LaunchType::Docker),
        ] {
            assert_eq!(word.parse(), Ok(wanted));
        }
        let message = "k8s".parse::<LaunchType>().unwrap_err().to_string();
        assert_eq!(message, "unknown launch type `k8s`; use local, docker or kubernetes");
    }
}
