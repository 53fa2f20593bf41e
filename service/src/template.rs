//! Agenda templates: agendas whose tokens are replaced by static parameters and by the payload of a request.

use crate::error::ServiceError;
use crate::object::Object;
use crate::references::substitute;
use serde_json::{Map, Value};

/// The names under which an agenda template refers to the payload of the request.
const PAYLOAD_NAMES: [&str; 2] = ["pop.payload", "pop.transformRequest"];

/// Makes an agenda from a template. Tokens with other names stay for the executor.
pub fn instantiate(template: &Object, payload: &Value) -> Result<Object, ServiceError> {
    let Some(Value::Object(agenda)) = template.0.get("agenda") else {
        return Err(ServiceError::invalid(format!("agenda template `{}` has no `agenda`", template.id())));
    };
    let mut values = match template.0.get("staticParameters") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(values)) => values.clone(),
        Some(_) => return Err(ServiceError::invalid("`staticParameters` must be a map")),
    };
    for name in PAYLOAD_NAMES {
        if values.insert(name.to_owned(), payload.clone()).is_some() {
            return Err(ServiceError::invalid(format!("`staticParameters` must not set `{name}`")));
        }
    }
    let mut problems = Vec::new();
    let replaced = |(key, value)| (key, substitute(value, &values, &mut problems));
    let agenda: Map<String, Value> = agenda.clone().into_iter().map(replaced).collect();
    if problems.is_empty() { Ok(Object(agenda)) } else { Err(ServiceError::Invalid(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn made(static_parameters: &Value, agenda: &Value) -> Result<Value, String> {
        let template = json!({"id": "t", "staticParameters": static_parameters, "agenda": agenda});
        let payload = json!({"inputs": [{"url": "in.mov", "size": 7}], "ok": true});
        instantiate(&Object::of(template).unwrap(), &payload)
            .map(Object::into_value)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn tokens_become_values_and_unknown_tokens_stay() {
        let agenda = json!({
            "title": "encode @<pop.payload::/inputs/0/url> (@<pop.payload::/inputs/0/size>)",
            "operations": [{"name": "@<name>", "payload": {
                "ok": "@<pop.payload::/ok>", "all": "@<pop.transformRequest::/inputs>", "prior": "@<x.out::/y>",
                "fallback": "@<pop.payload::/none?text>", "null": "@<pop.payload::/none?>", "list": ["@<width>"],
            }}],
        });
        let wanted = json!({
            "title": "encode in.mov (7)",
            "operations": [{"name": "first", "payload": {
                "ok": true, "all": [{"url": "in.mov", "size": 7}], "prior": "@<x.out::/y>", "fallback": "text",
                "null": null, "list": [720],
            }}],
        });
        assert_eq!(made(&json!({"name": "first", "width": 720}), &agenda), Ok(wanted));
    }

    #[test]
    fn a_template_with_a_problem_makes_no_agenda() {
        for (parameters, agenda, why) in [
            (json!({"pop.payload": 1}), json!({}), "must not set `pop.payload`"),
            (json!({}), json!({"title": "@<pop.payload::/none>"}), "`@<pop.payload::/none>` leads nowhere"),
            (json!({}), json!({"title": "x @<pop.payload>"}), "its value is a list or a map"),
            (json!([]), json!({}), "must be a map"),
            (json!({}), json!(null), "has no `agenda`"),
        ] {
            let error = made(&parameters, &agenda).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
