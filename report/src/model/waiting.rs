//! Waits, and the critical path.

use pop_agenda::OpIx;
use pop_contract::Millis;
use serde::Serialize;

/// What an operation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WaitKind {
    /// Other operations.
    Dependencies,
    /// One of the slots of `--parallel`.
    Slot,
    /// Resources that other operations held.
    Resources,
    /// A place among the instances of `maxParallel`.
    MaxParallel,
    /// A lock.
    Lock,
    /// A minimum interval between starts.
    Delay,
    /// The time between two attempts.
    BackOff,
    /// Declared files, or the comparison with the parent of a rerun.
    Files,
    /// A look-up in the cache, or of a version.
    Cache,
    /// The next executor, while none executed the run.
    Executor,
}

impl WaitKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Dependencies,
        Self::Slot,
        Self::Resources,
        Self::MaxParallel,
        Self::Lock,
        Self::Delay,
        Self::BackOff,
        Self::Files,
        Self::Cache,
        Self::Executor,
    ];

    /// Number in the data of the page: the place in [`WaitKind::ALL`].
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Name in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dependencies => "dependencies",
            Self::Slot => "slot",
            Self::Resources => "resources",
            Self::MaxParallel => "maxParallel",
            Self::Lock => "lock",
            Self::Delay => "delay",
            Self::BackOff => "backOff",
            Self::Files => "files",
            Self::Cache => "cache",
            Self::Executor => "executor",
        }
    }
}

/// A time during which an operation waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait<'r> {
    /// What it waited for.
    pub kind: WaitKind,
    /// Begin.
    pub from_time: Millis,
    /// End; null while it lasts.
    pub until_time: Option<Millis>,
    /// Duration; until the report was made if it lasts.
    pub took_ms: u64,
    /// Name of the lock, delay or cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'r str>,
    /// The operation or run that held it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<&'r str>,
    /// The operation of this run that held it.
    #[serde(skip)]
    pub holder: Option<OpIx>,
}

/// Time that operations have waited for one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitTotal {
    /// The kind.
    pub kind: WaitKind,
    /// Sum over all operations.
    pub total_ms: u64,
}

/// The chain of operations that decided when the run ended.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CriticalPath {
    /// Sum of the time in which its operations ran.
    pub ran_ms: u64,
    /// Its operations, in the order in which they ran.
    pub steps: Vec<PathStep>,
}

/// One operation of the critical path.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathStep {
    /// Index in `operations`.
    pub operation: OpIx,
    /// Time that its attempts ran.
    pub ran_ms: u64,
    /// Time between the end of the step before it and its own end in which it did not run.
    pub waited_ms: u64,
}
