//! Reading of policies from one `params` map.

use crate::table::{POLICIES, PolicyLayer};
use pop_document::{Fault, Fields, Pointer, nearest};
use serde_json::Value;

/// The keys that belong to one operation and have no meaning elsewhere.
pub const OPERATION_ONLY: [&str; 9] = [
    "dependsOn",
    "finally",
    "when",
    "version",
    "action",
    "forEach",
    "maxParallel",
    "agenda.operation.generator",
    "generatedOperationParent",
];

/// Keys of an agenda's `params` that are for other services of POP; accepted without effect.
pub const AROUND: [&str; 5] = ["maximumAttempts", "externalId", "doNotRun", "defaultInsight", "progressId"];

impl PolicyLayer {
    /// Reads a `params` map. Unknown keys are for the user's own purposes; one close to a known key gives a warning.
    pub fn parse(params: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Self {
        let Some(mut fields) = Fields::of(params, at, "`params`", "wrong-type", faults) else {
            return Self::default();
        };
        check_names(&mut fields);
        Self::read(&mut fields)
    }

    /// Reads a `params` map that is not of one operation: keys that belong to one operation are faults.
    pub fn parse_shared(params: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Self {
        for name in OPERATION_ONLY.iter().filter(|name| params.get(**name).is_some()) {
            let message = format!("`{name}` belongs to one operation and has no meaning here");
            let fault = Fault::key("misplaced-param", at.join(*name), message);
            faults.push(fault.hint("move it to the `params` of that operation"));
        }
        Self::parse(params, at, faults)
    }

    /// Whether the layer sets no policy.
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
    fn typos_warn_wrong_values_are_errors_own_keys_are_silent() {
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
