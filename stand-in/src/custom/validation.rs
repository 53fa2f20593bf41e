//! Validation of custom resources against their schemas, with the words of a real server. Pure.

use super::schema::{RESERVED, child};
use crate::failure::Cause;
use serde_json::Value;
use std::collections::HashSet;

/// All faults of a custom resource.
pub(crate) fn check(schema: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_at(schema, object, "", true, &mut causes);
    causes
}

fn check_at(schema: &Value, value: &Value, path: &str, is_resource: bool, causes: &mut Vec<Cause>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let types = types(schema);
    let type_name = type_name(value);
    let is_integral = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let has_type = types.is_empty()
        || types.iter().any(|wanted| match *wanted {
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64() || is_integral,
            wanted => wanted == type_name,
        });
    if !has_type {
        let why = format!("{path} in body must be of type {}: {type_name:?}", types.join(","));
        causes.push(Cause::new(
            path,
            "FieldValueTypeInvalid",
            format!("Invalid value: {type_name:?}: {why}"),
        ));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let allowed: Vec<_> = allowed
            .iter()
            .map(|one| format!("{:?}", one.as_str().map_or(one.to_string(), str::to_owned)))
            .collect();
        let message = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
        causes.push(Cause::new(path, "FieldValueNotSupported", message));
    }
    match value {
        Value::String(text) => check_text(schema, text, path, causes),
        Value::Number(_) => check_number(schema, value, path, causes),
        Value::Array(entries) => check_list(schema, entries, path, causes),
        Value::Object(fields) => {
            let size = fields.len() as u64;
            if let Some(most) = schema["maxProperties"].as_u64().filter(|most| size > *most) {
                causes.push(too_many(path, size, most));
            }
            if let Some(least) = schema["minProperties"].as_u64().filter(|least| size < *least) {
                let why = format!("{path} in body should have at least {least} properties");
                causes.push(invalid(path, &size.into(), &why));
            }
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    causes.push(Cause::required(&child(path, name), ""));
                }
            }
            for (name, value) in fields {
                if is_resource && RESERVED.contains(&name.as_str()) {
                    continue;
                }
                let property = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
                if let Some(inner) = property.filter(|inner| inner.is_object()) {
                    let is_resource = inner["x-kubernetes-embedded-resource"] == true;
                    check_at(inner, value, &child(path, name), is_resource, causes);
                }
            }
        }
        _ => {}
    }
    check_alternatives(schema, value, path, causes);
}

/// The types that a schema allows; none means all.
fn types(schema: &Value) -> Vec<&str> {
    if schema["x-kubernetes-int-or-string"] == true {
        return vec!["integer", "string"];
    }
    schema["type"].as_str().into_iter().collect()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn invalid(path: &str, value: &Value, why: &str) -> Cause {
    Cause::new(path, "FieldValueInvalid", format!("Invalid value: {value}: {why}"))
}

fn too_many(path: &str, size: u64, most: u64) -> Cause {
    let message = format!("Too many: {size}: must have at most {most} items");
    Cause::new(path, "FieldValueTooMany", message)
}

fn check_text(schema: &Value, text: &str, path: &str, causes: &mut Vec<Cause>) {
    let value = Value::from(text);
    let length = text.chars().count() as u64;
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        let message = format!("Too long: may not be more than {most} bytes");
        causes.push(Cause::new(path, "FieldValueTooLong", message));
    }
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        causes.push(invalid(path, &value, &format!("{path} in body should be at least {least} chars long")));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && super::schema_check::pattern(pattern).is_ok_and(|it| !it.is_match(text.as_bytes()))
    {
        causes.push(invalid(path, &value, &format!("{path} in body should match '{pattern}'")));
    }
    if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
        let message = format!("Invalid value: {value}: {path} in body must be of type date-time: {value}");
        causes.push(Cause::new(path, "FieldValueTypeInvalid", message));
    }
}

fn check_number(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(number) = value.as_f64() else { return };
    let is_integer = !value.is_f64();
    let mut refuse = |why: &str, limit: f64| {
        let limit = if is_integer { format!("{}", limit as i64) } else { as_go_prints(limit) };
        causes.push(invalid(path, value, &format!("{path} in body should be {why} {limit}")));
    };
    if let Some(most) = schema["maximum"].as_f64() {
        let is_exclusive = schema["exclusiveMaximum"] == true;
        if is_exclusive && number >= most {
            refuse("less than", most);
        } else if number > most {
            refuse("less than or equal to", most);
        }
    }
    if let Some(least) = schema["minimum"].as_f64() {
        let is_exclusive = schema["exclusiveMinimum"] == true;
        if is_exclusive && number <= least {
            refuse("greater than", least);
        } else if number < least {
            refuse("greater than or equal to", least);
        }
    }
    if let Some(factor) = schema["multipleOf"].as_f64().filter(|factor| (number / factor).fract() != 0.0) {
        refuse("a multiple of", factor);
    }
}

/// A number in the format of Go: with an exponent from a million on.
fn as_go_prints(number: f64) -> String {
    if number != 0.0 && !(1e-4..1e6).contains(&number.abs()) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        return format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    number.to_string()
}

fn check_list(schema: &Value, entries: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let size = entries.len() as u64;
    if let Some(most) = schema["maxItems"].as_u64().filter(|most| size > *most) {
        causes.push(too_many(path, size, most));
    }
    if let Some(least) = schema["minItems"].as_u64().filter(|least| size < *least) {
        causes.push(invalid(
            path,
            &size.into(),
            &format!("{path} in body should have at least {least} items"),
        ));
    }
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut seen = HashSet::new();
    for (at, entry) in entries.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let id = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Some(entry.to_string()),
            Some("map") => {
                let fields = keys.iter().map(|key| ((*key).to_owned(), entry[*key].clone()));
                Some(Value::Object(fields.collect()).to_string())
            }
            _ => None,
        };
        if let Some(id) = id.filter(|id| !seen.insert(id.clone())) {
            causes.push(Cause::new(&path, "FieldValueDuplicate", format!("Duplicate value: {id}")));
        }
        let inner = &schema["items"];
        if inner.is_object() {
            let is_resource = inner["x-kubernetes-embedded-resource"] == true;
            check_at(inner, entry, &path, is_resource, causes);
        }
    }
}

/// `allOf`, `anyOf`, `oneOf` and `not`. Their faults have no field in a real server either.
fn check_alternatives(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let is_valid = |schema: &Value| {
        let mut causes = Vec::new();
        check_at(schema, value, path, false, &mut causes);
        causes.is_empty()
    };
    let count = |list: &str| {
        let schemas = schema[list].as_array().filter(|schemas| !schemas.is_empty())?;
        Some((schemas.len(), schemas.iter().filter(|schema| is_valid(schema)).count()))
    };
    let mut faults = Vec::new();
    if count("allOf").is_some_and(|(all, valid)| valid < all) {
        faults.push("must validate all the schemas (allOf)".to_owned());
    }
    if count("anyOf").is_some_and(|(_, valid)| valid == 0) {
        faults.push("must validate at least one schema (anyOf)".to_owned());
    }
    match count("oneOf") {
        None | Some((_, 1)) => {}
        Some((_, 0)) => {
            faults.push("must validate one and only one schema (oneOf). Found none valid".to_owned());
        }
        Some((_, valid)) => faults
            .push(format!("must validate one and only one schema (oneOf). Found {valid} valid alternatives")),
    }
    if schema["not"].is_object() && is_valid(&schema["not"]) {
        faults.push("must not validate the schema (not)".to_owned());
    }
    for fault in faults {
        causes.push(Cause::invalid("<nil>", "", &format!("{path:?} {fault}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_fault_has_the_words_of_a_real_server() {
        for (schema, value, expected) in [
            (json!({"type": "integer"}), json!(3), ""),
            (json!({"type": "integer"}), json!(3.0), ""),
            (
                json!({"type": "integer"}),
                json!("x"),
                "spec.a: Invalid value: \"string\": spec.a in body must be of type integer: \"string\"",
            ),
            (
                json!({"type": "string"}),
                json!(1.5),
                "spec.a: Invalid value: \"number\": spec.a in body must be of type string: \"number\"",
            ),
            (
                json!({"type": "object"}),
                json!(null),
                "spec.a: Invalid value: \"null\": spec.a in body must be of type object: \"null\"",
            ),
            (json!({"type": "object", "nullable": true}), json!(null), ""),
            (json!({"x-kubernetes-int-or-string": true}), json!("25%"), ""),
            (
                json!({"type": "string", "enum": ["red", "green"]}),
                json!("blue"),
                "spec.a: Unsupported value: \"blue\": supported values: \"red\", \"green\"",
            ),
            (json!({"type": "string", "pattern": "^\\d+$"}), json!("12"), ""),
            (
                json!({"type": "string", "pattern": "^\\d+$"}),
                json!("x"),
                "spec.a: Invalid value: \"x\": spec.a in body should match '^\\d+$'",
            ),
            (
                json!({"type": "integer", "maximum": 10}),
                json!(15),
                "spec.a: Invalid value: 15: spec.a in body should be less than or equal to 10",
            ),
            (
                json!({"type": "number", "maximum": 1_000_000}),
                json!(1_500_000.5),
                "spec.a: Invalid value: 1500000.5: spec.a in body should be less than or equal to 1e+06",
            ),
            (
                json!({"type": "integer", "minimum": 1, "exclusiveMinimum": true}),
                json!(1),
                "spec.a: Invalid value: 1: spec.a in body should be greater than 1",
            ),
            (
                json!({"type": "string", "maxLength": 1}),
                json!("xy"),
                "spec.a: Too long: may not be more than 1 bytes",
            ),
            (
                json!({"type": "string", "minLength": 1}),
                json!(""),
                "spec.a: Invalid value: \"\": spec.a in body should be at least 1 chars long",
            ),
            (
                json!({"type": "array", "maxItems": 1, "items": {"type": "integer"}}),
                json!([1, 2]),
                "spec.a: Too many: 2: must have at most 1 items",
            ),
            (
                json!({"type": "array", "items": {"type": "integer"}}),
                json!([1, "x"]),
                "spec.a[1]: Invalid value: \"string\": spec.a[1] in body must be of type integer: \"string\"",
            ),
            (
                json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}),
                json!([{"k": 1, "v": 1}, {"k": 1}]),
                "spec.a[1]: Duplicate value: {\"k\":1}",
            ),
            (json!({"type": "object", "required": ["b"]}), json!({}), "spec.a.b: Required value"),
            (
                json!({"type": "string", "format": "date-time"}),
                json!("now"),
                "spec.a: Invalid value: \"now\": spec.a in body must be of type date-time: \"now\"",
            ),
            (
                json!({"type": "object", "oneOf": [{"required": ["b"]}, {"required": ["c"]}]}),
                json!({}),
                "<nil>: Invalid value: \"\": \"spec.a\" must validate one and only one schema (oneOf). Found none valid",
            ),
        ] {
            let root = json!({"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"a": schema}},
            }});
            let causes = check(&root, &json!({"metadata": {"name": "x"}, "spec": {"a": value}}));
            let text: Vec<_> = causes.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
            assert_eq!(text.join("; "), expected, "{schema} {value}");
        }
    }
}
