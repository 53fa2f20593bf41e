//! Checks of the schemas in a CustomResourceDefinition: only structural schemas are accepted. Pure.

use crate::failure::Cause;
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Compiles a pattern. Its classes are those of ASCII, as in Go.
pub(super) fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).unicode(false).build()
}

/// The faults of a schema; `place` says where it is used.
pub(super) fn check(schema: &Value, path: &str, place: &str, causes: &mut Vec<Cause>) {
    let is_any = ["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"]
        .iter()
        .any(|extension| schema[*extension] == true);
    let type_path = format!("{path}.type");
    match schema["type"].as_str().unwrap_or_default() {
        "" if is_any && place != "at the root" => {}
        "" => causes.push(Cause::required(&type_path, &format!("must not be empty {place}"))),
        given if !TYPES.contains(&given) => {
            causes.push(not_supported(&type_path, given, &TYPES));
        }
        given if place == "at the root" && given != "object" => {
            causes.push(Cause::invalid(&type_path, given, "must be object at the root"));
        }
        _ => {}
    }
    if let Some(text) = schema["pattern"].as_str()
        && let Err(why) = pattern(text)
    {
        let why = format!("must be a valid regular expression, but isn't: {why}");
        causes.push(Cause::invalid(&format!("{path}.pattern"), text, &why));
    }
    if schema["type"] == "array" && !schema["items"].is_object() {
        causes.push(Cause::required(&format!("{path}.items"), "must be specified"));
    }
    if schema["uniqueItems"] == true {
        let message =
            "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        causes.push(Cause::new(&format!("{path}.uniqueItems"), "FieldValueForbidden", message.to_owned()));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let is_metadata = name == "metadata" && place == "at the root";
        if !is_metadata || !inner["type"].is_null() {
            check(inner, &format!("{path}.properties[{name}]"), "for specified object fields", causes);
        }
    }
    if schema["additionalProperties"].is_object() {
        if schema["properties"].as_object().is_some_and(|fields| !fields.is_empty()) {
            let message = "Forbidden: additionalProperties and properties are mutual exclusive";
            let field = format!("{path}.additionalProperties");
            causes.push(Cause::new(&field, "FieldValueForbidden", message.to_owned()));
        }
        let field = format!("{path}.additionalProperties");
        check(&schema["additionalProperties"], &field, "for specified object fields", causes);
    }
    if schema["items"].is_object() {
        check(&schema["items"], &format!("{path}.items"), "for specified array items", causes);
    }
}

pub(super) fn not_supported(field: &str, given: &str, supported: &[&str]) -> Cause {
    let supported: Vec<_> = supported.iter().map(|one| format!("{one:?}")).collect();
    let message = format!("Unsupported value: {given:?}: supported values: {}", supported.join(", "));
    Cause::new(field, "FieldValueNotSupported", message)
}
