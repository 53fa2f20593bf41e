//! The three ways to launch a program.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a program is, or was, launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum LaunchType {
    /// As a process of this machine.
    Local,
    /// As a container.
    Docker,
    /// As a pod.
    Kubernetes,
}

impl LaunchType {
    /// Every launch type.
    pub const ALL: [Self; 3] = [Self::Local, Self::Docker, Self::Kubernetes];

    /// Its word, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
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

/// A word that names no launch type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLaunchType(pub String);

impl fmt::Display for UnknownLaunchType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no launch type; it is local, docker or kubernetes", self.0)
    }
}

impl std::error::Error for UnknownLaunchType {}

impl FromStr for LaunchType {
    type Err = UnknownLaunchType;

    /// Reads one of the words, in any letter case.
    fn from_str(word: &str) -> Result<Self, UnknownLaunchType> {
        let found = Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(word.trim()));
        found.ok_or_else(|| UnknownLaunchType(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p2_any_letter_case_is_read_and_lower_case_is_printed() {
        for (word, wanted) in [
            ("Kubernetes", LaunchType::Kubernetes),
            ("LOCAL", LaunchType::Local),
            ("docker", LaunchType::Docker),
        ] {
            assert_eq!(word.parse(), Ok(wanted));
        }
        let said = "k8s".parse::<LaunchType>().unwrap_err().to_string();
        assert_eq!(said, "`k8s` is no launch type; it is local, docker or kubernetes");
    }
}
