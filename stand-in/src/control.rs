//! The control API over HTTP, for tests not in Rust: the same actions as [`StandIn`](crate::StandIn).

use crate::body::{Body, answer as json_answer, parse_json};
use crate::cluster::{Cluster, Webhook};
use crate::failure::Failure;
use crate::fault::FaultRule;
use hyper::body::Bytes;
use hyper::{Method, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Path prefix of the control API.
pub(crate) const PREFIX: &str = "/_stand-in/";

/// Answers a control request: `POST faults`, `DELETE faults`, `GET requests`, `DELETE requests`, `POST compact`,
/// `POST webhook`, `POST node`, `POST evict`, `POST preempt`, `POST rotate-token`, `POST token`.
pub(crate) fn answer(
    cluster: &Cluster,
    method: &Method,
    action: &str,
    body: &Bytes,
) -> Result<Response<Body>, Failure> {
    let input = if body.is_empty() { Value::Null } else { parse_json(body)? };
    let field = |name: &str| input[name].as_str().unwrap_or_default();
    let mut output = json!({});
    match (method, action) {
        (&Method::POST, "faults") => {
            let bad = |why: &dyn std::fmt::Display| Failure::bad_request(format!("bad fault rule: {why}"));
            let rule: FaultRule = serde_json::from_value(input).map_err(|why| bad(&why))?;
            cluster.faults.add(rule).map_err(|why| bad(&why))?;
        }
        (&Method::DELETE, "faults") => cluster.faults.clear(),
        (&Method::GET, "requests") => {
            let requests = cluster.requests.all();
            let mut counts = BTreeMap::<String, usize>::new();
            for request in &requests {
                let path =
                    [&request.verb, &request.resource, &request.subresource].map(String::as_str).join(" ");
                *counts.entry(path.trim().to_owned()).or_default() += 1;
            }
            output = json!({"counts": counts, "requests": requests});
        }
        (&Method::DELETE, "requests") => cluster.requests.reset(),
        (&Method::POST, "compact") => cluster.compact(),
        (&Method::POST, "webhook") => cluster.set_webhook(match field("says") {
            "denies" => Webhook::Denies,
            "unavailable" => Webhook::Unavailable,
            _ => Webhook::None,
        }),
        (&Method::POST, "node") => cluster.set_node_lost(input["isLost"] == true),
        (&Method::POST, "evict") => cluster.evict(field("namespace"), field("name"), field("message"))?,
        (&Method::POST, "preempt") => cluster.preempt(field("namespace"), field("name"))?,
        (&Method::POST, "rotate-token") => cluster.rotate_token(field("namespace"), field("name")),
        (&Method::POST, "token") => {
            output = json!({"token": cluster.issue_token(field("namespace"), field("name"))});
        }
        _ => return Err(Failure::no_such_path()),
    }
    Ok(json_answer(200, &output))
}
