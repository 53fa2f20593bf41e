//! The variables and the current folder of this process.

use pop_executor::RunIdentity;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// A snapshot of the variables and the current folder of a process.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The variables.
    pub variables: Vec<(OsString, OsString)>,
    /// The current folder, absolute.
    pub folder: PathBuf,
}

impl Surroundings {
    /// The variables and the current folder of this process.
    pub fn capture() -> io::Result<Self> {
        Ok(Self { variables: std::env::vars_os().collect(), folder: std::env::current_dir()? })
    }

    /// Only the variables of this process, for runs whose programs start in the folder of their settings.
    pub fn capture_variables() -> Self {
        Self { variables: std::env::vars_os().collect(), folder: PathBuf::new() }
    }

    /// The variable `LOG_LEVEL` for programs: that of this process, or `INFO`. Containers and pods inherit no variables,
    /// so it is set explicitly.
    pub(crate) fn log_level(&self) -> (String, String) {
        let level = self.variable("LOG_LEVEL").and_then(OsStr::to_str).filter(|level| !level.is_empty());
        ("LOG_LEVEL".to_owned(), level.unwrap_or("INFO").to_owned())
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str())
    }

    /// The value of `PATH`.
    pub(crate) fn path(&self) -> Option<&OsStr> {
        self.variable("PATH")
    }

    /// The folder that a variable names. A relative path counts as none.
    pub(crate) fn folder_variable(&self, name: &str) -> Option<&Path> {
        self.variable(name).map(Path::new).filter(|path| path.is_absolute())
    }

    /// The variables without those that configure this process and would mislead a program.
    pub fn for_programs(&self) -> impl Iterator<Item = (OsString, OsString)> {
        let is_foreign = |name: &OsString| name.to_str().is_some_and(RunIdentity::is_foreign);
        self.variables.iter().filter(move |(name, _)| !is_foreign(name)).cloned()
    }
}
