//! The rules for a failed attempt, in order: ignoreErrors, retry, onFail.

use crate::{OnFail, Policies};

/// The facts about a failed attempt that the rules need.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt<'c> {
    /// All codes of the failure: its kind, its exit code, the status codes of its diagnostics.
    pub codes: &'c [&'c str],
    /// Whether another attempt can end differently; false for example for a faulty payload.
    pub repeatable: bool,
    /// Number of failed attempts including this one, from 1.
    pub failures: u32,
}

/// The decision of the rules about a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyDecision {
    /// The attempt counts as success.
    Ignored {
        /// The code that matched `ignoreErrors`.
        code: String,
    },
    /// The operation is retried after a wait.
    Retry {
        /// The wait in milliseconds.
        delay_ms: u64,
    },
    /// No attempt is left: `onFail` applies.
    Settle(OnFail),
}

/// Decides what follows from a failed attempt.
pub fn verdict(policies: &Policies, failing: &FailedAttempt<'_>) -> PolicyDecision {
    if let Some(code) = policies.ignore_errors.value.find(failing.codes) {
        return PolicyDecision::Ignored { code: code.to_owned() };
    }
    let retry = &policies.retry.value;
    if failing.repeatable && retry.allows(failing.failures, failing.codes) {
        return PolicyDecision::Retry { delay_ms: retry.delay_after(failing.failures) };
    }
    PolicyDecision::Settle(policies.on_fail.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PolicyLayer, Scope};
    use serde_json::json;

    #[test]
    fn ignored_comes_before_retry_and_retry_before_on_fail() {
        let params = json!({"ignoreErrors": "3", "retry": {"maxAttempts": 2}, "onFail": "skip"});
        let layer = PolicyLayer::parse(&params, "".into(), &mut Vec::new());
        let policies = Policies::resolve(&[(Scope::Operation, &layer)]);
        let judge = |codes: &[&str], repeatable, failures| {
            verdict(&policies, &FailedAttempt { codes, repeatable, failures })
        };
        let table = [
            (judge(&["exit", "3"], true, 1), PolicyDecision::Ignored { code: "3".into() }),
            (judge(&["exit", "3"], false, 9), PolicyDecision::Ignored { code: "3".into() }),
            (judge(&["exit", "4"], true, 1), PolicyDecision::Retry { delay_ms: 0 }),
            (judge(&["exit", "4"], true, 2), PolicyDecision::Settle(OnFail::Skip)),
            (judge(&["reference"], false, 1), PolicyDecision::Settle(OnFail::Skip)),
        ];
        for (found, wanted) in table {
            assert_eq!(found, wanted);
        }
    }
}
