//! Errors of assembling, opening and resuming runs.

use pop_executor::{FolderError, JournalError, LetterError};
use pop_field_retriever::{LaunchDataError, OauthError};
use std::io;
use std::path::PathBuf;

/// Reason why a run cannot be assembled, opened or resumed. Faults of agenda, registry and descriptors are in
/// [`crate::TextFaults`].
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// Launch data are invalid.
    #[error(transparent)]
    LaunchData(#[from] LaunchDataError),
    /// Launch data have only some of the credentials for a cluster.
    #[error(transparent)]
    Oauth(#[from] OauthError),
    /// The folder of descriptors cannot be read.
    #[error("cannot read the descriptors in `{}`: {source}", .folder.display())]
    Descriptors {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A path that is stored with a run or passed to programs is not UTF-8.
    #[error("the path `{}` is not UTF-8", .path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A path cannot be made absolute.
    #[error("the path `{}` cannot be made absolute: {source}", .path.display())]
    NotAbsolute {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder of the run cannot be used.
    #[error(transparent)]
    Folder(FolderError),
    /// The journal of the run cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The frozen inputs give no plan.
    #[error("the frozen agenda of the run no longer plans")]
    FrozenInputs,
    /// The frozen registry is not UTF-8.
    #[error("the frozen registry of the run cannot be read")]
    FrozenRegistry,
    /// The frozen settings name a launcher that this pop does not know.
    #[error("{why}")]
    FrozenLauncher {
        /// Message with the known launchers.
        why: String,
    },
    /// A request has the id of a run that began with other inputs.
    #[error("run `{run}` began with {difference}")]
    OtherInputs {
        /// The run.
        run: String,
        /// The difference, for example "another agenda".
        difference: &'static str,
    },
    /// A resumed run would have too little of a resource.
    #[error("operation `{operation}` needs {resource} {needed}, but the run would have {total} in all")]
    Resources {
        /// The operation.
        operation: String,
        /// Name of the resource.
        resource: String,
        /// Amount that the operation needs.
        needed: String,
        /// Total of the resource.
        total: String,
    },
    /// A dead letter cannot be read or changed.
    #[error(transparent)]
    Letter(#[from] LetterError),
    /// A dead letter cannot be replayed.
    #[error("dead letter {id} cannot be replayed: {why}")]
    NoReplay {
        /// Id of the dead letter.
        id: String,
        /// The reason.
        why: String,
    },
    /// A run that still runs cannot be the parent of a rerun.
    #[error("run {run} still runs, so its results are not complete")]
    ParentRuns {
        /// The run.
        run: String,
    },
    /// The folder in which the programs of the parent started does not exist.
    #[error("the folder `{}`, in which run {run} started its programs, does not exist", .folder.display())]
    NoStartFolder {
        /// The run.
        run: String,
        /// The folder.
        folder: PathBuf,
    },
    /// The replay of a dead letter cannot be the parent of a rerun.
    #[error("run {run} replays a dead letter, so it has no agenda to run again")]
    RerunOfReplay {
        /// The run.
        run: String,
        /// Run and operation of the dead letter, separated by a space.
        letter: String,
    },
    /// The user asks for the operations that failed, and none did.
    #[error("no operation of run {run} failed")]
    NothingFailed {
        /// The run.
        run: String,
    },
    /// Neither the agenda nor the parent has an operation of this name.
    #[error("there is no operation `{name}`")]
    UnknownOperation {
        /// The name.
        name: String,
        /// A similar name.
        near: Option<String>,
    },
    /// The records of the parent cannot be written.
    #[error("the records of the parent cannot be written: {why}")]
    ParentRecords {
        /// The reason.
        why: String,
    },
    /// A dead letter was replayed before, and the request does not allow another replay.
    #[error("dead letter {id} was replayed before, by {runs}")]
    ReplayedBefore {
        /// Id of the dead letter.
        id: String,
        /// Ids of the runs that replayed it, separated by commas.
        runs: String,
    },
}

impl From<FolderError> for AssemblyError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::NotUtf8 { path } => Self::NotUtf8 { path },
            error => Self::Folder(error),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
