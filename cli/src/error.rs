//! Errors that end a command early: kind, message, hint and exit code.

use crate::ui;
use pop_assembly::AssemblyError;
use pop_conformance::ConformanceError;
use pop_executor::{FolderError, HostError, JournalError, LetterError, RunError};
use pop_field_retriever::{LaunchDataError, OauthError};
use std::process::ExitCode;

/// Hint for a path that is not UTF-8.
pub(crate) const RENAME: &str = "rename it: pop stores paths and passes them to programs as UTF-8 text";

/// Kind of error; decides the exit code (docs/formats/exit-codes.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Internal error in pop, or an error of the operating system.
    Internal,
    /// Invalid command line, or an unknown run, operation or type.
    Usage,
    /// Invalid agenda.
    Agenda,
    /// Invalid registry or settings.
    Registry,
    /// The Docker Engine or the cluster cannot be reached.
    Unreachable,
    /// The journal cannot be used, or the run cannot be resumed.
    Journal,
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Agenda => 3,
            Self::Registry => 4,
            Self::Unreachable => 14,
            Self::Journal => 15,
        }
    }
}

/// An error that ends a command early.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    /// Message for people; `None` if it has been printed already.
    message: Option<String>,
    hint: Option<String>,
}

impl CommandError {
    /// Creates an error with a message.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: Some(message.into()), hint: None }
    }

    /// Creates an error whose faults have been printed already.
    pub(crate) fn printed(kind: Kind) -> Self {
        Self { kind, message: None, hint: None }
    }

    /// Adds a hint: what the user can do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Message, for a command that continues.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Prints message and hint, and returns the exit code.
    pub(crate) fn print(self) -> ExitCode {
        if let Some(message) = self.message {
            ui::say(&format!("error: {message}"));
        }
        if let Some(hint) = self.hint {
            ui::say(&format!("hint: {hint}"));
        }
        ExitCode::from(self.kind.exit_code())
    }
}

/// Formats an error and all its causes in one line.
fn with_causes(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

impl From<FolderError> for CommandError {
    fn from(error: FolderError) -> Self {
        let (kind, hint) = match &error {
            FolderError::NoRun { .. } => {
                (Kind::Usage, Some("`pop runs` lists the runs; `last` is the newest"))
            }
            FolderError::NoRuns { .. } => (
                Kind::Usage,
                Some(
                    "start one: `pop run agenda.yaml`; `--runs DIR` or POP_RUNS names another folder of runs",
                ),
            ),
            FolderError::Held { .. } => {
                (Kind::Journal, Some("`pop wait RUN` waits for its end, `pop cancel RUN` ends it"))
            }
            FolderError::InputsChanged { .. } => (
                Kind::Journal,
                Some("a run resumes only with its original inputs; start a new run for changed inputs"),
            ),
            FolderError::Umask { .. } => (Kind::Usage, Some("for example `umask 077`")),
            FolderError::NotUtf8 { .. } => (Kind::Usage, Some(RENAME)),
            FolderError::Io { .. } => (Kind::Journal, None),
        };
        let hint = hint.map(str::to_owned);
        Self { kind, message: Some(with_causes(error)), hint }
    }
}

impl From<AssemblyError> for CommandError {
    fn from(error: AssemblyError) -> Self {
        let message = error.to_string();
        let (kind, hint) = match error {
            AssemblyError::LaunchData(LaunchDataError::NoPayload) => {
                let error = Self::new(Kind::Usage, "no agenda given");
                return error.hint("pass a file: `pop run agenda.json`");
            }
            AssemblyError::LaunchData(error) => return error.into(),
            AssemblyError::Oauth(error) => return error.into(),
            AssemblyError::Folder(error) => return error.into(),
            AssemblyError::Journal(error) => return error.into(),
            AssemblyError::Letter(error) => return error.into(),
            AssemblyError::Descriptors { .. } => (Kind::Registry, None),
            AssemblyError::NotUtf8 { .. } => (Kind::Usage, Some(RENAME.to_owned())),
            AssemblyError::NotAbsolute { .. } => (Kind::Internal, None),
            AssemblyError::FrozenInputs
            | AssemblyError::FrozenRegistry
            | AssemblyError::FrozenLauncher { .. }
            | AssemblyError::NoReplay { .. } => (Kind::Journal, None),
            AssemblyError::OtherInputs { run, .. } => {
                let hint = format!(
                    "choose another `--run-id`, or resume with the original inputs: `pop resume {run}`"
                );
                (Kind::Journal, Some(hint))
            }
            AssemblyError::Resources { resource, needed, .. } => {
                (Kind::Usage, Some(format!("set the total with `--resources {resource}={needed}`")))
            }
            AssemblyError::ParentRuns { run } => {
                let hint = format!(
                    "`pop wait {run}` waits for its end, `pop cancel {run}` ends it, and `pop resume {run}` continues it if its executor died"
                );
                (Kind::Journal, Some(hint))
            }
            AssemblyError::NoStartFolder { .. } => {
                (Kind::Usage, Some("use `pop run` in the folder where the agenda is now".to_owned()))
            }
            AssemblyError::RerunOfReplay { letter, .. } => (
                Kind::Usage,
                Some(format!("replay the dead letter again: `pop dlq replay {letter} --again`")),
            ),
            AssemblyError::NothingFailed { run } => {
                let hint =
                    format!("without --failed, `pop rerun {run}` runs what did not succeed or has changed");
                (Kind::Usage, Some(hint))
            }
            AssemblyError::UnknownOperation { near, .. } => {
                (Kind::Usage, near.map(|near| format!("did you mean `{near}`?")))
            }
            AssemblyError::ParentRecords { .. } => (Kind::Journal, None),
            AssemblyError::ReplayedBefore { .. } => {
                (Kind::Usage, Some("add `--again` to replay it anyway".to_owned()))
            }
        };
        Self { kind, message: Some(message), hint }
    }
}

impl From<LetterError> for CommandError {
    fn from(error: LetterError) -> Self {
        let (kind, hint) = match &error {
            LetterError::NoLetter { .. } => (Kind::Usage, Some("`pop dlq list` lists the dead letters")),
            LetterError::Damaged { .. } => (Kind::Journal, Some("`pop dlq drop` removes it")),
            LetterError::Io { .. } | LetterError::Format { .. } => (Kind::Journal, None),
        };
        Self { kind, message: Some(with_causes(error)), hint: hint.map(str::to_owned) }
    }
}

impl From<HostError> for CommandError {
    fn from(error: HostError) -> Self {
        Self::new(Kind::Internal, with_causes(error))
    }
}

impl From<ConformanceError> for CommandError {
    fn from(error: ConformanceError) -> Self {
        let (kind, hint) = match &error {
            ConformanceError::NotJson(_) | ConformanceError::Payload(_) => (
                Kind::Usage,
                Some("pass a `--payload` file with JSON that fits into an environment variable"),
            ),
            ConformanceError::Folder(_) | ConformanceError::Machine(_) => (Kind::Internal, None),
        };
        Self { kind, message: Some(with_causes(error)), hint: hint.map(str::to_owned) }
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Kind::Internal, error.to_string())
    }
}

impl From<JournalError> for CommandError {
    fn from(error: JournalError) -> Self {
        let hint = match &error {
            JournalError::Damaged { offset, .. } => Some(format!(
                "cut the file with `truncate -s {offset}`, then resume; operations recorded after that point run again"
            )),
            JournalError::UnknownEvent { .. } => Some("use the version of pop that wrote it".to_owned()),
            _ => None,
        };
        Self { kind: Kind::Journal, message: Some(with_causes(error)), hint }
    }
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        let RunError::Journal(error) = error;
        let hint = "all running operations were stopped; fix the cause, then `pop resume`";
        Self::from(error).hint(hint)
    }
}

impl From<OauthError> for CommandError {
    fn from(error: OauthError) -> Self {
        Self::new(Kind::Registry, with_causes(error))
    }
}

impl From<LaunchDataError> for CommandError {
    fn from(error: LaunchDataError) -> Self {
        let hint = error.hint();
        Self { kind: Kind::Registry, message: Some(with_causes(error)), hint }
    }
}
