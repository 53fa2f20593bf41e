//! Faults on order: what a request meets instead of, before or after its answer.

use regex::Regex;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What happens to requests that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FaultAction {
    /// This answer, and no effect.
    Answer {
        /// HTTP status.
        status: u16,
        /// `reason` of the status object; that of the HTTP status if it is not given.
        reason: Option<String>,
        /// The whole body, instead of a status object.
        body: Option<String>,
        /// Seconds of `Retry-After`.
        retry_after: Option<u32>,
    },
    /// The right answer, after so many milliseconds.
    Wait {
        /// How long.
        milliseconds: u64,
    },
    /// The connection is reset and nothing happened.
    ResetBefore,
    /// The connection is reset, but what was asked for has happened.
    ResetAfter,
    /// No answer ever comes, and nothing happened; the connection stays open.
    Silence,
    /// The answer's body ends in a broken connection after so many bytes.
    CutAfterBytes {
        /// How many.
        bytes: usize,
    },
    /// The stream ends in a broken connection after so many events or lines.
    CutAfterEvents {
        /// How many.
        events: usize,
    },
    /// The stream ends as it should after so many events or lines.
    EndAfterEvents {
        /// How many.
        events: usize,
    },
    /// Nothing more is sent after so many events or lines; the connection stays open.
    StallAfterEvents {
        /// How many.
        events: usize,
    },
}

/// Which requests meet a fault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultRule {
    /// HTTP method; any if it is not given.
    pub method: Option<String>,
    /// A regular expression found in path and query.
    pub path: String,
    /// How many requests that match pass untouched first.
    #[serde(default)]
    pub skip: u32,
    /// How many requests meet it; all if it is not given.
    pub times: Option<u32>,
    /// What they meet.
    pub action: FaultAction,
}

impl FaultRule {
    /// A rule for every request of this method whose path and query match.
    pub fn new(method: &str, path: &str, action: FaultAction) -> Self {
        Self { method: Some(method.to_owned()), path: path.to_owned(), skip: 0, times: None, action }
    }

    /// The same rule for so many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }
}

/// The rules in force; the first that matches counts.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(Regex, FaultRule)>>);

impl Faults {
    pub(crate) fn add(&self, rule: FaultRule) -> Result<(), regex::Error> {
        let pattern = Regex::new(&rule.path)?;
        self.locked().push((pattern, rule));
        Ok(())
    }

    pub(crate) fn clear(&self) {
        self.locked().clear();
    }

    /// What a request meets; rules that are used up go.
    pub(crate) fn meet(&self, method: &str, path: &str) -> Option<FaultAction> {
        let mut rules = self.locked();
        let is_for = |(pattern, rule): &(Regex, FaultRule)| {
            rule.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && pattern.is_match(path)
        };
        let at = rules.iter().position(is_for)?;
        let rule = &mut rules[at].1;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        let action = rule.action.clone();
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                rules.remove(at);
            }
        }
        Some(action)
    }

    fn locked(&self) -> MutexGuard<'_, Vec<(Regex, FaultRule)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_met_by_requests_that_match_as_often_as_it_says() {
        let faults = Faults::default();
        let rule = FaultRule::new("POST", "/pods$", FaultAction::ResetAfter).times(2);
        faults.add(FaultRule { skip: 1, ..rule }).unwrap();
        let met: Vec<_> = [
            ("POST", "/pods"),
            ("GET", "/pods"),
            ("POST", "/pods"),
            ("POST", "/x"),
            ("post", "/pods"),
            ("POST", "/pods"),
        ]
        .into_iter()
        .map(|(method, path)| faults.meet(method, path).is_some())
        .collect();
        assert_eq!(met, [false, false, true, false, true, false]);
    }
}
