//! `forEach: {matrix: …, exclude: …, include: …}`: every combination of some values, as maps.
//!
//! The combinations are in the order of the axes' names. The meaning is that of a matrix of GitHub Actions: `exclude` removes the combinations that have all the values of one
//! of its maps; a map of `include` extends each combination whose values it does not change, or else adds one.

use pop_document::{Fault, Pointer, kind_of, nearest};
use serde_json::{Map, Value};

const KEYS: [&str; 3] = ["matrix", "exclude", "include"];
/// Maximum number of items of a matrix.
const MOST_ITEMS: usize = 100_000;

/// Checks what is known of a matrix before its references are filled.
pub(super) fn check(matrix: &Map<String, Value>, at: &Pointer, faults: &mut Vec<Fault>) {
    for key in matrix.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let message = format!("a matrix has `matrix`, `exclude` and `include`, not `{key}`");
        let fault = Fault::key("unknown-field", at.join(key), message);
        let is_axis = !matrix.contains_key("matrix");
        let fault = if is_axis { fault.hint("for example {matrix: {os: [a, b]}}") } else { fault };
        faults.push(fault.did_you_mean(nearest(key, KEYS)));
    }
    if matrix.keys().any(|key| !KEYS.contains(&key.as_str())) {
        return;
    }
    let is_open = |value: &Value| value.as_str().is_some_and(|text| text.contains("@<"));
    let wrong = |at: Pointer, message: String| Fault::value("wrong-type", at, message);
    match matrix.get("matrix") {
        Some(Value::Object(axes)) => {
            for (name, values) in axes.iter().filter(|(_, values)| !values.is_array() && !is_open(values)) {
                let message = format!("`{name}` of the matrix must be a list, not {}", kind_of(values));
                faults.push(wrong(at.join("matrix").join(name), message));
            }
        }
        Some(value) if is_open(value) => {}
        Some(value) => {
            let message = format!("`matrix` must be a map of lists, not {}", kind_of(value));
            faults.push(wrong(at.join("matrix"), message));
        }
        None if matrix.contains_key("include") => {}
        None => {
            let message = "a matrix needs `matrix`, a map of lists";
            faults.push(Fault::value("missing-field", at.clone(), message));
        }
    }
    for key in ["exclude", "include"] {
        match matrix.get(key) {
            None => {}
            Some(Value::Array(maps)) => {
                for (index, map) in
                    maps.iter().enumerate().filter(|(_, map)| !map.is_object() && !is_open(map))
                {
                    let message = format!("`{key}` must be a list of maps, but one item is {}", kind_of(map));
                    faults.push(wrong(at.join(key).join(index), message));
                }
            }
            Some(value) if is_open(value) => {}
            Some(value) => {
                let message = format!("`{key}` must be a list of maps, not {}", kind_of(value));
                faults.push(wrong(at.join(key), message));
            }
        }
    }
}

/// The items of a matrix whose references are filled; an error is a message.
pub(crate) fn items(matrix: &Map<String, Value>) -> Result<Vec<Value>, String> {
    let none = Map::new();
    let axes = match matrix.get("matrix") {
        None => &none,
        Some(Value::Object(axes)) => axes,
        Some(other) => return Err(format!("`matrix` must be a map of lists, not {}", kind_of(other))),
    };
    let mut items: Vec<Map<String, Value>> = if axes.is_empty() { Vec::new() } else { vec![Map::new()] };
    for (name, values) in axes {
        let Value::Array(values) = values else {
            return Err(format!("`{name}` of the matrix must be a list, not {}", kind_of(values)));
        };
        if items.len().saturating_mul(values.len()) > MOST_ITEMS {
            return Err(format!("the matrix has more than {MOST_ITEMS} combinations"));
        }
        let with = |item: &Map<String, Value>, value: &Value| {
            let mut item = item.clone();
            item.insert(name.clone(), value.clone());
            item
        };
        items = items.iter().flat_map(|item| values.iter().map(|value| with(item, value))).collect();
    }
    let excluded = maps(matrix, "exclude")?;
    items.retain(|item| {
        !excluded.iter().any(|map| map.iter().all(|(name, value)| item.get(name) == Some(value)))
    });
    let combinations = items.len();
    for map in maps(matrix, "include")? {
        let mut is_used = false;
        for item in &mut items[..combinations] {
            // values of the matrix stay; those that an earlier `include` added may change
            if map.iter().all(|(name, value)| !axes.contains_key(name) || item.get(name) == Some(value)) {
                item.extend(map.clone());
                is_used = true;
            }
        }
        if !is_used {
            items.push(map.clone());
        }
    }
    Ok(items.into_iter().map(Value::Object).collect())
}

fn maps<'m>(matrix: &'m Map<String, Value>, key: &str) -> Result<Vec<&'m Map<String, Value>>, String> {
    let wrong = |value: &Value| format!("`{key}` must be a list of maps, not {}", kind_of(value));
    match matrix.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(maps)) => {
            maps.iter().map(|map| map.as_object().ok_or_else(|| wrong(map))).collect()
        }
        Some(other) => Err(wrong(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(matrix: &Value) -> Result<Value, String> {
        items(matrix.as_object().unwrap()).map(Value::Array)
    }

    #[test]
    fn combinations_follow_the_names_of_the_axes() {
        let found = of(&json!({"matrix": {"os": ["a", "b"], "py": [1, 2]}})).unwrap();
        let expected =
            json!([{"os": "a", "py": 1}, {"os": "a", "py": 2}, {"os": "b", "py": 1}, {"os": "b", "py": 2}]);
        assert_eq!(found, expected);
        assert_eq!(of(&json!({"matrix": {"os": []}})), Ok(json!([])));
        assert_eq!(of(&json!({"include": [{"os": "a"}]})), Ok(json!([{"os": "a"}])));
    }

    #[test]
    fn exclude_removes_partial_matches() {
        let found = of(&json!({
            "matrix": {"os": ["a", "b"], "py": [1, 2]},
            "exclude": [{"os": "a"}, {"os": "b", "py": 2}, {"os": "b", "ruby": 1}],
        }));
        assert_eq!(found, Ok(json!([{"os": "b", "py": 1}])));
    }

    // the example of GitHub's documentation of `include`, in other words
    #[test]
    fn include_extends_combinations_or_adds_one() {
        let found = of(&json!({
            "matrix": {"fruit": ["apple", "pear"], "animal": ["cat", "dog"]},
            "include": [
                {"color": "green"}, {"color": "pink", "animal": "cat"}, {"fruit": "apple", "shape": "circle"},
                {"fruit": "banana"}, {"fruit": "banana", "animal": "cat"},
            ],
        }));
        let expected = json!([
            {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
            {"fruit": "pear", "animal": "cat", "color": "pink"},
            {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
            {"fruit": "pear", "animal": "dog", "color": "green"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ]);
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn wrong_values_are_named() {
        assert_eq!(
            of(&json!({"matrix": {"os": "a"}})).unwrap_err(),
            "`os` of the matrix must be a list, not text"
        );
        let many: Vec<u32> = (0..1000).collect();
        let error = of(&json!({"matrix": {"a": many, "b": many}})).unwrap_err();
        assert_eq!(error, "the matrix has more than 100000 combinations");
        let mut faults = Vec::new();
        let wrong = json!({"matrix": {"os": 1, "py": "@<x.out>"}, "exclude": {}, "include": [1]});
        check(wrong.as_object().unwrap(), &Pointer::root(), &mut faults);
        check(json!({"os": ["a"]}).as_object().unwrap(), &Pointer::root(), &mut faults);
        check(json!({"exclude": []}).as_object().unwrap(), &Pointer::root(), &mut faults);
        let said: Vec<_> = faults.iter().map(|fault| (fault.pointer(), fault.message.as_str())).collect();
        assert_eq!(
            said,
            [
                ("/matrix/os", "`os` of the matrix must be a list, not a number"),
                ("/exclude", "`exclude` must be a list of maps, not a map"),
                ("/include/0", "`include` must be a list of maps, but one item is a number"),
                ("/os", "a matrix has `matrix`, `exclude` and `include`, not `os`"),
                ("", "a matrix needs `matrix`, a map of lists"),
            ]
        );
    }
}
