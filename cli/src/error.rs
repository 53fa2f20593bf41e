//! One funnel for everything that ends a command early: what kind, what to say, which exit code.

use crate::ui;
use pop_assembly::AssemblyError;
use pop_conformance::ConformanceError;
use pop_executor::{FolderError, HostError, JournalError, LetterError, RunError};
use pop_field_retriever::{LaunchDataError, OauthError};
use std::process::ExitCode;

/// What to do about a path that is not UTF-8.
pub(crate) const RENAME: &str = "rename it: runs and programs are told of paths as text";

/// What kind of thing went wrong; decides the exit code (docs/formats/exit-codes.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A fault in pop, or in the machine below it.
    Internal,
    /// The command line asks for something that is not there.
    Usage,
    /// The agenda does not parse or plan.
    Agenda,
    /// The registry or the settings are invalid.
    Registry,
    /// What operations are launched by cannot be reached.
    Unreachable,
    /// The journal cannot be used, or resume does not fit.
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

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    /// Nothing if it was told already.
    message: Option<String>,
    hint: Option<String>,
}

impl CommandError {
    /// An error with words for people.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: Some(message.into()), hint: None }
    }

    /// An error whose faults were told already.
    pub(crate) fn told(kind: Kind) -> Self {
        Self { kind, message: None, hint: None }
    }

    /// The same with a way out.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to say, for a command that goes on.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Tells it and gives its exit code.
    pub(crate) fn tell(self) -> ExitCode {
        if let Some(message) = self.message {
            ui::say(&format!("error: {message}"));
        }
        if let Some(hint) = self.hint {
            ui::say(&format!("hint: {hint}"));
        }
        ExitCode::from(self.kind.exit_code())
    }
}

/// An error and all its causes in one line.
fn with_causes(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

impl From<FolderError> for CommandError {
    fn from(error: FolderError) -> Self {
        let (kind, hint) = match &error {
            FolderError::NoRun { .. } => {
                (Kind::Usage, Some("`pop runs` lists the runs; `last` is the newest"))
            }
            FolderError::Held { .. } => (Kind::Journal, Some("wait for it, or stop it, then resume")),
            FolderError::InputsChanged { .. } => (
                Kind::Journal,
                Some("a run goes on with what it began with; start a new run for changed inputs"),
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
                let error = Self::new(Kind::Usage, "no agenda was given");
                return error.hint("name its file: `pop run agenda.json`");
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
                    "give another `--run-id`, or go on with what it was begun with: `pop resume {run}`"
                );
                (Kind::Journal, Some(hint))
            }
            AssemblyError::ReplayedBefore { .. } => {
                (Kind::Usage, Some("`--again` replays it once more".to_owned()))
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
            ConformanceError::NotJson(_) | ConformanceError::Payload(_) => {
                (Kind::Usage, Some("give another `--payload`: JSON, and short enough for a variable"))
            }
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
                "`truncate -s {offset}` cuts it there; what it tells after that is then forgotten and done again"
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
        let hint = "everything that ran was stopped; mend the cause, then `pop resume`";
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
