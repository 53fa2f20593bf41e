//! Requests of SDS are read or refused with a reason, and every reply can be read by a client.

use pop_handler_server::{Reply, Request};
use serde_json::{Value, json};

/// A request that was read is read the same when it is written again. Each reply is a JSON object with a status of SDS;
/// a failure has a message, and no map in it has a member that is null.
pub fn sds_message(bytes: &[u8]) {
    let (reply, echo) = match Request::parse(bytes) {
        Ok(request) => {
            assert!(!request.command.is_empty() && request.parameters.is_object());
            let mut text = json!({"command": request.command, "parameters": request.parameters});
            let echo: Value = serde_json::from_slice(bytes).unwrap_or_default();
            for name in ["uuid", "traces"] {
                if let Some(value) = echo.get(name) {
                    text[name] = value.clone();
                }
            }
            assert_eq!(Request::parse(text.to_string().as_bytes()).as_ref(), Ok(&request));
            (Reply::ok(request.parameters), request.echo)
        }
        Err(bad) => (Reply::fail(bad.why), bad.echo),
    };
    let body: Result<Value, _> = serde_json::from_slice(&reply.body(&echo));
    let body = body.unwrap_or_default();
    assert_eq!(body["status"], if reply.is_ok() { "OK" } else { "fail" });
    assert_eq!(body["message"] == "", reply.is_ok());
    assert!(body["parameters"].is_object() && !has_null_member(&body["parameters"]));
}

fn has_null_member(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().any(|value| value.is_null() || has_null_member(value)),
        Value::Array(list) => list.iter().any(has_null_member),
        _ => false,
    }
}
