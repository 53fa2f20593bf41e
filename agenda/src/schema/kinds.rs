//! The kinds of values that a schema accepts.

use super::{DEEPEST, Schema, spend};
use serde_json::Value;
use std::cell::Cell;
use std::fmt;

/// Maximum number of steps; after them every kind counts as accepted.
const MOST_STEPS_OF_KINDS: u32 = 500;

/// A set of kinds of JSON values. Whole numbers are a separate kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self(0b111_1111);
    pub(super) const NULL: Self = Self(1);
    const BOOLEAN: Self = Self(1 << 1);
    const INTEGER: Self = Self(1 << 2);
    const FRACTION: Self = Self(1 << 3);
    pub(super) const TEXT: Self = Self(1 << 4);
    pub(super) const LIST: Self = Self(1 << 5);
    pub(super) const MAP: Self = Self(1 << 6);

    /// The kind of a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => {
                Self::INTEGER
            }
            Value::Number(_) => Self::FRACTION,
            Value::String(_) => Self::TEXT,
            Value::Array(_) => Self::LIST,
            Value::Object(_) => Self::MAP,
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::INTEGER.or(Self::FRACTION),
            "string" => Self::TEXT,
            "array" => Self::LIST,
            "object" => Self::MAP,
            // an unknown name accepts everything
            _ => Self::ALL,
        }
    }

    /// Union of two sets.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Intersection of two sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the set is empty.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether the set contains all kinds of `other`.
    pub fn has(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = Self::INTEGER.or(Self::FRACTION);
        let numbers = if self.has(number) { (number, "a number") } else { (Self::INTEGER, "a whole number") };
        let words = [
            (Self::TEXT, "text"),
            numbers,
            (Self::BOOLEAN, "true or false"),
            (Self::LIST, "a list"),
            (Self::MAP, "a map"),
            (Self::NULL, "null"),
        ];
        let words: Vec<_> =
            words.into_iter().filter(|(kind, _)| self.has(*kind)).map(|(_, word)| word).collect();
        match words.split_last() {
            None => f.write_str("nothing"),
            Some((last, [])) => f.write_str(last),
            Some((last, others)) => write!(f, "{} or {last}", others.join(", ")),
        }
    }
}

impl Schema<'_> {
    /// A superset of the kinds of values that fit.
    pub fn kinds(self) -> Kinds {
        self.kinds_within(DEEPEST, &Cell::new(MOST_STEPS_OF_KINDS))
    }

    fn kinds_within(self, depth: usize, steps: &Cell<u32>) -> Kinds {
        let schema = self.resolved();
        let Some(map) = schema.map().filter(|_| depth > 0 && spend(steps)) else {
            return if schema.node == &Value::Bool(false) { Kinds::NONE } else { Kinds::ALL };
        };
        let mut kinds = match map.get("type") {
            Some(Value::String(name)) => Kinds::named(name),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).map(Kinds::named).fold(Kinds::NONE, Kinds::or)
            }
            _ => Kinds::ALL,
        };
        if let Some(values) = schema.values() {
            kinds = kinds.and(values.into_iter().map(Kinds::of).fold(Kinds::NONE, Kinds::or));
        }
        for keyword in ["anyOf", "oneOf"] {
            if map.contains_key(keyword) {
                let either = schema.list(keyword).map(|one| one.kinds_within(depth - 1, steps));
                kinds = kinds.and(either.fold(Kinds::NONE, Kinds::or));
            }
        }
        kinds = schema.list("allOf").map(|one| one.kinds_within(depth - 1, steps)).fold(kinds, Kinds::and);
        if schema.is_nullable() { kinds.or(Kinds::NULL) } else { kinds }
    }
}
