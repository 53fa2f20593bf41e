//! Schemas against pointers, schemas and payloads, as tables.

use super::*;
use pop_document::Pointer;
use serde_json::json;

fn media() -> Value {
    json!({
        "type": "object",
        "required": ["path", "width", "streams", "either"],
        "additionalProperties": false,
        "properties": {
            "path": {"type": "string"},
            "width": {"type": "integer"},
            "duration": {"type": ["number", "null"]},
            "codec": {"enum": ["h264", "vp9"]},
            "streams": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Stream"}},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            "either": {"anyOf": [{"$ref": "#/$defs/Stream"}, {"type": "null"}]},
            "free": {"type": "object"}
        },
        "$defs": {"Stream": {"type": "object", "required": ["kind"], "additionalProperties": false,
            "properties": {"kind": {"type": "string"}, "next": {"$ref": "#/$defs/Stream"}}}}
    })
}

#[test]
fn pointer_target_exists_always_sometimes_or_never() {
    let media = media();
    let sometimes = |step: &str| Presence::Sometimes(step.to_owned());
    let never = |step: &str, near: Option<&str>| Presence::Never {
        step: step.to_owned(),
        near: near.map(str::to_owned),
    };
    for (pointer, presence, kinds) in [
        ("", Presence::Always, "a map"),
        ("/width", Presence::Always, "a whole number"),
        ("/duration", sometimes("/duration"), "a number or null"),
        ("/widht", never("/widht", Some("width")), "nothing"),
        ("/path/0", never("/path/0", None), "nothing"),
        ("/streams/0/kind", Presence::Always, "text"),
        ("/streams/1/kind", sometimes("/streams/1"), "text"),
        ("/streams/x", never("/streams/x", None), "nothing"),
        ("/streams/0/next/next/kind", sometimes("/streams/0/next"), "text"),
        ("/tags/any", sometimes("/tags"), "text"),
        ("/either/kind", sometimes("/either/kind"), "text"),
        ("/free/thing", sometimes("/free"), "nothing"),
    ] {
        let followed = Schema::new(&media).follow(&Pointer::from(pointer));
        let found = followed.schemas.iter().map(|schema| schema.kinds()).fold(Kinds::NONE, Kinds::or);
        assert_eq!((followed.presence, found.to_string().as_str()), (presence, kinds), "{pointer}");
    }
}

#[test]
fn values_of_one_schema_fit_another_or_may_or_cannot() {
    let number = json!({"type": "number"});
    let integer = json!({"type": "integer"});
    let map = |required: bool| {
        let required = if required { json!(["a"]) } else { json!([]) };
        json!({"type": "object", "additionalProperties": false, "required": required, "properties": {"a": {"type": "string"}}})
    };
    let wants_b = json!({"type": "object", "required": ["b"], "properties": {"b": true}});
    let wants_a = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}});
    let wants_a_number = json!({"type": "object", "properties": {"a": {"type": "number"}}});
    let takes_none = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let yes = Fit::Yes;
    let perhaps = |why: &str| Fit::Perhaps(why.to_owned());
    let no = |why: &str| Fit::No(why.to_owned());
    for (given, wanted, fit) in [
        (integer.clone(), number.clone(), yes.clone()),
        (number.clone(), integer.clone(), perhaps("may be a number, not only a whole number")),
        (json!({"type": "string"}), number.clone(), no("is text, not a number")),
        (json!(true), number.clone(), yes.clone()),
        (number.clone(), json!({"anyOf": [{"type": "string"}, {"type": "number"}]}), yes.clone()),
        (
            json!({"type": ["string", "null"]}),
            json!({"type": "string"}),
            perhaps("may be text or null, not only text"),
        ),
        (json!({"enum": ["a", "b"]}), json!({"enum": ["a", "b", "c"]}), yes.clone()),
        (json!({"enum": ["a", "d"]}), json!({"enum": ["a", "b"]}), perhaps("may be none of \"a\", \"b\"")),
        (json!({"const": "d"}), json!({"enum": ["a", "b"]}), no("is none of \"a\", \"b\"")),
        (map(true), wants_a.clone(), yes.clone()),
        (map(false), wants_a, perhaps("may have no `a`")),
        (map(true), wants_b, no("has no `b`")),
        (map(true), wants_a_number.clone(), no("its `/a` is text, not a number")),
        (map(false), wants_a_number, perhaps("its `/a` is text, not a number")),
        (map(true), takes_none, no("has `a`, which is not accepted")),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"type": "array", "items": {"type": "integer"}}),
            perhaps("its `/0` is text, not a whole number"),
        ),
        (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), number, no("is text, not a number")),
    ] {
        assert_eq!(Schema::new(&wanted).fits(Schema::new(&given)), fit, "{given} into {wanted}");
    }
}

#[test]
fn a_schema_that_holds_itself_comes_to_an_end() {
    let list = json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
    let other = json!({"type": "object", "properties": {"next": {"$ref": "#/properties/next"}}});
    let circle = json!({"$ref": "#"});
    for (given, wanted) in
        [(&list, &list), (&list, &other), (&other, &list), (&circle, &list), (&list, &circle)]
    {
        assert!(!matches!(Schema::new(wanted).fits(Schema::new(given)), Fit::No(_)), "{given} into {wanted}");
    }
}

fn found(payload: &Value, schema: &Value) -> Vec<String> {
    let findings = check_payload(payload, Schema::new(schema), &|_| None);
    findings.into_iter().map(|finding| format!("{} {}", finding.at.as_str(), finding.why)).collect()
}

#[test]
fn a_payload_is_checked_in_all_its_parts() {
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["input", "width"],
        "properties": {
            "input": {"type": "string", "minLength": 1},
            "width": {"type": ["number", "string"], "minimum": 2, "maximum": 8000},
            "preset": {"enum": ["fast", "slow"]},
            "parts": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/Part"}}
        },
        "$defs": {"Part": {"anyOf": [
            {"type": "object", "required": ["file"], "properties": {"file": {"type": "string"}}}, {"type": "integer"}]}}
    });
    for (payload, wanted) in [
        (json!({"input": "a", "width": 7, "preset": "fast", "parts": [{"file": "x"}, 3]}), vec![]),
        (json!({"width": 7}), vec![" needs `input`"]),
        (json!([]), vec![" must be a map, not a list"]),
        (
            json!({"input": "", "width": 1}),
            vec!["/input must be at least 1 characters, not 0", "/width must be at least 2, not 1"],
        ),
        (json!({"input": "a", "width": 9000}), vec!["/width must be at most 8000, not 9000"]),
        (json!({"input": "a", "width": true}), vec!["/width must be text or a number, not true"]),
        (
            json!({"input": "a", "width": 7, "preste": 1}),
            vec!["/preste is not a field of its handler's payload"],
        ),
        (
            json!({"input": "a", "width": 7, "preset": "fats"}),
            vec!["/preset must be one of \"fast\", \"slow\", not \"fats\""],
        ),
        (
            json!({"input": "a", "width": 7, "parts": [{"file": 1}]}),
            vec!["/parts/0/file must be text, not 1"],
        ),
        (
            json!({"input": "a", "width": 7, "parts": [1, 2, 3]}),
            vec!["/parts must be at most 2 items, not 3"],
        ),
    ] {
        assert_eq!(found(&payload, &schema), wanted, "{payload}");
    }
}

#[test]
fn what_is_still_to_come_is_judged_by_its_schema() {
    let wanted = json!({"type": "object", "properties": {"n": {"type": "number"}, "t": {"type": "string"}}});
    let payload = json!({"n": "@<a>", "t": "@<b>"});
    let (text, either) = (json!({"type": "string"}), json!({"type": ["number", "string"]}));
    let judged = |given: &dyn Fn(&Pointer) -> Option<KnownValue<'static>>| -> Vec<(String, bool)> {
        let findings = check_payload(&payload, Schema::new(&wanted), given);
        findings.into_iter().map(|finding| (finding.at.as_str().to_owned(), finding.is_proved)).collect()
    };
    let leaked = |value: Value| -> &'static Value { Box::leak(Box::new(value)) };
    let (text, either) = (leaked(text), leaked(either));
    assert_eq!(judged(&|_| Some(KnownValue::Unknown)), []);
    assert_eq!(judged(&|_| Some(KnownValue::Text)), [("/n".to_owned(), true)]);
    assert_eq!(judged(&|_| Some(KnownValue::OneOf(vec![Schema::new(text)]))), [("/n".to_owned(), true)]);
    let both = [("/n".to_owned(), false), ("/t".to_owned(), false)];
    assert_eq!(judged(&|_| Some(KnownValue::OneOf(vec![Schema::new(either)]))), both);
    // one of two alternatives fits: it may
    let one = judged(&|_| Some(KnownValue::OneOf(vec![Schema::new(text), Schema::new(either)])));
    assert_eq!(one, both);
}

#[test]
fn what_a_schema_says_otherwise_is_no_reason() {
    let schema = json!({"type": "string", "pattern": "^x", "format": "date", "not": {"const": "a"}, "if": true, "then": false});
    assert_eq!(found(&json!("a"), &schema), Vec::<String>::new());
    for anything in [json!(true), json!({}), json!({"type": "new-kind"}), json!({"$ref": "other.json"})] {
        assert_eq!(found(&json!([1]), &anything), Vec::<String>::new());
    }
    assert_eq!(found(&json!(1), &json!(false)), [" must be nothing, not 1"]);
}

#[test]
fn what_may_fit_is_not_called_wrong() {
    let text = json!({"type": "string"});
    let given = |_: &Pointer| Some(KnownValue::OneOf(vec![Schema::new(&text)]));
    let either = json!({"anyOf": [{"properties": {"x": {"type": "integer"}}}, {"properties": {"x": {"enum": ["a", "b"]}}}]});
    let findings = check_payload(&json!({"x": "@<a>"}), Schema::new(&either), &given);
    assert!(findings.iter().all(|finding| !finding.is_proved), "{findings:?}");
    for (schema, value) in [
        (
            json!({"patternProperties": {"^n_": {"type": "integer"}}, "additionalProperties": {"type": "string"}}),
            json!({"n_a": 5}),
        ),
        (json!({"enum": [0.5, 1.0, [2.0]]}), json!(1)),
        (json!({"enum": [[2.0]]}), json!([2])),
        (json!({"nullable": true, "allOf": [{"type": "object"}]}), json!(null)),
        (json!({"nullable": true, "anyOf": [{"type": "object"}, {"type": "string"}]}), json!(null)),
    ] {
        assert_eq!(found(&value, &schema), [""; 0], "{value} into {schema}");
    }
    let null = json!({"type": "null"});
    let nullable = json!({"nullable": true, "allOf": [{"type": "object"}]});
    assert_eq!(Schema::new(&nullable).fits(Schema::new(&null)), Fit::Yes);
    let deep = Pointer::from("/a".repeat(DEEPEST + 1));
    let map = json!({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}});
    assert!(Schema::new(&map).follow(&deep).schemas.is_empty());
}

#[test]
fn schemas_without_end_are_left_in_time() {
    let side = |name: &str| {
        json!({"type": "object", "required": ["kind", "left", "right"],
        "properties": {"kind": {"const": name}, "left": {"$ref": "#"}, "right": {"$ref": "#"}}})
    };
    let expression = json!({"anyOf": [side("a"), side("b"), side("c"), side("d")]});
    let other = expression.clone();
    assert!(!matches!(Schema::new(&expression).fits(Schema::new(&other)), Fit::No(_)));
    let circle = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]});
    assert_eq!(Schema::new(&circle).kinds(), Kinds::ALL);
    let mut payload = json!(1);
    for _ in 0..12 {
        payload = json!({"kind": "d", "left": payload, "right": 1});
    }
    check_payload(&payload, Schema::new(&expression), &|_| None);
    Schema::new(&expression).follow(&Pointer::from("/left/right/left/right/left/right/kind"));
}
