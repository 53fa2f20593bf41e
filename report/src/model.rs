//! The report as a value, with the form of `pop report --format json` (docs/formats/report.md).

mod waiting;

pub use waiting::{CriticalPath, PathStep, Wait, WaitKind, WaitTotal};

use crate::facts::RunState;
use pop_agenda::{OpIx, Outcome, RecordedFiles, RunOutcome};
use pop_contract::{Failure, Millis, Progress};
use serde::Serialize;
use serde_json::{Map, Value};

/// Version of the form of [`Report`] as JSON. A change that breaks a reader raises it; new fields do not.
pub const VERSION: u32 = 1;

/// Everything that a report shows. Times are epoch milliseconds, durations milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'r> {
    /// [`VERSION`].
    pub version: u32,
    /// Version of pop that made the report.
    pub pop: &'r str,
    /// Time at which the report was made.
    pub generated_time: Millis,
    /// The run as a whole.
    pub run: RunReport<'r>,
    /// Values of the agenda's inputs.
    pub inputs: &'r Map<String, Value>,
    /// Number of operations in each state; states without operations are absent.
    pub counts: Vec<StateCount>,
    /// Time that operations have waited, by kind, the longest first.
    pub waits: Vec<WaitTotal>,
    /// Usage of all attempts together, summed as events have it and then rounded; none if no event has any. The peak is the
    /// largest of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The chain of operations that decided when the run ended.
    pub critical_path: CriticalPath,
    /// All operations, in the order of the plan: those of the agenda, then those that the run added.
    pub operations: Vec<OperationReport<'r>>,
}

/// The run as a whole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport<'r> {
    /// Name of the run.
    pub name: &'r str,
    /// The agenda, as the command line named it.
    pub agenda: &'r str,
    /// Launcher of programs: `local`, `docker` or `kubernetes`.
    pub launcher: &'r str,
    /// `ended`, `running`, or `stopped` if no process executes the run.
    pub state: RunState,
    /// Outcome; null until the run has ended.
    pub outcome: Option<RunOutcome>,
    /// Exit code of pop; null until the run has ended.
    pub exit_code: Option<u8>,
    /// Start of the run.
    pub started_time: Millis,
    /// End of the run; null until then.
    pub completed_time: Option<Millis>,
    /// Time from the start to the end, or to the latest sign of life.
    pub took_ms: u64,
    /// Maximum number of operations that ran at once, under the latest executor.
    pub parallel: u32,
    /// Number of times that the run was resumed.
    pub resumed: usize,
    /// The parent, if the run is a rerun.
    pub rerun_of: Option<&'r str>,
    /// The dead letter that the run replays, as `RUN/OPERATION`.
    pub replay_of: Option<String>,
    /// Runs from which this run has reused results, with the number of results.
    pub reused_from: Vec<(&'r str, usize)>,
    /// Folder of runs as an argument of commands; absent for the default one.
    #[serde(skip)]
    pub runs_argument: Option<String>,
    /// Command that continues or repeats the run; null if nothing is left to do.
    pub next_command: Option<String>,
}

/// State of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationState {
    /// The operation failed.
    Failed,
    /// The operation failed and is in the dead-letter queue.
    DeadLettered,
    /// The operation was not started, or was stopped.
    Cancelled,
    /// The operation had begun when its executor died, and nobody has resumed the run since.
    Stopped,
    /// An attempt or a part of the operation runs.
    Running,
    /// The operation has not started, or waits for its next attempt.
    Waiting,
    /// The operation was skipped.
    Skipped,
    /// The result came from the cache.
    FromCache,
    /// The operation succeeded.
    Succeeded,
}

impl OperationState {
    /// All states, the most important for a reader first.
    pub const ALL: [Self; 9] = [
        Self::Failed,
        Self::DeadLettered,
        Self::Cancelled,
        Self::Stopped,
        Self::Running,
        Self::Waiting,
        Self::Skipped,
        Self::FromCache,
        Self::Succeeded,
    ];

    /// Number in the data of the page: the place in [`OperationState::ALL`].
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Name in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::DeadLettered => "deadLettered",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
            Self::FromCache => "fromCache",
            Self::Succeeded => "succeeded",
        }
    }

    /// Words for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::DeadLettered => "dead-lettered",
            Self::FromCache => "from the cache",
            other => other.word(),
        }
    }

    /// Whether the operation failed.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::DeadLettered)
    }

    /// Whether the operation has its outcome.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Stopped | Self::Running | Self::Waiting)
    }
}

impl From<Outcome> for OperationState {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::FromCache => Self::FromCache,
            Outcome::Skipped => Self::Skipped,
            Outcome::DeadLettered => Self::DeadLettered,
            Outcome::Failed => Self::Failed,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

/// Number of operations in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StateCount {
    /// The state.
    pub state: OperationState,
    /// Number of operations. An operation with parts counts, and so does each part, as in `pop show`.
    pub count: usize,
}

/// Number of operations in each state.
#[derive(Debug, Clone, Default)]
pub struct OutcomeCounts([usize; OperationState::ALL.len()]);

impl OutcomeCounts {
    /// Counts one operation.
    pub fn add(&mut self, state: OperationState) {
        self.0[state as usize] += 1;
    }

    /// The states that some operations have.
    pub fn list(&self) -> Vec<StateCount> {
        let counts = OperationState::ALL.into_iter().zip(self.0);
        counts.filter(|(_, count)| *count > 0).map(|(state, count)| StateCount { state, count }).collect()
    }
}

/// Origin of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OriginKind {
    /// The agenda contains it.
    Agenda,
    /// An item of a `forEach` or a call of a dispatch.
    Part,
    /// It is inside an operation of type `agenda`.
    Inner,
    /// The result of a generator added it.
    Generated,
}

/// One operation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationReport<'r> {
    /// Number in the plan.
    #[serde(skip)]
    pub op: OpIx,
    /// Exact name, for commands.
    pub name: &'r str,
    /// Name for people, if an item has a name; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown_name: Option<String>,
    /// Operation type.
    #[serde(rename = "type")]
    pub handler_type: &'r str,
    /// State.
    pub state: OperationState,
    /// Origin.
    pub origin: OriginKind,
    /// Index in `operations` of the operation that it belongs to or that generated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<OpIx>,
    /// Whether it runs as parts, and has no attempts of its own.
    pub is_whole: bool,
    /// Indices in `operations` of its dependencies.
    pub depends_on: Vec<OpIx>,
    /// Time at which it was settled; null until then.
    pub settled_time: Option<Millis>,
    /// Attempts, oldest first.
    pub attempts: Vec<AttemptReport<'r>>,
    /// Waits that no attempt followed, for example before a result from the cache. The last one may be open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Wait<'r>>,
    /// Failures without an attempt: a start that failed, or the failure of parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<&'r Failure>,
    /// Failure code that `ignoreErrors` counted as success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<&'r str>,
    /// The condition that skipped it, with its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_by: Option<String>,
    /// The run in which it ran, if its result was reused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<&'r str>,
    /// The run that replayed its dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed_by: Option<&'r str>,
    /// Latest progress, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<&'r Progress>,
    /// Files that it declares, with digests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<&'r RecordedFiles>,
    /// Result; absent without a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'r Value>,
    /// Command that repeats a failed operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_command: Option<String>,
}

impl OperationReport<'_> {
    /// The executor died at a time: an attempt that had not ended was lost with it.
    pub(crate) fn end_with_executor(&mut self, at: Millis) {
        if let Some(last) = self.attempts.last_mut().filter(|last| last.outcome == AttemptEnding::Running) {
            last.outcome = AttemptEnding::Lost;
            last.completed_time = Some(at.max(last.started_time));
        }
        self.progress = None;
    }

    /// The name for people.
    pub fn shown(&self) -> &str {
        self.shown_name.as_deref().unwrap_or(self.name)
    }

    /// The failure that decided the outcome, or the latest one, and the number of its attempt.
    pub fn failure(&self) -> Option<(Option<u32>, &Failure)> {
        let of_attempt =
            self.attempts.iter().rev().find_map(|attempt| Some((Some(attempt.number), attempt.failure?)));
        match self.failures.last() {
            Some(failure)
                if self.attempts.last().is_none_or(|last| last.failure.is_none()) || self.is_whole =>
            {
                Some((None, failure))
            }
            _ => of_attempt,
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptEnding {
    /// It runs.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It was stopped because the run was ending.
    Cancelled,
    /// It was lost with its executor, also if nobody has resumed the run since.
    Lost,
    /// The platform removed it.
    Displaced,
}

impl AttemptEnding {
    /// All endings, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Lost, Self::Displaced];

    /// Number in the data of the page: the place in [`AttemptEnding::ALL`].
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Name in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Displaced => "displaced",
        }
    }
}

/// One attempt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptReport<'r> {
    /// Number, from 1.
    pub number: u32,
    /// Launch.
    pub started_time: Millis,
    /// Time at which a container or pod began to run; absent for processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_time: Option<Millis>,
    /// End; null while it runs.
    pub completed_time: Option<Millis>,
    /// Duration; until the report was made if it runs.
    pub took_ms: u64,
    /// How it ended.
    pub outcome: AttemptEnding,
    /// Waits before the attempt, in the order of time; those of the first attempt begin with the run.
    pub waits: Vec<Wait<'r>>,
    /// Its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<&'r Failure>,
    /// Instance of a warm handler that served it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<&'r str>,
    /// What it used; absent if no event has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What programs used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// CPU time, user and system, in milliseconds, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Peak memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Bytes read from storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes written to storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
}

impl From<pop_contract::Usage> for Usage {
    /// Events leave out zeros and what is not known alike, so a zero is not known here. Figures are rounded up, so that
    /// none becomes zero.
    fn from(recorded: pop_contract::Usage) -> Self {
        let known = |number: u64| (number > 0).then_some(number);
        let bytes = |kib: u64| known(kib.saturating_mul(1024));
        Self {
            cpu_ms: known(recorded.cpu_us().div_ceil(1000)),
            peak_memory_bytes: bytes(recorded.mem_kib),
            read_bytes: bytes(recorded.read_kib),
            written_bytes: bytes(recorded.write_kib),
        }
    }
}
