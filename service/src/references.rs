//! References in JSON values: which operations a payload needs, and tokens replaced by values.

use pop_agenda::{Fallback, Piece, Token, pieces};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Param with the names of operations that must end first.
pub(crate) const DEPENDS_ON: &str = "dependsOn";

/// Names of the operations on which an operation depends: by references in its payload, and by `dependsOn`.
pub(crate) fn dependencies(operation: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Some(payload) = operation.get("payload") {
        for_each_text(payload, &mut |text| {
            let tokens = pieces(text).into_iter().flatten().filter_map(|piece| match piece {
                Piece::Token(token) => token.operation().map(str::to_owned),
                Piece::Text(_) => None,
            });
            names.extend(tokens);
        });
    }
    let depends_on = operation.get("params").and_then(|params| params.get(DEPENDS_ON));
    if let Some(depends_on) = depends_on {
        for_each_text(depends_on, &mut |text| {
            let listed = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.extend(listed.map(str::to_owned));
        });
    }
    names
}

fn for_each_text(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => found(text),
        Value::Array(items) => items.iter().for_each(|item| for_each_text(item, found)),
        Value::Object(map) => map.values().for_each(|value| for_each_text(value, found)),
        _ => {}
    }
}

/// Replaces tokens whose name is in `values`; others stay. Adds what cannot be replaced to `problems`.
pub(crate) fn substitute(value: Value, values: &Map<String, Value>, problems: &mut Vec<String>) -> Value {
    match value {
        Value::String(text) => substitute_text(text, values, problems),
        Value::Array(items) => {
            items.into_iter().map(|item| substitute(item, values, problems)).collect::<Vec<_>>().into()
        }
        Value::Object(map) => {
            let replaced = map.into_iter().map(|(key, value)| (key, substitute(value, values, problems)));
            Value::Object(replaced.collect())
        }
        other => other,
    }
}

fn substitute_text(text: String, values: &Map<String, Value>, problems: &mut Vec<String>) -> Value {
    let Some(pieces) = pieces(&text) else { return Value::String(text) };
    if let [Piece::Token(token)] = pieces.as_slice() {
        return target(token, values, problems).unwrap_or(Value::String(text));
    }
    let mut whole = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(plain) => whole.push_str(&plain),
            Piece::Token(token) => match target(&token, values, problems) {
                None => whole.push_str(&token.text),
                Some(Value::String(text)) => whole.push_str(&text),
                Some(Value::Array(_) | Value::Object(_)) => {
                    problems
                        .push(format!("`{}` stands in a text, but its value is a list or a map", token.text));
                }
                Some(scalar) => whole.push_str(&scalar.to_string()),
            },
        }
    }
    Value::String(whole)
}

/// The value of a token; none if its name is unknown or its path leads nowhere.
fn target(token: &Token, values: &Map<String, Value>, problems: &mut Vec<String>) -> Option<Value> {
    let value = values.get(&token.name)?;
    let found = value.pointer(token.pointer.as_str()).cloned();
    found.or_else(|| match &token.fallback {
        Some(Fallback::Null) => Some(Value::Null),
        Some(Fallback::Text(text)) => Some(Value::String(text.clone())),
        None => {
            problems.push(format!("`{}` leads nowhere", token.text));
            None
        }
    })
}
