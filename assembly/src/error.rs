//! Why a run cannot be assembled, opened or resumed.

use pop_executor::{FolderError, JournalError, LetterError};
use pop_field_retriever::{LaunchDataError, OauthError};
use std::io;
use std::path::PathBuf;

/// Why a run cannot be assembled, opened or resumed. Faults of texts are not among these: [`crate::TextFaults`] has them.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// Launch data do not fit.
    #[error(transparent)]
    LaunchData(#[from] LaunchDataError),
    /// Launch data say only half of what a cluster needs.
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
    /// A path that is kept with a run or handed to programs is not UTF-8.
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
    /// The frozen inputs do not make a plan.
    #[error("the frozen agenda of the run does not plan any more")]
    FrozenInputs,
    /// The frozen registry is no text.
    #[error("the registry that the run has kept cannot be read")]
    FrozenRegistry,
    /// The frozen settings name a launcher that this pop does not know.
    #[error("{why}")]
    FrozenLauncher {
        /// Which words are known.
        why: String,
    },
    /// A request with the id of a run that began with something else.
    #[error("run `{run}` was begun with {difference}")]
    OtherInputs {
        /// The run.
        run: String,
        /// What differs, such as "another agenda".
        difference: &'static str,
    },
    /// A dead letter cannot be read or changed.
    #[error(transparent)]
    Letter(#[from] LetterError),
    /// A dead letter cannot be replayed.
    #[error("dead letter {id} cannot be replayed: {why}")]
    NoReplay {
        /// The letter.
        id: String,
        /// The reason.
        why: String,
    },
    /// A dead letter was replayed before, and nobody asks for another time.
    #[error("dead letter {id} was replayed before, by {runs}")]
    ReplayedBefore {
        /// The letter.
        id: String,
        /// The runs that replayed it.
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
