//! Reading of policies from one `params` map.

use crate::keys::{Level, OPERATION_ONLY, RETRY_FIELDS};
use crate::table::{POLICIES, PolicyLayer};
use crate::unknown_key::is_param;
use pop_document::{Fault, Fields, Pointer};
use serde_json::Value;

impl PolicyLayer {
    /// Reads the `params` of an operation. An unknown key gives a warning, unless it begins with `x-`.
    pub fn parse(params: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Self {
        Self::parse_at(Level::Params, params, at, faults)
    }

    /// Reads the `params` of an agenda, or the `policies` of a handler: keys that belong to one operation are faults.
    pub fn parse_shared(params: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Self {
        for name in OPERATION_ONLY.iter().filter(|name| params.get(**name).is_some()) {
            let message = format!("`{name}` belongs to one operation and has no meaning here");
            let fault = Fault::key("misplaced-param", at.join(*name), message);
            faults.push(fault.hint("move it to the `params` of that operation"));
        }
        Self::parse_at(Level::SharedParams, params, at, faults)
    }

    fn parse_at(level: Level, params: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Self {
        let Some(mut fields) = Fields::of(params, at, "`params`", "wrong-type", faults) else {
            return Self::default();
        };
        level.warn_unknown(&mut fields, is_param);
        if let Some((Value::Object(retry), at)) = fields.located("retry") {
            let mut retry = Fields::of_map(retry, at, "wrong-type", fields.faults());
            Level::Retry.warn_unknown(&mut retry, |key| RETRY_FIELDS.contains(&key));
        }
        let sets_policies = fields.iter().any(|(key, _)| POLICIES.contains(&key.as_str()));
        if sets_policies { Self::read(&mut fields) } else { Self::default() }
    }

    /// Whether the layer sets no policy.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
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
    fn unknown_keys_warn_wrong_values_are_errors_own_keys_are_silent() {
        let params = json!({"retries": 3, "retry": {"attempts": 2}, "x-own": 1, "added": 7, "onFail": "RPLY", "timeoutMs": "x", "delayId": "", "skipPattern": "a =="});
        let fault = |at: &str, code, is_error| (at.to_owned(), code, is_error);
        assert_eq!(
            said(&params, PolicyLayer::parse),
            [
                fault("/delayId", "wrong-value", true),
                fault("/onFail", "wrong-value", true),
                fault("/retries", "unknown-param", false),
                fault("/retry/attempts", "unknown-field", false),
                fault("/skipPattern", "bad-expression", true),
                fault("/timeoutMs", "wrong-type", true),
            ]
        );
    }

    #[test]
    fn shared_params_refuse_keys_of_one_operation() {
        let params = json!({"forEach": [1], "onFail": "SKIP"});
        assert_eq!(said(&params, PolicyLayer::parse), []);
        assert_eq!(
            said(&params, PolicyLayer::parse_shared),
            [("/forEach".to_owned(), "misplaced-param", true)]
        );
    }

    #[test]
    fn r8_log_detail_always_means_true() {
        let mut faults = Vec::new();
        let layer = PolicyLayer::parse(&json!({"logDetail": "always"}), Pointer::root(), &mut faults);
        assert_eq!((layer.log_detail, faults.len()), (Some(true), 0));
    }
}
