//! The order of the rules when an attempt has failed: is its code ignored? may it be tried again? else onFail.

use crate::{OnFail, Policies};

/// A failed attempt, as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt<'c> {
    /// The names of this failure: its kind, its exit code, the status codes of its diagnostics.
    pub codes: &'c [&'c str],
    /// Whether another attempt can end otherwise; a fault in the payload cannot.
    pub repeatable: bool,
    /// How many attempts have failed, this one included.
    pub failures: u32,
}

/// What the rules say of a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyDecision {
    /// It counts as success, because of this code.
    Ignored {
        /// The code that `ignoreErrors` lists.
        code: String,
    },
    /// It is tried again after a wait.
    Retry {
        /// The wait in milliseconds.
        delay_ms: u64,
    },
    /// It was the last attempt.
    Settle(OnFail),
}

/// Judges a failed attempt.
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
