//! Errors of run folders.

use std::io;
use std::path::{Path, PathBuf};

/// Reason why the folder of a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file in the folder cannot be read or written.
    #[error("`{}` cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The umask would remove the owner's own permissions from new files.
    #[error("with umask {umask:04o} you could not use the files that pop creates")]
    Umask {
        /// The umask.
        umask: u32,
    },
    /// There is no such run.
    #[error("there is no run `{run}` in `{}`", .runs.display())]
    NoRun {
        /// The id that was looked up.
        run: String,
        /// The folder of all runs.
        runs: PathBuf,
    },
    /// There are no runs, so none is the newest.
    #[error("there are no runs in `{}` yet", .runs.display())]
    NoRuns {
        /// The folder of all runs.
        runs: PathBuf,
    },
    /// Another process executes the run.
    #[error("run `{run}` is being executed by {owner}")]
    Held {
        /// The run.
        run: String,
        /// Description of the process.
        owner: String,
    },
    /// The digest of the inputs differs from the one in the journal.
    #[error("the inputs of run `{run}` were changed since it began")]
    InputsChanged {
        /// The run.
        run: String,
    },
    /// A path that the run would store or pass to programs is not UTF-8.
    #[error("the path `{}` is not UTF-8", .path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
}

impl FolderError {
    /// An error about a file of the folder.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
