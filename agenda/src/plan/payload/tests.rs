//! References filled with values: types, text, built-in values, limits.

use super::*;
use serde_json::json;

fn bind(payload: Value, result: &Value) -> Result<Value, String> {
    let payload = Payload::compile(payload.into(), |token, _| match token.name.as_str() {
        "a.out" => Some(Referent::Result(OpRef::Fixed(OpIx(0)))),
        "pop.agendaId" => Some(Referent::AgendaId),
        "pop.operationName" => Some(Referent::OperationName),
        "pop.at" => Some(Referent::AtSign),
        "pop.item" => Some(Referent::Item),
        "pop.index" => Some(Referent::Index),
        "pop.inputs" => Some(Referent::Inputs),
        _ => None,
    });
    let item = Some((result, 4));
    let results = HashMap::from([(OpIx(0), Arc::new(result.clone()))]);
    let inputs = json!({"width": 720});
    let values = Values {
        agenda_id: "ag-7",
        operation_name: "me",
        item,
        items: None,
        inputs: &inputs,
        run: None,
        results: &results,
        from: None,
    };
    payload.bind(&values).map(Cow::into_owned).map_err(|error| error.to_string())
}

#[test]
fn single_reference_keeps_the_type_of_its_value() {
    let result = json!({"b": true, "n": 7, "s": "x", "o": {"k": [1]}, "z": null});
    let payload =
        json!(["@<a.out::/b>", "@<a.out::/n>", "@<a.out::/o>", "@<a.out::/z>", {"k": "@<a.out::/s>"}]);
    assert_eq!(bind(payload, &result), Ok(json!([true, 7, {"k": [1]}, null, {"k": "x"}])));
}

#[test]
fn whole_payload_may_be_one_reference() {
    assert_eq!(bind(json!("@<a.out>"), &json!({"x": false})), Ok(json!({"x": false})));
}

#[test]
fn scalars_become_text_inside_text() {
    let result = json!({"b": true, "n": 1.5, "z": null, "o": {}});
    assert_eq!(bind(json!("x@<a.out::/b>@<a.out::/n>y@<a.out::/z>"), &result), Ok(json!("xtrue1.5ynull")));
    let error = bind(json!({"p": "x@<a.out::/o>"}), &result).unwrap_err();
    assert_eq!(
        error,
        "`@<a.out::/o>` at `/p` of the payload: refers to a map, which cannot be used inside text"
    );
}

#[test]
fn fr_l4_path_applies_to_built_in_values() {
    for (payload, bound) in [
        ("@<pop.agendaId::/nope?none>", json!("none")),
        ("@<pop.operationName::/x?>", json!(null)),
        ("@<pop.index::/x?0>", json!("0")),
        ("@<pop.agendaId::/>", json!("ag-7")),
        ("x@<pop.operationName::?none>", json!("xme")),
    ] {
        assert_eq!(bind(json!(payload), &json!({})), Ok(bound), "{payload}");
    }
    for payload in ["@<pop.agendaId::/nope>", "x@<pop.operationName::/x>", "@<pop.index::/0>"] {
        assert!(bind(json!(payload), &json!({})).unwrap_err().contains("there is no `/"), "{payload}");
    }
}

#[test]
fn fr_h11_filled_values_beyond_the_limit_fail() {
    let value = |length: usize| json!({"s": "x".repeat(length)});
    // together with its quotes this is exactly the limit
    let fits = VALUE_LIMIT - 2;
    assert!(bind(json!("@<a.out::/s>"), &value(fits)).is_ok());
    for payload in [json!("x@<a.out::/s>"), json!(["@<pop.index>", "@<a.out::/s>"]), json!({"s": "@<a.out>"})]
    {
        let error = bind(payload, &value(fits)).unwrap_err();
        assert!(
            error.ends_with("the payload would have more than 16777216 bytes of filled values"),
            "{error}"
        );
    }
}

#[test]
fn fr_c2_pop_at_escapes_a_reference() {
    let bound = |payload: &str| bind(json!(payload), &json!("h"));
    assert_eq!(bound("--format=%h @<pop.at><%an>"), Ok(json!("--format=%h @<%an>")));
    assert_eq!(bound("@<pop.at><a.out>"), Ok(json!("@<a.out>")));
    assert_eq!(bound("@<pop.at>"), Ok(json!("@")));
    // an at sign before a reference stays as it is
    assert_eq!(bound("user@@<a.out>"), Ok(json!("user@h")));
}

#[test]
fn agenda_id_and_operation_name_are_filled() {
    assert_eq!(bind(json!("@<pop.agendaId>/@<pop.operationName>"), &json!({})), Ok(json!("ag-7/me")));
}

#[test]
fn item_and_index_keep_their_types() {
    let payload =
        json!({"of": "@<pop.item::/s>", "n": "@<pop.index>", "file": "@<pop.index>-@<pop.item::/s>"});
    let bound = json!({"of": "x", "n": 4, "file": "4-x"});
    assert_eq!(bind(payload, &json!({"s": "x"})), Ok(bound));
}

#[test]
fn fallback_replaces_missing_and_skipped_values() {
    let payload = json!(["@<a.out::/w?0>", "@<a.out::/w?>", "w=@<a.out::/w?none>"]);
    assert_eq!(bind(payload.clone(), &json!({})), Ok(json!(["0", null, "w=none"])));
    assert_eq!(bind(payload, &Value::Null), Ok(json!(["0", null, "w=none"])));
    assert_eq!(bind(json!("@<a.out>"), &Value::Null), Ok(Value::Null));
}

#[test]
fn filled_values_are_not_scanned_for_references() {
    assert_eq!(bind(json!("@<a.out::/s>"), &json!({"s": "@<a.out::/s>"})), Ok(json!("@<a.out::/s>")));
}

#[test]
fn missing_value_error_lists_existing_keys() {
    let error = |payload: &str, result| bind(json!(payload), &result).unwrap_err();
    assert_eq!(
        error("@<a.out::/x/w>", json!({"x": {"width": 1, "h": 2}})),
        "`@<a.out::/x/w>` at `` of the payload: there is no `/x/w`; `/x` has `h`, `width`"
    );
    assert!(error("@<a.out::/9>", json!([1])).ends_with("there is no `/9`; the result is a list of 1"));
    assert!(error("@<a.out::/9>", json!({})).ends_with("the result is an empty map"));
}
