//! What one `params` map says of policies.

use crate::{IgnoredCodes, Lock, OnFail, Pattern, Retry, lock};
use pop_document::{Fault, Fields, Pointer, nearest};
use serde_json::Value;
use std::fmt;

/// The keys of `params` that say how an operation is carried out; they may also stand in the agenda's `params`
/// and in a registry entry's `policies`.
pub const POLICIES: [&str; 19] = [
    "retry",
    "timeoutMs",
    "noOutputTimeoutMs",
    "pendingTimeoutMs",
    "onFail",
    "ignoreErrors",
    "logDetail",
    "skipPattern",
    "delayMs",
    "delayId",
    "lock",
    "lockKey",
    "useCache",
    "cacheState",
    "cacheKeyPattern",
    "cacheTtlMs",
    "cache.use",
    "cache.write",
    "handler",
];

/// The keys that say what one operation is, and mean nothing elsewhere.
pub const OPERATION_ONLY: [&str; 8] = [
    "dependsOn",
    "finally",
    "version",
    "action",
    "forEach",
    "maxParallel",
    "agenda.operation.generator",
    "generatedOperationParent",
];

/// Keys of an agenda's `params` that concern the systems around pop.
pub const AROUND: [&str; 5] = ["maximumAttempts", "externalId", "doNotRun", "defaultInsight", "progressId"];

/// Where a policy's value was given; a later one wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nowhere: the built-in default.
    #[default]
    BuiltIn,
    /// The registry entry of the operation's type.
    Handler,
    /// The registry entry, for the role in which the handler acts.
    Role,
    /// The registry entry, for the action that is asked of the handler.
    Action,
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
            Self::Role => "handler's role",
            Self::Action => "handler's action",
            Self::Agenda => "agenda",
            Self::Operation => "operation",
        })
    }
}

/// The policies that one `params` map gives; what it does not give is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyLayer {
    pub(crate) retry: Option<Retry>,
    pub(crate) run_ms: Option<u64>,
    pub(crate) silence_ms: Option<u64>,
    pub(crate) pending_ms: Option<u64>,
    pub(crate) on_fail: Option<OnFail>,
    pub(crate) ignore_errors: Option<IgnoredCodes>,
    pub(crate) log_detail: Option<bool>,
    pub(crate) skip: Option<Pattern>,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) delay_id: Option<Box<str>>,
    pub(crate) lock: Option<Lock>,
    pub(crate) lock_key: Option<Value>,
    pub(crate) use_cache: Option<bool>,
    pub(crate) cache_state: Option<Box<str>>,
    pub(crate) cache_key: Option<Pattern>,
    pub(crate) cache_ttl_ms: Option<u64>,
    pub(crate) cache_use: Option<bool>,
    pub(crate) cache_write: Option<bool>,
}

impl PolicyLayer {
    /// Reads a `params` map. Keys without a meaning are the user's own, but a near miss is warned of.
    pub fn parse(params: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Self {
        let Some(mut fields) = Fields::of(params, at, "`params`", "wrong-type", faults) else {
            return Self::default();
        };
        check_names(&mut fields);
        Self {
            run_ms: fields.whole("timeoutMs"),
            silence_ms: fields.whole("noOutputTimeoutMs"),
            pending_ms: fields.whole("pendingTimeoutMs"),
            log_detail: log_detail(&mut fields),
            retry: read(&mut fields, "retry", |value, at, faults| Retry::parse(value, at.clone(), faults)),
            on_fail: read(&mut fields, "onFail", OnFail::parse),
            ignore_errors: read(&mut fields, "ignoreErrors", IgnoredCodes::parse),
            skip: pattern(&mut fields, "skipPattern"),
            delay_ms: fields.whole("delayMs"),
            delay_id: name(&mut fields, "delayId"),
            lock: read(&mut fields, "lock", Lock::parse),
            lock_key: read(&mut fields, "lockKey", lock::keys),
            use_cache: fields.boolean("useCache"),
            cache_state: name(&mut fields, "cacheState"),
            cache_key: pattern(&mut fields, "cacheKeyPattern"),
            cache_ttl_ms: fields.whole("cacheTtlMs"),
            cache_use: fields.boolean("cache.use"),
            cache_write: fields.boolean("cache.write"),
        }
    }

    /// The same for a map that is not one operation's: what only an operation can be is a fault in it.
    pub fn parse_shared(params: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Self {
        for name in OPERATION_ONLY.iter().filter(|name| params.get(**name).is_some()) {
            let message = format!("`{name}` says what one operation is, and has no meaning here");
            let fault = Fault::key("misplaced-param", at.join(*name), message);
            faults.push(fault.hint("put it into that operation's `params`"));
        }
        Self::parse(params, at, faults)
    }

    /// Whether it gives nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn check_names(fields: &mut Fields<'_, '_>) {
    let known = || POLICIES.iter().chain(&OPERATION_ONLY).chain(&AROUND).copied();
    for (name, _) in fields.iter() {
        if !known().any(|known| known == name)
            && let Some(near) = nearest(name, known())
        {
            let message = format!("`{name}` has no meaning in `params`");
            let fault = Fault::key("unknown-param", fields.at(name), message);
            fields.faults().push(fault.did_you_mean(Some(near)).warning());
        }
    }
}

/// Reads a field that has a reader of its own.
fn read<T>(
    fields: &mut Fields<'_, '_>,
    name: &str,
    parse: impl FnOnce(&Value, &Pointer, &mut Vec<Fault>) -> Option<T>,
) -> Option<T> {
    let at = fields.at(name);
    fields.any(name).and_then(|value| parse(value, &at, fields.faults()))
}

fn pattern(fields: &mut Fields<'_, '_>, name: &str) -> Option<Pattern> {
    read(fields, name, |value, at, faults| Pattern::parse(value, name, at, faults))
}

fn name(fields: &mut Fields<'_, '_>, name: &str) -> Option<Box<str>> {
    let text = fields.text(name)?;
    if text.is_empty() {
        let fault = Fault::value("wrong-value", fields.at(name), format!("`{name}` must not be empty"));
        fields.faults().push(fault);
        return None;
    }
    Some(text.into())
}

/// `true`, `false`, or Rierino's `always`.
fn log_detail(fields: &mut Fields<'_, '_>) -> Option<bool> {
    match fields.any("logDetail") {
        Some(Value::String(word)) if word.eq_ignore_ascii_case("always") => Some(true),
        _ => fields.boolean("logDetail"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(
        params: &Value,
        parse: fn(&Value, Pointer, &mut Vec<Fault>) -> PolicyLayer,
    ) -> Vec<(String, &'static str, bool)> {
        let mut faults = Vec::new();
        parse(params, Pointer::root(), &mut faults);
        let mut said: Vec<_> =
            faults.iter().map(|f| (f.pointer().to_owned(), f.code, f.is_error())).collect();
        said.sort_unstable();
        said
    }

    #[test]
    fn near_misses_are_warned_of_wrong_values_are_errors_and_own_keys_silent() {
        let params = json!({"retries": 3, "myOwn": 1, "onFail": "RPLY", "timeoutMs": "x", "delayId": "", "skipPattern": "a =="});
        let fault = |at: &str, code, is_error| (at.to_owned(), code, is_error);
        assert_eq!(
            said(&params, PolicyLayer::parse),
            [
                fault("/delayId", "wrong-value", true),
                fault("/onFail", "wrong-value", true),
                fault("/retries", "unknown-param", false),
                fault("/skipPattern", "bad-expression", true),
                fault("/timeoutMs", "wrong-type", true),
            ]
        );
    }

    #[test]
    fn what_only_an_operation_can_be_is_refused_elsewhere() {
        let params = json!({"forEach": [1], "onFail": "SKIP"});
        assert_eq!(said(&params, PolicyLayer::parse), []);
        assert_eq!(
            said(&params, PolicyLayer::parse_shared),
            [("/forEach".to_owned(), "misplaced-param", true)]
        );
    }

    #[test]
    fn r8_rierinos_always_means_true() {
        let mut faults = Vec::new();
        let layer = PolicyLayer::parse(&json!({"logDetail": "always"}), Pointer::root(), &mut faults);
        assert_eq!((layer.log_detail, faults.len()), (Some(true), 0));
    }
}
