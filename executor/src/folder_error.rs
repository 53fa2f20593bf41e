//! Why the folder of a run cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// A run's folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file in it cannot be read or written.
    #[error("`{}` cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// New files would have no rights for their owner.
    #[error("with umask {umask:04o} this user could not use the files that pop makes")]
    Umask {
        /// The umask.
        umask: u32,
    },
    /// There is no such run.
    #[error("there is no run `{run}` in `{}`", .runs.display())]
    NoRun {
        /// The run asked for.
        run: String,
        /// The folder of all runs.
        runs: PathBuf,
    },
    /// Another executor is at it.
    #[error("run `{run}` is being executed by {owner}")]
    Held {
        /// The run.
        run: String,
        /// Who.
        owner: String,
    },
    /// The inputs are not those that the journal was begun with.
    #[error("the inputs of run `{run}` were changed since it began")]
    InputsChanged {
        /// The run.
        run: String,
    },
    /// A path that the run would write down or hand to programs is not UTF-8.
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
