//! The JSON messages of SDS, as its clients send and read them (docs/serve.md).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The status of a reply. The words are those of SDS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Status {
    #[serde(rename = "OK")]
    Ok,
    #[serde(rename = "fail")]
    Fail,
}

/// What a reply repeats of its request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Echo {
    uuid: Option<Value>,
    traces: Option<Value>,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Name of the route.
    pub command: String,
    /// The payload for the handler.
    pub parameters: Value,
    /// What the reply repeats.
    pub echo: Echo,
}

/// A request that cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct BadRequest {
    /// The reason, for people.
    pub why: String,
    /// What the reply repeats.
    pub echo: Echo,
}

#[derive(Deserialize)]
struct RequestBody {
    command: Option<Value>,
    parameters: Option<Value>,
    #[serde(flatten)]
    echo: Echo,
}

impl Request {
    /// Reads a request: a JSON object with a non-empty text `command` and an object `parameters`.
    pub fn parse(body: &[u8]) -> Result<Self, BadRequest> {
        let unreadable = |why: String| BadRequest { why, echo: Echo::default() };
        let raw: RequestBody = serde_json::from_slice(body)
            .map_err(|error| unreadable(format!("the request is not a JSON object: {error}")))?;
        let RequestBody { command, parameters, echo } = raw;
        let bad = |why: &str| BadRequest { why: why.to_owned(), echo: echo.clone() };
        let command = match command {
            Some(Value::String(command)) if !command.is_empty() => command,
            _ => return Err(bad("the request needs a `command`, a text that is not empty")),
        };
        match parameters {
            Some(parameters @ Value::Object(_)) => Ok(Self { command, parameters, echo }),
            _ => Err(bad("the request needs `parameters`, a map, even if it is empty")),
        }
    }
}

/// A reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    status: Status,
    message: String,
    parameters: Value,
}

/// The order of the fields is that of their names, as SDS writes them.
#[derive(Serialize)]
struct ReplyBody<'r> {
    message: &'r str,
    parameters: &'r Value,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    traces: &'r Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: &'r Option<Value>,
}

impl Reply {
    /// The reply of a request that was handled. A result that is no map becomes the parameter `result`. SDS clients
    /// refuse `null`, so members of maps that are null are left out.
    pub fn ok(result: Value) -> Self {
        let mut parameters = match result {
            map @ Value::Object(_) => map,
            other => Value::Object(Map::from_iter([("result".to_owned(), other)])),
        };
        drop_nulls(&mut parameters);
        Self { status: Status::Ok, message: String::new(), parameters }
    }

    /// The reply of a request that failed.
    pub fn fail(message: impl Into<String>) -> Self {
        Self { status: Status::Fail, message: message.into(), parameters: Value::Object(Map::new()) }
    }

    /// Adds parameters to a failure.
    #[must_use]
    pub fn with(mut self, parameters: Value) -> Self {
        self.parameters = parameters;
        self
    }

    /// Whether the request was handled.
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// Why the request failed; empty if it did not.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The parameters.
    pub fn parameters(&self) -> &Value {
        &self.parameters
    }

    /// The text of the reply to a request.
    pub fn body(&self, echo: &Echo) -> Vec<u8> {
        let Self { status, message, parameters } = self;
        // a failure without words would leave the caller without a reason
        let message = if *status == Status::Fail && message.is_empty() { "failed" } else { message };
        let reply =
            ReplyBody { message, parameters, status: *status, traces: &echo.traces, uuid: &echo.uuid };
        // texts, numbers and maps with text keys: writing them cannot fail
        serde_json::to_vec(&reply).unwrap_or_default()
    }
}

/// Drops members of maps that are null, at any depth.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(reply: &Reply, echo: &Echo) -> String {
        String::from_utf8(reply.body(echo)).unwrap()
    }

    #[test]
    fn s23_replies_are_written_as_sds_writes_them() {
        let request = json!({"uuid": "u", "traces": [{"request_time": 1}], "parameters": {}, "command": "c"});
        let request = Request::parse(request.to_string().as_bytes()).unwrap();
        assert_eq!(
            text(&Reply::ok(json!({"b": 1, "a": null, "c": [{"d": null}]})), &request.echo),
            r#"{"message":"","parameters":{"b":1,"c":[{}]},"status":"OK","traces":[{"request_time":1}],"uuid":"u"}"#
        );
        let plain = Echo::default();
        let is_seven = r#"{"message":"","parameters":{"result":7},"status":"OK"}"#;
        assert_eq!(text(&Reply::ok(json!(7)), &plain), is_seven);
        assert_eq!(text(&Reply::ok(Value::Null), &plain), r#"{"message":"","parameters":{},"status":"OK"}"#);
        assert_eq!(text(&Reply::fail(""), &plain), r#"{"message":"failed","parameters":{},"status":"fail"}"#);
    }

    #[test]
    fn a_request_that_cannot_be_read_is_refused_with_a_reason() {
        for (body, why, has_uuid) in [
            ("", "is not a JSON object", false),
            ("[]", "is not a JSON object", false),
            (r#"{"command":"c","uuid":"u"}"#, "needs `parameters`", true),
            (r#"{"command":"c","parameters":null,"uuid":"u"}"#, "needs `parameters`", true),
            (r#"{"command":"c","parameters":[],"uuid":"u"}"#, "needs `parameters`", true),
            (r#"{"command":"","parameters":{}}"#, "needs a `command`", false),
            (r#"{"command":7,"parameters":{},"uuid":"u"}"#, "needs a `command`", true),
            (r#"{"parameters":{}}"#, "needs a `command`", false),
        ] {
            let bad = Request::parse(body.as_bytes()).unwrap_err();
            assert!(bad.why.contains(why), "{body}: {}", bad.why);
            assert_eq!(bad.echo.uuid.is_some(), has_uuid, "{body}");
        }
        assert!(Request::parse(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn large_integers_are_exact() {
        let request = Request::parse(br#"{"command":"c","parameters":{"n":1152921504606846976}}"#).unwrap();
        assert!(text(&Reply::ok(request.parameters), &Echo::default()).contains("1152921504606846976"));
    }
}
