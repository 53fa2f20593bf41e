//! Policies from the command line: `--policy KEY=VALUE` overrides a key of the agenda's params.

use pop_document::{Fault, Pointer};
use pop_policy::{AROUND, Level, OPERATION_ONLY, POLICIES};
use serde_json::{Map, Value};

/// A fault of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentFault {
    /// The argument as written, such as `--policy timeoutMs=soon`.
    pub argument: String,
    /// What is wrong with it. Its site has no meaning.
    pub fault: Fault,
}

/// Adds a fault for each key of `--policy` that is no policy.
pub fn check_policy_arguments(policies: &[(String, String)], faults: &mut Vec<ArgumentFault>) {
    for (key, value) in policies.iter().filter(|(key, _)| !is_policy(key)) {
        let at = Pointer::root();
        let fault = if OPERATION_ONLY.contains(&key.as_str()) {
            let message = format!("`{key}` belongs to one operation");
            Fault::key("misplaced-param", at, message).hint("write it into the `params` of that operation")
        } else if AROUND.contains(&key.as_str()) {
            Fault::key("unknown-param", at, format!("`{key}` has no effect on a run"))
        } else {
            let fault = Fault::key("unknown-param", at, format!("`{key}` is not a policy"));
            let advice = Level::SharedParams.advice(key);
            match (advice.suggestion, advice.note) {
                (Some(suggestion), note) => {
                    let fault = fault.label(format!("did you mean {suggestion}?"));
                    note.into_iter().fold(fault, Fault::hint)
                }
                (None, Some(note)) => fault.hint(note),
                (None, None) => {
                    fault.hint("a policy is a key of `params`, such as `timeoutMs`, `retry` or `onFail`")
                }
            }
        };
        faults.push(ArgumentFault { argument: argument(key, value), fault });
    }
}

/// Overrides params of an agenda that is not parsed yet. A value that parses as JSON becomes that JSON value.
pub fn override_policies(mut root: Value, policies: &[(String, String)]) -> Value {
    if policies.is_empty() {
        return root;
    }
    if let Value::Object(agenda) = &mut root {
        let slot = agenda.entry("params").or_insert(Value::Null);
        if slot.is_null() {
            *slot = Value::Object(Map::new());
        }
        if let Value::Object(slot) = slot {
            for (key, text) in policies.iter().filter(|(key, _)| is_policy(key)) {
                let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
                slot.insert(key.clone(), value);
            }
        }
    }
    root
}

/// Moves the faults of overridden params to their arguments: the agenda's text does not contain these values.
pub fn take_argument_faults(
    policies: &[(String, String)],
    agenda: &mut Vec<Fault>,
    arguments: &mut Vec<ArgumentFault>,
) {
    for (key, value) in policies {
        let at = Pointer::root().join("params").join(key);
        let is_its = |fault: &mut Fault| {
            let rest = fault.pointer().strip_prefix(at.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let argument = argument(key, value);
        let taken = agenda.extract_if(.., is_its);
        arguments.extend(taken.map(|fault| ArgumentFault { argument: argument.clone(), fault }));
    }
}

fn is_policy(key: &str) -> bool {
    POLICIES.contains(&key)
}

fn argument(key: &str, value: &str) -> String {
    format!("--policy {key}={value}")
}
