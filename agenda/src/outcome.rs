//! What becomes of an operation, and sets of that, for those that wait for a particular outcome.

use serde::{Deserialize, Serialize};
use std::ops::BitAnd;

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It has its result.
    Succeeded,
    /// It has its result, from the cache: it was not run.
    FromCache,
    /// It was not to be done, or it failed and `onFail: SKIP` lets the run go on; its result is null.
    Skipped,
    /// It failed and was put aside with its input and error, to be replayed.
    DeadLettered,
    /// It failed.
    Failed,
    /// It was not started, or stopped, because of something else.
    Cancelled,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Succeeded, Self::FromCache, Self::Skipped, Self::DeadLettered, Self::Failed, Self::Cancelled];

    /// The word of documents and screens.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::FromCache => "fromCache",
            Self::Skipped => "skipped",
            Self::DeadLettered => "deadLettered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether operations that need this one may start.
    pub fn lets_others_start(self) -> bool {
        Outcomes::GOOD.contains(self)
    }

    /// Whether it has a result of its own.
    pub fn has_result(self) -> bool {
        matches!(self, Self::Succeeded | Self::FromCache)
    }
}

/// Outcomes with which an operation that waits is content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcomes(u8);

impl Outcomes {
    /// What others need if they say nothing else.
    pub const GOOD: Self = Self::of(&[Outcome::Succeeded, Outcome::FromCache, Outcome::Skipped]);
    /// Any outcome.
    pub const ANY: Self = Self::of(&Outcome::ALL);

    const fn of(outcomes: &[Outcome]) -> Self {
        let mut set = 0;
        let mut index = 0;
        while index < outcomes.len() {
            set |= 1 << outcomes[index] as u8;
            index += 1;
        }
        Self(set)
    }

    /// The outcomes that a word behind a name in `dependsOn` asks for.
    pub fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "settled" => Self::ANY,
            "succeeded" => Self::of(&[Outcome::Succeeded, Outcome::FromCache]),
            "skipped" => Self::of(&[Outcome::Skipped]),
            "failed" => Self::of(&[Outcome::Failed, Outcome::DeadLettered]),
            "deadLettered" => Self::of(&[Outcome::DeadLettered]),
            "cancelled" => Self::of(&[Outcome::Cancelled]),
            _ => return None,
        })
    }

    /// The words that `of_word` knows.
    pub const WORDS: [&str; 6] = ["settled", "succeeded", "skipped", "failed", "deadLettered", "cancelled"];

    /// Whether an outcome is among them.
    pub fn contains(self, outcome: Outcome) -> bool {
        self.0 >> outcome as u8 & 1 == 1
    }

    /// Whether none is.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any good one will do.
    pub fn is_met_by_good(self) -> bool {
        self.0 & Self::GOOD.0 == Self::GOOD.0
    }

    /// Whether one of them is no good one, so that who waits for them is there to clean up.
    pub fn asks_for_bad(self) -> bool {
        self.0 & !Self::GOOD.0 != 0
    }
}

impl BitAnd for Outcomes {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl std::fmt::Display for Outcomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::ANY {
            return f.write_str("settled");
        }
        let words: Vec<_> =
            Outcome::ALL.into_iter().filter(|outcome| self.contains(*outcome)).map(Outcome::word).collect();
        f.write_str(&words.join(" or "))
    }
}
