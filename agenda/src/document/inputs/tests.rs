//! Values of inputs by type, wrong values and wrong declarations, as tables.

use super::*;

fn specs(inputs: &Value) -> (InputSpecs, Vec<String>) {
    let mut faults = Vec::new();
    let specs = InputSpecs::parse(Some(inputs), &mut faults);
    (specs, faults.into_iter().map(|fault| format!("{}: {}", fault.pointer(), fault.message)).collect())
}

fn texts(given: &[(&str, &str)]) -> Vec<GivenInput> {
    let given = given.iter().map(|(name, text)| GivenInput {
        name: (*name).to_owned(),
        value: GivenValue::Text((*text).to_owned()),
        origin: "--input".to_owned(),
    });
    given.collect()
}

#[test]
fn texts_become_values_of_the_declared_type() {
    let (specs, faults) = specs(&json!({
        "s": {}, "i": {"type": "integer"}, "n": {"type": "number"}, "b": {"type": "boolean"},
        "a": {"type": "array"}, "o": {"type": "object"}, "d": {"type": "integer", "default": 7},
        "none": {"required": false}}));
    assert_eq!(faults, Vec::<String>::new());
    let given = texts(&[
        ("s", "first"),
        ("s", "12"),
        ("i", "-3"),
        ("n", "1.5"),
        ("b", "true"),
        ("a", "[1, \"x\"]"),
        ("o", "{}"),
    ]);
    let mut faults = Vec::new();
    let values = specs.resolve(&given, true, &mut faults).unwrap();
    assert_eq!(faults, []);
    let wanted =
        json!({"s": "12", "i": -3, "n": 1.5, "b": true, "a": [1, "x"], "o": {}, "d": 7, "none": null});
    assert_eq!(Value::Object(values.clone()), wanted);
    // recorded values are accepted as they are
    let recorded: Vec<GivenInput> = values
        .iter()
        .map(|(name, value)| GivenInput {
            name: name.clone(),
            value: GivenValue::Value(value.clone()),
            origin: "the run".to_owned(),
        })
        .collect();
    assert_eq!(specs.resolve(&recorded, true, &mut faults), Some(values));
    assert_eq!(faults, []);
}

#[test]
fn every_wrong_value_is_reported_at_once() {
    let (specs, _) = specs(&json!({
        "width": {"type": "integer", "enum": [480, 720]}, "folder": {"pattern": "^/"}, "deploy": {"type": "boolean"},
        "low": {"type": "number", "minimum": 0.5}, "high": {"type": "integer", "maximum": 9}, "missing": {}}));
    let given = texts(&[
        ("width", "700"),
        ("folder", "x"),
        ("deploy", "yes"),
        ("low", "0"),
        ("high", "10"),
        ("widht", "1"),
    ]);
    let mut faults = Vec::new();
    assert_eq!(specs.resolve(&given, true, &mut faults), None);
    let said: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
    assert_eq!(
        said,
        [
            "--input gives a value to `widht`, which is not an input of this agenda",
            "input `deploy` from --input must be a boolean, not `yes`",
            "input `folder` from --input must match `^/`; `x` does not",
            "input `high` from --input must be at most 9, not `10`",
            "input `low` from --input must be at least 0.5, not `0`",
            "input `missing` has no value",
            "input `width` from --input must be one of 480, 720, not `700`",
        ]
    );
    assert_eq!(faults[0].label.as_deref(), Some("did you mean `width`?"));
    // a check needs no values, but checks those that are given
    let mut faults = Vec::new();
    assert_eq!(specs.resolve(&texts(&[("high", "x")]), false, &mut faults), None);
    assert_eq!(faults.len(), 1);
}

#[test]
fn wrong_declarations_are_faults_at_their_place() {
    let (read, faults) = specs(&json!({
        "9x": {}, "a": {"type": "int"}, "b": {"type": "integer", "default": "x"}, "c": 5,
        "d": {"pattern": "("}, "e": {"minimum": 3}, "f": {"typ": "string"}}));
    let names: Vec<&str> = read.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["e", "f"]);
    assert!(read.is_unread("b"));
    assert_eq!(
        faults,
        [
            "/inputs/9x: `9x` is not a name for an input",
            "/inputs/a/type: `int` is not a type of input: types are string, integer, number, boolean, array, object",
            "/inputs/b/default: the default of input `b` must be an integer, not `x`",
            "/inputs/c: input `c` must be a map, not a number",
            "/inputs/d/pattern: `pattern` is not a regular expression: unclosed group",
            "/inputs/e/minimum: `minimum` has no effect on an input of type string",
            "/inputs/f/typ: input `f` has no field `typ`; it is ignored",
        ]
    );
    let (_, faults) = specs(&json!(["a"]));
    assert_eq!(faults, ["/inputs: `inputs` must be a map, not a list"]);
}
