//! The desired state laid over a seen object, and the paths that the operator has set.
//!
//! The paths are kept as a small tree in JSON: `1` for a value, an object for an object, `["name", {…}]` for an array
//! compared by name, and `["index", …]` for another array. The tree holds no values, so it shows no secrets.

use crate::compare::{index_of, is_equal_scalar, names, present, without_nulls};
use crate::path::{Path, Segment};
use serde_json::{Map, Value, json};

const BY_NAME: &str = "name";
const BY_INDEX: &str = "index";

/// Sets what the desired state says in a seen object. All else stays.
pub fn lay_over(seen: &mut Value, desired: &Value) {
    match (seen, desired) {
        (_, Value::Null) => {}
        (Value::Object(seen), Value::Object(desired)) => {
            for (key, desired) in desired.iter().filter(|(_, value)| !value.is_null()) {
                match seen.get_mut(key).filter(|seen| !seen.is_null()) {
                    Some(seen) => lay_over(seen, desired),
                    None => drop(seen.insert(key.clone(), without_nulls(desired))),
                }
            }
        }
        (_, Value::Array(desired)) if desired.is_empty() => {}
        (Value::Array(seen), Value::Array(desired)) => {
            let names = names(desired);
            for (index, item) in desired.iter().enumerate() {
                let at = names.as_ref().map_or(Some(index), |names| index_of(seen, names[index]));
                match at.and_then(|at| seen.get_mut(at)) {
                    Some(seen) => lay_over(seen, item),
                    None => seen.push(without_nulls(item)),
                }
            }
        }
        (seen, desired) if !is_equal_scalar(seen, desired) => *seen = without_nulls(desired),
        _ => {}
    }
}

/// The tree of paths that a desired state sets.
pub fn applied_paths(desired: &Value) -> Value {
    match desired {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Map<String, Value> =
                fields.map(|(key, value)| (key.clone(), applied_paths(value))).collect();
            if fields.is_empty() { json!(1) } else { Value::Object(fields) }
        }
        Value::Array(items) => match names(items) {
            Some(names) => {
                let named = names.into_iter().zip(items);
                let named: Map<String, Value> =
                    named.map(|(name, item)| (name.to_owned(), applied_paths(item))).collect();
                json!([BY_NAME, named])
            }
            None => Value::Array(
                std::iter::once(json!(BY_INDEX)).chain(items.iter().map(applied_paths)).collect(),
            ),
        },
        _ => json!(1),
    }
}

/// The paths of a tree that the desired state does not set any more, in the order of the tree.
pub fn dropped_paths(applied: &Value, desired: &Value) -> Vec<Path> {
    let mut dropped = Vec::new();
    collect_dropped(applied, present(Some(desired)), &Path::root(), &mut dropped);
    dropped
}

fn collect_dropped(applied: &Value, desired: Option<&Value>, path: &Path, dropped: &mut Vec<Path>) {
    match (applied, desired) {
        (Value::Object(applied), Some(Value::Object(desired))) => {
            for (key, applied) in applied {
                collect_dropped(applied, present(desired.get(key)), &path.field(key), dropped);
            }
        }
        (Value::Object(applied), None) => {
            for (key, applied) in applied {
                collect_dropped(applied, None, &path.field(key), dropped);
            }
        }
        (Value::Array(applied), None) => collect_items(applied, &[], path, dropped),
        (Value::Array(applied), Some(Value::Array(desired))) => {
            collect_items(applied, desired, path, dropped);
        }
        (Value::Object(_) | Value::Array(_), Some(_)) => {}
        (_, None) => dropped.push(path.clone()),
        (_, Some(_)) => {}
    }
}

fn collect_items(applied: &[Value], desired: &[Value], path: &Path, dropped: &mut Vec<Path>) {
    let Some((kind, items)) = applied.split_first() else { return };
    let names = names(desired);
    match (kind.as_str(), items.first()) {
        (Some(BY_NAME), Some(Value::Object(items))) => {
            for (name, applied) in items {
                let path = path.with(Segment::Name(name.clone()));
                let kept = names.as_ref().and_then(|_| desired.get(index_of(desired, name)?));
                match kept {
                    Some(item) => collect_dropped(applied, present(Some(item)), &path, dropped),
                    // the operator made the item, so all of it goes
                    None => dropped.push(path),
                }
            }
        }
        (Some(BY_INDEX), _) => {
            for (index, applied) in items.iter().enumerate() {
                let path = path.with(Segment::Index(index));
                match desired.get(index).filter(|_| names.is_none()) {
                    Some(item) if !item.is_null() => collect_dropped(applied, Some(item), &path, dropped),
                    // a null keeps the item in its place
                    Some(_) => {}
                    None => dropped.push(path),
                }
            }
        }
        _ => {}
    }
}

/// Removes paths from an object, in the order of [`dropped_paths`]. An object or array that becomes empty goes too.
/// The result says which of the paths the object had.
pub fn remove_paths(object: &mut Value, paths: &[Path]) -> Vec<Path> {
    // the last first, so that indexes stay valid
    let removed = paths.iter().rev().filter(|path| remove(object, path.segments()));
    let mut removed: Vec<Path> = removed.cloned().collect();
    removed.reverse();
    removed
}

/// The value at a path.
pub(crate) fn value_at<'v>(value: &'v Value, path: &Path) -> Option<&'v Value> {
    path.segments().iter().try_fold(value, |value, segment| match segment {
        Segment::Field(name) => value.get(name),
        Segment::Index(index) => value.get(index),
        Segment::Name(name) => value.as_array().and_then(|items| items.get(index_of(items, name)?)),
    })
}

fn remove(value: &mut Value, segments: &[Segment]) -> bool {
    let Some((first, rest)) = segments.split_first() else { return false };
    match (first, value) {
        (Segment::Field(name), Value::Object(fields)) => {
            let Some(inner) = fields.get_mut(name) else { return false };
            let was_removed = rest.is_empty() || remove(inner, rest);
            if rest.is_empty() || (was_removed && is_empty(inner)) {
                fields.remove(name);
            }
            was_removed
        }
        (Segment::Index(index), Value::Array(items)) => remove_item(items, Some(*index), rest),
        (Segment::Name(name), Value::Array(items)) => {
            let index = index_of(items, name);
            remove_item(items, index, rest)
        }
        _ => false,
    }
}

fn remove_item(items: &mut Vec<Value>, index: Option<usize>, rest: &[Segment]) -> bool {
    let Some(index) = index.filter(|index| *index < items.len()) else { return false };
    if rest.is_empty() {
        items.remove(index);
        return true;
    }
    remove(&mut items[index], rest)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::differences;

    /// The object after the desired state changes from `before` to `after`.
    fn changed(seen: &Value, before: &Value, after: &Value) -> Value {
        let mut object = seen.clone();
        remove_paths(&mut object, &dropped_paths(&applied_paths(before), after));
        lay_over(&mut object, after);
        assert!(differences(&object, after).is_empty());
        object
    }

    #[test]
    fn o6_what_others_added_survives_and_what_we_dropped_goes() {
        for (seen, before, after, result) in [
            (
                json!({"data": {"a": "1", "x": "theirs"}}),
                json!({"data": {"a": "1"}}),
                json!({"data": {"b": "2"}}),
                json!({"data": {"b": "2", "x": "theirs"}}),
            ),
            (json!({"k": 1, "data": {"a": "1"}}), json!({"data": {"a": "1"}}), json!({}), json!({"k": 1})),
            (
                json!({"c": [{"name": "x"}, {"name": "b", "d": 1}, {"name": "a", "i": 1, "d": 2}]}),
                json!({"c": [{"name": "a", "i": 1}, {"name": "b"}]}),
                json!({"c": [{"name": "a"}]}),
                json!({"c": [{"name": "x"}, {"name": "a", "d": 2}]}),
            ),
            (json!({"a": [1, 2, 3]}), json!({"a": [1, 2]}), json!({"a": [1]}), json!({"a": [1, 3]})),
            (json!({"a": [1, 2]}), json!({"a": [1, 2]}), json!({"a": []}), json!({"a": []})),
            (
                json!({"r": [{"h": 1, "p": 2}, {"h": 3}]}),
                json!({"r": [{"h": 1, "p": 2}]}),
                json!({"r": [{"h": 4}]}),
                json!({"r": [{"h": 4}, {"h": 3}]}),
            ),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 1}}), json!({"a": 5}), json!({"a": 5})),
            (
                json!({"a": [1, 2]}),
                json!({"a": [1, 2]}),
                json!({"a": [{"name": "n"}]}),
                json!({"a": [{"name": "n"}]}),
            ),
        ] {
            assert_eq!(changed(&seen, &before, &after), result);
        }
    }

    #[test]
    fn o6_the_tree_of_paths_holds_no_values() {
        let desired = json!({"stringData": {"password": "hidden"}, "a": [{"name": "n", "v": null}], "b": ["x"], "e": {}});
        let tree = applied_paths(&desired);
        let expected = json!({"stringData": {"password": 1}, "a": ["name", {"n": {"name": 1}}],
            "b": ["index", 1], "e": 1});
        assert_eq!(tree, expected);
        assert!(dropped_paths(&tree, &desired).is_empty());
    }
}
