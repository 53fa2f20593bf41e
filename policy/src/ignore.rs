//! ignoreErrors: codes that count as success.

use crate::policy::Policy;
use crate::read;
use pop_document::{Fault, Pointer, kind_of};
use serde_json::Value;

/// Status codes of diagnostics, or exit codes, that count as success (`"11002, 11006"`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoredCodes(Vec<String>);

pub(crate) const IGNORE_ERRORS: Policy<IgnoredCodes> =
    Policy::new("ignoreErrors", |fields, key| read::with(fields, key, IgnoredCodes::parse), words)
        .always_shown();

fn words(codes: &IgnoredCodes) -> String {
    if codes.0.is_empty() { "none".to_owned() } else { codes.0.join(", ") }
}

impl IgnoredCodes {
    /// Reads a comma-separated string or a list of codes.
    pub fn parse(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        codes(value, "ignoreErrors", at, faults).map(Self)
    }

    /// The first of `codes` that is ignored.
    pub fn find<'c>(&self, codes: &[&'c str]) -> Option<&'c str> {
        codes.iter().copied().find(|code| self.0.iter().any(|ignored| ignored == code))
    }

    /// The codes as written.
    pub fn codes(&self) -> &[String] {
        &self.0
    }
}

/// Reads codes from a comma-separated string or a list of strings and numbers.
pub(crate) fn codes(value: &Value, name: &str, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Vec<String>> {
    let listed: Vec<String> = match value {
        Value::String(text) => text.split(',').map(|code| code.trim().to_owned()).collect(),
        Value::Number(number) => vec![number.to_string()],
        Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_number()) => {
            items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
        }
        other => {
            let message = format!("`{name}` must be codes such as \"11002,11006\", not {}", kind_of(other));
            faults.push(Fault::value("wrong-type", at.clone(), message));
            return None;
        }
    };
    Some(listed.into_iter().filter(|code| !code.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn r6_codes_are_read_from_texts_lists_and_numbers() {
        let mut faults = Vec::new();
        for value in [json!("11002, ,11006"), json!([11002, "11006"])] {
            let ignored = IgnoredCodes::parse(&value, &Pointer::root(), &mut faults).unwrap();
            assert_eq!(ignored.find(&["exit", "11006"]), Some("11006"));
            assert_eq!(ignored.find(&["exit", "1"]), None);
        }
        assert!(faults.is_empty());
        assert_eq!(IgnoredCodes::parse(&json!(true), &Pointer::root(), &mut faults), None);
        assert_eq!(faults[0].message, "`ignoreErrors` must be codes such as \"11002,11006\", not a boolean");
    }
}
