//! Fault injection: what happens instead of, before or after a response.

use regex::Regex;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The fault of a matching request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FaultAction {
    /// Send this response; the request has no effect.
    Answer {
        /// HTTP status.
        status: u16,
        /// `reason` of the status object; by default that of the HTTP status.
        reason: Option<String>,
        /// The whole body, instead of a status object.
        body: Option<String>,
        /// Seconds of `Retry-After`.
        retry_after: Option<u32>,
    },
    /// Send the normal response after a delay.
    Wait {
        /// Delay in milliseconds.
        milliseconds: u64,
    },
    /// Reset the connection; the request has no effect.
    ResetBefore,
    /// Reset the connection after the request took effect.
    ResetAfter,
    /// Never respond; the request has no effect and the connection stays open.
    Silence,
    /// Break the connection after this many bytes of the body.
    CutAfterBytes {
        /// Number of bytes.
        bytes: usize,
    },
    /// Break the connection after this many events or lines of the stream.
    CutAfterEvents {
        /// Number of events or lines.
        events: usize,
    },
    /// End the stream normally after this many events or lines.
    EndAfterEvents {
        /// Number of events or lines.
        events: usize,
    },
    /// Send nothing more after this many events or lines; the connection stays open.
    StallAfterEvents {
        /// Number of events or lines.
        events: usize,
    },
}

/// The requests to which a fault applies.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultRule {
    /// HTTP method; none matches all.
    pub method: Option<String>,
    /// Regular expression, searched in path and query.
    pub path: String,
    /// Number of matching requests before the fault applies.
    #[serde(default)]
    pub skip: u32,
    /// Number of requests with the fault; none means all.
    pub times: Option<u32>,
    /// The fault.
    pub action: FaultAction,
}

impl FaultRule {
    /// A rule for every request with this method and a matching path and query.
    pub fn new(method: &str, path: &str, action: FaultAction) -> Self {
        Self { method: Some(method.to_owned()), path: path.to_owned(), skip: 0, times: None, action }
    }

    /// The same rule, for this many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }
}

/// The active rules; the first match applies.
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

    /// The fault for a request. Removes a rule after its last use.
    pub(crate) fn take(&self, method: &str, path: &str) -> Option<FaultAction> {
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
    fn a_rule_applies_to_matching_requests_up_to_its_count() {
        let faults = Faults::default();
        let rule = FaultRule::new("POST", "/pods$", FaultAction::ResetAfter).times(2);
        faults.add(FaultRule { skip: 1, ..rule }).unwrap();
        let has_fault: Vec<_> = [
            ("POST", "/pods"),
            ("GET", "/pods"),
            ("POST", "/pods"),
            ("POST", "/x"),
            ("post", "/pods"),
            ("POST", "/pods"),
        ]
        .into_iter()
        .map(|(method, path)| faults.take(method, path).is_some())
        .collect();
        assert_eq!(has_fault, [false, false, true, false, true, false]);
    }
}
