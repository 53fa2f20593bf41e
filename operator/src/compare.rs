//! Comparison of the seen with the desired state.
//!
//! Only fields of the desired state count: what others added is no difference. A desired `null` is the same as an
//! absent field, and `1` equals `1.0`. Arrays whose desired items all have different names are compared by name, in
//! any order. Other arrays are compared by index. A seen array may be longer.

use crate::path::{Path, Segment};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// A place where the seen differs from the desired state.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The place.
    pub path: Path,
    /// The seen value; none if it is absent.
    pub seen: Option<Value>,
    /// The desired value; none if the field must be absent.
    pub desired: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or("absent".to_owned(), Value::to_string);
        write!(f, "{}: {}, desired {}", self.path, text(&self.seen), text(&self.desired))
    }
}

/// The places where an object lacks something desired.
pub fn differences(seen: &Value, desired: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    subset(Some(seen), desired, &Path::root(), &mut found);
    found
}

/// The places where two values differ in any way; used for a status. Null equals absent.
pub fn exact_differences(seen: &Value, desired: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    exact(present(Some(seen)), present(Some(desired)), &Path::root(), &mut found);
    found
}

/// Whether two values are equal: `1` equals `1.0`, and a field that is null equals an absent one.
pub fn is_equal(one: &Value, other: &Value) -> bool {
    exact_differences(one, other).is_empty()
}

/// A value that is there and not null.
pub(crate) fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// A value without the fields that are null.
pub(crate) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        value => value.clone(),
    }
}

/// The names of desired items, if these are compared by name: there are some, and each has another one.
pub(crate) fn names(items: &[Value]) -> Option<Vec<&str>> {
    let names: Vec<&str> = items.iter().map(name_of).collect::<Option<_>>()?;
    let different: BTreeSet<&str> = names.iter().copied().collect();
    (!names.is_empty() && different.len() == names.len()).then_some(names)
}

/// The index of the item with a name.
pub(crate) fn index_of(items: &[Value], name: &str) -> Option<usize> {
    items.iter().position(|item| name_of(item) == Some(name))
}

fn name_of(item: &Value) -> Option<&str> {
    item.get("name")?.as_str()
}

pub(crate) fn is_equal_scalar(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() != b.is_f64() => a.as_f64() == b.as_f64(),
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => false,
        (one, other) => one == other,
    }
}

fn subset(seen: Option<&Value>, desired: &Value, path: &Path, found: &mut Vec<Difference>) {
    let differs = match (desired, seen) {
        (Value::Null, _) => false,
        (Value::Object(desired), Some(Value::Object(seen))) => {
            for (key, desired) in desired {
                subset(present(seen.get(key)), desired, &path.field(key), found);
            }
            false
        }
        (Value::Array(desired), _) if desired.is_empty() => false,
        (Value::Array(desired), Some(Value::Array(seen))) => {
            items(seen, desired, path, found);
            false
        }
        (desired, Some(seen)) => !is_equal_scalar(seen, desired),
        (_, None) => true,
    };
    if differs {
        found.push(Difference {
            path: path.clone(),
            seen: seen.cloned(),
            desired: Some(without_nulls(desired)),
        });
    }
}

fn items(seen: &[Value], desired: &[Value], path: &Path, found: &mut Vec<Difference>) {
    let names = names(desired);
    for (index, item) in desired.iter().enumerate() {
        let (seen, segment) = match &names {
            Some(names) => {
                let name = names[index];
                (index_of(seen, name).and_then(|index| seen.get(index)), Segment::Name(name.to_owned()))
            }
            None => (seen.get(index), Segment::Index(index)),
        };
        subset(seen, item, &path.with(segment), found);
    }
}

fn exact(seen: Option<&Value>, desired: Option<&Value>, path: &Path, found: &mut Vec<Difference>) {
    let differs = match (seen, desired) {
        (None, None) => false,
        (Some(Value::Object(seen)), Some(Value::Object(desired))) => {
            for key in keys(seen, desired) {
                exact(present(seen.get(key)), present(desired.get(key)), &path.field(key), found);
            }
            false
        }
        (Some(Value::Array(seen)), Some(Value::Array(desired))) if seen.len() == desired.len() => {
            for (index, (seen, desired)) in seen.iter().zip(desired).enumerate() {
                let path = path.with(Segment::Index(index));
                exact(present(Some(seen)), present(Some(desired)), &path, found);
            }
            false
        }
        (Some(seen), Some(desired)) => !is_equal_scalar(seen, desired),
        (Some(_), None) | (None, Some(_)) => true,
    };
    if differs {
        found.push(Difference { path: path.clone(), seen: seen.cloned(), desired: desired.cloned() });
    }
}

fn keys<'v>(one: &'v Map<String, Value>, other: &'v Map<String, Value>) -> BTreeSet<&'v String> {
    one.keys().chain(other.keys()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(seen: &Value, desired: &Value) -> Vec<String> {
        differences(seen, desired).iter().map(Difference::to_string).collect()
    }

    #[test]
    fn o7_only_desired_fields_count() {
        let seen =
            json!({"spec": {"a": 1, "b": {"c": "x", "more": true}}, "extra": [1], "labels": {"x/y": "z"}});
        assert!(differences(&seen, &json!({"spec": {"b": {"c": "x"}}})).is_empty());
        assert_eq!(
            texts(&seen, &json!({"spec": {"a": 2, "b": {"d": 4}}, "labels": {"x/y": "w"}})),
            [r#".labels["x/y"]: "z", desired "w""#, ".spec.a: 1, desired 2", ".spec.b.d: absent, desired 4"]
        );
        assert_eq!(texts(&json!({"a": 1}), &json!({"a": {"b": 1}})), [r#".a: 1, desired {"b":1}"#]);
    }

    #[test]
    fn o7_desired_null_equals_absent_and_numbers_equal_by_value() {
        let seen = json!({"a": 1, "b": 2.5, "c": null});
        assert!(differences(&seen, &json!({"a": 1.0, "x": null, "b": null})).is_empty());
        assert_eq!(texts(&seen, &json!({"a": true})), [".a: 1, desired true"]);
        assert_eq!(texts(&seen, &json!({"c": {"x": null}})), [".c: absent, desired {}"]);
        assert_eq!(texts(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64)).len(), 1);
    }

    #[test]
    fn o8_named_items_are_compared_in_any_order() {
        let seen = json!({"c": [{"name": "log", "image": "l"}, {"name": "app", "image": "a", "x": 1}]});
        assert!(
            differences(&seen, &json!({"c": [{"name": "app", "image": "a"}, {"name": "log"}]})).is_empty()
        );
        assert_eq!(
            texts(&seen, &json!({"c": [{"name": "app", "image": "b"}, {"name": "new"}]})),
            [r#".c[app].image: "a", desired "b""#, r#".c[new]: absent, desired {"name":"new"}"#]
        );
    }

    #[test]
    fn o8_other_items_are_compared_by_index() {
        let seen = json!({"args": ["a", "b", "c"], "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]});
        assert!(differences(&seen, &json!({"args": ["a", "b"]})).is_empty(), "a longer seen array is fine");
        assert!(
            differences(&seen, &json!({"args": [], "none": []})).is_empty(),
            "an empty array never differs"
        );
        assert_eq!(texts(&seen, &json!({"args": ["b"]})), [r#".args[0]: "a", desired "b""#]);
        assert_eq!(
            texts(&seen, &json!({"args": ["a", "b", "c", "d"]})),
            [r#".args[3]: absent, desired "d""#]
        );
        // two items of one name
        assert!(differences(&seen, &seen).is_empty());
    }

    #[test]
    fn o2_status_is_compared_exactly() {
        let seen = json!({"a": 1, "error": "old", "list": [1, 2], "n": null});
        assert!(is_equal(&seen, &json!({"a": 1.0, "error": "old", "list": [1, 2]})));
        let found: Vec<String> = exact_differences(&seen, &json!({"a": 1, "list": [1]}))
            .iter()
            .map(Difference::to_string)
            .collect();
        assert_eq!(found, [r#".error: "old", desired absent"#, ".list: [1,2], desired [1]"]);
        assert!(is_equal(&Value::Null, &Value::Null) && !is_equal(&json!({}), &Value::Null));
    }
}
