//! JSON Schemas of payloads and results: what a pointer leads to, and what fits into what, before there are values.
//!
//! Read are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`,
//! `minItems`, `maxItems`, `minimum`, `maximum`, `minLength`, `maxLength`, `anyOf`, `oneOf`, `allOf`, `$ref` within
//! the schema, and OpenAPI's `nullable`. Whatever else a schema says is left to the handler: it is never a reason to
//! call something wrong.

mod fit;
mod follow;
mod kinds;
mod payload;

pub use fit::Fit;
pub use follow::{Followed, Presence};
pub use kinds::Kinds;
pub use payload::{Finding, Given, Part, check_payload};

use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::sync::LazyLock;

/// How deep schemas are followed; what lies deeper is not judged.
const DEEPEST: usize = 24;
/// After so many steps nothing more is judged: schemas that hold themselves in many alternatives have no end.
const MOST_STEPS: u32 = 20_000;
/// How many references from one schema to another are followed in a row.
const MOST_REFERENCES: usize = 16;

/// A schema, or a part of one, with the document in which its `$ref`s point.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'s> {
    root: &'s Value,
    node: &'s Value,
}

impl<'s> Schema<'s> {
    /// A whole schema.
    pub fn new(root: &'s Value) -> Self {
        Self { root, node: root }
    }

    /// The schema of every text.
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

    /// The schema itself instead of a reference to it. One that leads nowhere says nothing, like `true`.
    fn resolved(self) -> Self {
        let mut schema = self;
        for _ in 0..MOST_REFERENCES {
            let Some(target) = schema.node.get("$ref").and_then(Value::as_str) else { return schema };
            // a part with an identity of its own has references of its own, which are not followed
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

    /// The schemas of which one must hold: those of `anyOf` or `oneOf`, or the schema itself.
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

    /// Whether a map that fits has none but the properties that are named.
    fn is_closed(self) -> bool {
        self.node.get("additionalProperties") == Some(&Value::Bool(false))
            && self.node.get("patternProperties").is_none()
    }

    /// The schema of the properties that are not named, if it is the same for all of them.
    fn other_properties(self) -> Option<Self> {
        let more = self.node.get("additionalProperties").filter(|more| more.is_object())?;
        self.node.get("patternProperties").is_none().then(|| self.at(more))
    }

    /// Whether null fits whatever else is said: OpenAPI's word.
    fn is_nullable(self) -> bool {
        self.node.get("nullable") == Some(&Value::Bool(true))
    }

    /// The schema of a list's item.
    fn item(self, index: usize) -> Option<Self> {
        self.list("prefixItems").nth(index).or_else(|| self.node.get("items").map(|node| self.at(node)))
    }

    /// The values that it names, if it names them all.
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

/// Takes one step of those that are left; false if there is none.
fn spend(steps: &Cell<u32>) -> bool {
    let left = steps.get().checked_sub(1);
    steps.set(left.unwrap_or_default());
    left.is_some()
}

/// Whether two values are the same to JSON Schema, for which 1 is 1.0.
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
