//! Lists of agendas for people: which ones, in which order, and what is known of each without its operations.

use crate::object::Object;
use crate::work::{Work, WorkOutcome, WorkState};

/// State of an agenda as people filter by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// It stays out of the queue.
    Parked,
    /// It is in the queue.
    Waiting,
    /// A puller has it.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed, and no attempt is left.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl RunState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Parked, Self::Waiting, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Name of the state in requests and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// The state of work.
    pub fn of(work: &Work) -> Self {
        match &work.state {
            WorkState::Parked => Self::Parked,
            WorkState::Waiting => Self::Waiting,
            WorkState::Leased(_) => Self::Running,
            WorkState::Ended(WorkOutcome::Succeeded) => Self::Succeeded,
            WorkState::Ended(WorkOutcome::Failed) => Self::Failed,
            WorkState::Ended(WorkOutcome::Cancelled) => Self::Cancelled,
        }
    }
}

/// Which agendas a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only these states; all if empty.
    pub states: Vec<RunState>,
    /// Only agendas of this customer.
    pub customer: Option<String>,
    /// Only agendas of this insight.
    pub insight: Option<String>,
    /// Only agendas whose title contains this text, or whose id, link id or correlation id is this text. Letter case does
    /// not count in the title.
    pub text: Option<String>,
    /// Order of the list.
    pub order: RunOrder,
    /// Most agendas.
    pub limit: u32,
}

/// Order of a list of agendas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunOrder {
    /// The newest first.
    #[default]
    Newest,
    /// The newest first, from the one after this place on.
    Before(i64),
    /// By insight, and within it as they are given out.
    Queue,
}

/// An agenda in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Place of the agenda in the order of creation; the next page begins before it.
    pub place: i64,
    /// The work.
    pub work: Work,
    /// The progress, without that of operations.
    pub progress: Object,
}
