//! Policies in layers: operation over agenda over handler over built-in, each value with its scope.

use crate::{IgnoredCodes, Limits, OnFail, Retry};
use pop_document::{Fault, Fields, Pointer, nearest};
use serde_json::Value;
use std::fmt;

/// The keys of `params` that have a meaning, with those of the agenda as a whole.
pub const PARAMS: [&str; 14] = [
    "dependsOn",
    "retry",
    "timeoutMs",
    "noOutputTimeoutMs",
    "pendingTimeoutMs",
    "onFail",
    "ignoreErrors",
    "logDetail",
    "generatedOperationParent",
    "maximumAttempts",
    "externalId",
    "doNotRun",
    "defaultInsight",
    "progressId",
];

/// Keys that the formats promise and this version does not carry out: using one is an error, never a silence.
const NOT_YET: [&str; 14] = [
    "skipPattern",
    "delayMs",
    "delayId",
    "lock",
    "lockKey",
    "useCache",
    "cacheState",
    "cacheKeyPattern",
    "handler",
    "version",
    "forEach",
    "maxParallel",
    "finally",
    "agenda.operation.generator",
];

/// Where a policy's value was given; a later one wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nowhere: the built-in default.
    #[default]
    BuiltIn,
    /// The registry entry of the operation's type.
    Handler,
    /// The agenda's `params`.
    Agenda,
    /// The operation's own `params`.
    Operation,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuiltIn => "built-in default",
            Self::Handler => "registry entry",
            Self::Agenda => "agenda",
            Self::Operation => "operation",
        })
    }
}

/// A value and the scope that gave it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layered<T> {
    /// The value in force.
    pub value: T,
    /// Who gave it.
    pub scope: Scope,
}

/// The policies that one `params` map gives; what it does not give is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyLayer {
    retry: Option<Retry>,
    run_ms: Option<u64>,
    silence_ms: Option<u64>,
    pending_ms: Option<u64>,
    on_fail: Option<OnFail>,
    ignore_errors: Option<IgnoredCodes>,
    log_detail: Option<bool>,
}

impl PolicyLayer {
    /// Reads a `params` map. Keys without a meaning are the user's own, but a near miss is warned of.
    pub fn parse(params: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Self {
        let Some(mut fields) = Fields::of(params, at, "`params`", "wrong-type", faults) else {
            return Self::default();
        };
        Self::check_names(&mut fields);
        let run_ms = fields.whole("timeoutMs");
        let silence_ms = fields.whole("noOutputTimeoutMs");
        let pending_ms = fields.whole("pendingTimeoutMs");
        let log_detail = fields.boolean("logDetail");
        let at = fields.at("retry");
        let retry = fields.any("retry").and_then(|value| Retry::parse(value, at, fields.faults()));
        let at = fields.at("onFail");
        let on_fail = fields.any("onFail").and_then(|value| OnFail::parse(value, &at, fields.faults()));
        let at = fields.at("ignoreErrors");
        let ignore_errors =
            fields.any("ignoreErrors").and_then(|value| IgnoredCodes::parse(value, &at, fields.faults()));
        Self { retry, run_ms, silence_ms, pending_ms, on_fail, ignore_errors, log_detail }
    }

    fn check_names(fields: &mut Fields<'_, '_>) {
        for (name, _) in fields.iter() {
            let at = fields.at(name);
            if NOT_YET.contains(&name.as_str()) {
                let message = format!("`{name}` is not supported by this version");
                fields.faults().push(Fault::key("not-supported", at, message));
            } else if !PARAMS.contains(&name.as_str())
                && let Some(near) = nearest(name, PARAMS.iter().chain(&NOT_YET).copied())
            {
                let message = format!("`{name}` has no meaning in `params`");
                let fault = Fault::key("unknown-param", at, message).did_you_mean(Some(near)).warning();
                fields.faults().push(fault);
            }
        }
    }

    /// Whether it gives nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The policies of one operation, each value with its scope.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policies {
    /// How often, and after which wait.
    pub retry: Layered<Retry>,
    /// One attempt's run, in milliseconds.
    pub run_ms: Layered<Option<u64>>,
    /// Silence, in milliseconds.
    pub silence_ms: Layered<Option<u64>>,
    /// Waiting to be scheduled, in milliseconds.
    pub pending_ms: Layered<Option<u64>>,
    /// After the last attempt.
    pub on_fail: Layered<OnFail>,
    /// Codes that count as success.
    pub ignore_errors: Layered<IgnoredCodes>,
    /// Detailed log of this operation whatever the level.
    pub log_detail: Layered<bool>,
}

impl Policies {
    /// Lays layers over one another, the highest scope winning for each value.
    pub fn resolve(layers: &[(Scope, &PolicyLayer)]) -> Self {
        let mut ordered = layers.to_vec();
        ordered.sort_by_key(|(scope, _)| *scope);
        let mut policies = Self::default();
        for (scope, layer) in ordered {
            lay(&mut policies.retry, layer.retry.clone(), scope);
            lay(&mut policies.run_ms, layer.run_ms.map(Some), scope);
            lay(&mut policies.silence_ms, layer.silence_ms.map(Some), scope);
            lay(&mut policies.pending_ms, layer.pending_ms.map(Some), scope);
            lay(&mut policies.on_fail, layer.on_fail, scope);
            lay(&mut policies.ignore_errors, layer.ignore_errors.clone(), scope);
            lay(&mut policies.log_detail, layer.log_detail, scope);
        }
        policies
    }

    /// The time limits of an attempt; 0 means no limit.
    pub fn limits(&self) -> Limits {
        let some = |limit: &Layered<Option<u64>>| limit.value.filter(|ms| *ms > 0);
        Limits {
            run_ms: some(&self.run_ms),
            silence_ms: some(&self.silence_ms),
            pending_ms: some(&self.pending_ms),
        }
    }

    /// Whether a settled operation may leave null behind instead of a result.
    pub fn may_skip(&self) -> bool {
        self.on_fail.value == OnFail::Skip
    }
}

fn lay<T>(slot: &mut Layered<T>, value: Option<T>, scope: Scope) {
    if let Some(value) = value {
        *slot = Layered { value, scope };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn layer(params: &Value) -> PolicyLayer {
        PolicyLayer::parse(params, Pointer::root(), &mut Vec::new())
    }

    #[test]
    fn r1_the_nearest_scope_wins_value_by_value() {
        let handler = layer(&json!({"timeoutMs": 1, "onFail": "SKIP", "retry": {"maxAttempts": 5}}));
        let agenda = layer(&json!({"timeoutMs": 2, "onFail": "FATAL"}));
        let operation = layer(&json!({"timeoutMs": 3}));
        let policies = Policies::resolve(&[
            (Scope::Operation, &operation),
            (Scope::Handler, &handler),
            (Scope::Agenda, &agenda),
        ]);
        assert_eq!(policies.run_ms, Layered { value: Some(3), scope: Scope::Operation });
        assert_eq!(policies.on_fail, Layered { value: OnFail::Fatal, scope: Scope::Agenda });
        assert_eq!((policies.retry.value.max_attempts, policies.retry.scope), (5, Scope::Handler));
        assert_eq!(policies.silence_ms.scope, Scope::BuiltIn);
    }

    #[test]
    fn unsupported_keys_are_errors_near_misses_warnings_and_own_keys_silent() {
        let mut faults = Vec::new();
        let params = json!({"forEach": [1], "retries": 3, "myOwn": 1, "onFail": "RPLY", "timeoutMs": "x"});
        PolicyLayer::parse(&params, Pointer::root(), &mut faults);
        let mut said: Vec<_> = faults.iter().map(|f| (f.pointer(), f.code, f.is_error())).collect();
        said.sort_unstable();
        assert_eq!(
            said,
            [
                ("/forEach", "not-supported", true),
                ("/onFail", "wrong-value", true),
                ("/retries", "unknown-param", false),
                ("/timeoutMs", "wrong-type", true),
            ]
        );
    }

    #[test]
    fn zero_means_no_limit() {
        let policies = Policies::resolve(&[(Scope::Operation, &layer(&json!({"timeoutMs": 0})))]);
        assert_eq!(policies.limits(), Limits::default());
    }
}
