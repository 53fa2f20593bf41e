//! Outcomes of operations, and sets of outcomes for dependencies.

use serde::{Deserialize, Serialize};
use std::ops::BitAnd;

/// Outcome of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The operation has a result.
    Succeeded,
    /// The operation has a result from the cache and did not run.
    FromCache,
    /// The operation did not run because of a condition, or failed with `onFail: SKIP`. Its result is null.
    Skipped,
    /// The operation failed and is in the dead-letter queue.
    DeadLettered,
    /// The operation failed.
    Failed,
    /// The operation was not started, or was stopped, because of another failure or the end of the run.
    Cancelled,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 6] =
        [Self::Succeeded, Self::FromCache, Self::Skipped, Self::DeadLettered, Self::Failed, Self::Cancelled];

    /// The name in documents and output.
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

    /// Whether dependants without a particular outcome may start.
    pub fn lets_others_start(self) -> bool {
        Outcomes::GOOD.contains(self)
    }

    /// Whether the operation has a result of its own.
    pub fn has_result(self) -> bool {
        matches!(self, Self::Succeeded | Self::FromCache)
    }
}

/// A set of outcomes that an operation accepts of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcomes(u8);

impl Outcomes {
    /// The outcomes that a dependency without an explicit outcome accepts.
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

    /// The outcomes of a word after a name in `dependsOn`.
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

    /// Whether the set contains an outcome.
    pub fn contains(self, outcome: Outcome) -> bool {
        self.0 >> outcome as u8 & 1 == 1
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set contains every good outcome.
    pub fn accepts_all_good(self) -> bool {
        self.0 & Self::GOOD.0 == Self::GOOD.0
    }

    /// Whether the set contains a bad outcome, so that the dependant is clean-up.
    pub fn accepts_bad(self) -> bool {
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
