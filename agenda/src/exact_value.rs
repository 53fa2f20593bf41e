//! Equality of JSON values that is strict enough to store equal ones once.

use serde_json::Value;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A value that is equal to another one only if both print the same. serde_json takes 0.0 and -0.0 as equal.
#[derive(Debug, Clone)]
pub(crate) struct ExactValue(pub(crate) Arc<Value>);

impl PartialEq for ExactValue {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || is_exactly(&self.0, &other.0)
    }
}

impl Eq for ExactValue {}

impl Hash for ExactValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Whether two values are equal, also in the sign of zeros.
pub(crate) fn is_exactly(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let sign = |number: &serde_json::Number| number.as_f64().map(f64::is_sign_negative);
            one == other && sign(one) == sign(other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_exactly(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && is_exactly(one.1, other.1))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_exactly_equal_if_they_print_the_same() {
        let all = [
            json!(null),
            json!(0),
            json!(0.0),
            json!(-0.0),
            json!(1),
            json!(1.0),
            json!("a"),
            json!([0.0]),
            json!([-0.0]),
            json!([0.0, 0.0]),
            json!({"a": [0.0]}),
            json!({"a": [-0.0]}),
            json!({"b": [0.0]}),
        ];
        let all = all.map(|value| (value.to_string(), value));
        for (one_text, one) in &all {
            for (other_text, other) in &all {
                assert_eq!(is_exactly(one, other), one_text == other_text, "{one} {other}");
            }
        }
    }
}
