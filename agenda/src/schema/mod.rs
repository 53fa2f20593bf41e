//! JSON Schemas of payloads and results: the schema at a pointer, and whether schemas fit, before values exist.
//!
//! Supported keywords are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`,
//! `minItems`, `maxItems`, `minimum`, `maximum`, `minLength`, `maxLength`, `anyOf`, `oneOf`, `allOf`, `$ref` within
//! the schema, and OpenAPI's `nullable`. Other keywords are left to the handler and never cause a finding.

mod fit;
mod follow;
mod kinds;
mod payload;

pub use fit::Fit;
pub use follow::{PointerTarget, Presence};
pub use kinds::Kinds;
pub use payload::{Finding, KnownValue, Subject, check_payload};

use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::sync::LazyLock;

/// Maximum depth to which schemas are compared; deeper parts are not checked.
const DEEPEST: usize = 24;
/// Maximum number of steps, because recursive schemas with many alternatives have no end. The rest is not checked.
const MOST_STEPS: u32 = 20_000;
/// Maximum number of consecutive `$ref`s.
const MOST_REFERENCES: usize = 16;

/// A schema or a part of one, with the document that its `$ref`s refer to.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'s> {
    root: &'s Value,
    node: &'s Value,
}

impl<'s> Schema<'s> {
    /// A whole schema document.
    pub fn new(root: &'s Value) -> Self {
        Self { root, node: root }
    }

    /// The schema of all texts.
    pub fn text() -> Schema<'static> {
        static TEXT: LazyLock<Value> = LazyLock::new(|| json!({"type": "string"}));
        Schema::new(&TEXT)
    }

    /// The schema of null.
    pub fn null() -> Schema<'static> {
        static NULL: LazyLock<Value> = LazyLock::new(|| json!({"type": "null"}));
        Schema::new(&NULL)
    }

    fn at(self, node: &'s Value) -> Self {
        Self { node, ..self }
    }

    /// Follows `$ref`. A reference without a target accepts everything, like `true`.
    fn resolved(self) -> Self {
        let mut schema = self;
        for _ in 0..MOST_REFERENCES {
            let Some(target) = schema.node.get("$ref").and_then(Value::as_str) else { return schema };
            // a part with its own `$id` has its own references, which are not followed
            let is_plain =
                schema.node.get("$id").is_none() && self.root.get("$defs").is_none_or(has_no_identities);
            let found = target.strip_prefix('#').filter(|_| is_plain);
            let found = found.and_then(|pointer| self.root.pointer(pointer));
            schema = schema.at(found.unwrap_or(&Value::Bool(true)));
        }
        schema.at(&Value::Bool(true))
    }

    fn map(self) -> Option<&'s Map<String, Value>> {
        self.node.as_object()
    }

    fn list(self, keyword: &str) -> impl Iterator<Item = Self> {
        let list = self.node.get(keyword).and_then(Value::as_array);
        list.into_iter().flatten().map(move |node| self.at(node))
    }

    /// The alternatives: the schemas of `anyOf` or `oneOf`, or the schema itself.
    fn alternatives(self) -> Vec<Self> {
        let schema = self.resolved();
        let mut all: Vec<Self> =
            schema.list("anyOf").chain(schema.list("oneOf")).map(Self::resolved).collect();
        if all.is_empty() {
            all.push(schema);
        }
        all
    }

    fn property(self, name: &str) -> Option<Self> {
        self.node.get("properties")?.get(name).map(|node| self.at(node))
    }

    fn properties(self) -> impl Iterator<Item = (&'s str, Self)> {
        let properties = self.node.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(move |(name, node)| (name.as_str(), self.at(node)))
    }

    fn requires(self, name: &str) -> bool {
        self.required().any(|required| required == name)
    }

    fn required(self) -> impl Iterator<Item = &'s str> {
        self.node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether a map may have only the listed properties.
    fn is_closed(self) -> bool {
        self.node.get("additionalProperties") == Some(&Value::Bool(false))
            && self.node.get("patternProperties").is_none()
    }

    /// The schema of properties that are not listed, if all have the same.
    fn other_properties(self) -> Option<Self> {
        let more = self.node.get("additionalProperties").filter(|more| more.is_object())?;
        self.node.get("patternProperties").is_none().then(|| self.at(more))
    }

    /// Whether null is accepted by OpenAPI's `nullable`.
    fn is_nullable(self) -> bool {
        self.node.get("nullable") == Some(&Value::Bool(true))
    }

    /// The schema of the item at an index of a list.
    fn item(self, index: usize) -> Option<Self> {
        self.list("prefixItems").nth(index).or_else(|| self.node.get("items").map(|node| self.at(node)))
    }

    /// All accepted values, if the schema lists them.
    fn values(self) -> Option<Vec<&'s Value>> {
        let map = self.map()?;
        match (map.get("const"), map.get("enum")) {
            (Some(value), _) => Some(vec![value]),
            (None, Some(Value::Array(values))) => Some(values.iter().collect()),
            _ => None,
        }
    }

    fn limit(self, keyword: &str) -> Option<f64> {
        self.node.get(keyword).and_then(Value::as_f64)
    }
}

fn has_no_identities(definitions: &Value) -> bool {
    definitions.as_object().is_none_or(|all| all.values().all(|one| one.get("$id").is_none()))
}

/// Takes one of the remaining steps; false if none is left.
fn spend(steps: &Cell<u32>) -> bool {
    let left = steps.get().checked_sub(1);
    steps.set(left.unwrap_or_default());
    left.is_some()
}

/// Whether two values are equal in JSON Schema, where 1 equals 1.0.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_same =
                |(key, one): (&String, &Value)| other.get(key).is_some_and(|other| is_equal(one, other));
            one.len() == other.len() && one.iter().all(is_same)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests;
