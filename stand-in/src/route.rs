//! Request handling: faults, authorization, and dispatch.

use crate::body::{Body, answer, parse_json, refused, spoil, whole};
use crate::cluster::{Cluster, User};
use crate::custom::table;
use crate::deletion::DeleteOptions;
use crate::failure::Failure;
use crate::fault::FaultAction;
use crate::field_owner::{Operation, Writer};
use crate::kind::{PODS, SERVICE_ACCOUNTS};
use crate::object::Written;
use crate::patch::PatchKind;
use crate::rbac::{AccessRequest, is_allowed};
use crate::representation::{presented, stored, stored_kind};
use crate::request::Request as RequestRecord;
use crate::store::name_of;
use crate::target::{Target, parse_query, target, unserved_target, verb};
use crate::watch::{self, Query, is_true};
use crate::{control, discovery, log_view};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, header};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The largest request body, in bytes.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// A fault resets the connection.
#[derive(Debug, thiserror::Error)]
#[error("connection reset by a fault rule")]
pub(crate) struct Reset;

/// Handles one request, or resets its connection.
pub(crate) async fn handle(
    cluster: Arc<Cluster>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Reset> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.map_err(|_| Failure::too_large(BODY_LIMIT));
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    if path.starts_with(control::PREFIX) {
        return Ok(respond(&cluster, &head, body).unwrap_or_else(|failure| refused(&failure)));
    }
    // some clients append `?` to a path without a query
    let fault = cluster.faults.take(head.method.as_str(), path.trim_end_matches('?'));
    let number = record(&cluster, &head, body.as_ref().ok());
    let response = match &fault {
        Some(FaultAction::ResetBefore) => return Err(Reset),
        Some(FaultAction::Silence) => return std::future::pending().await,
        Some(FaultAction::Answer { status, reason, body, retry_after }) => {
            fault_response(*status, reason.as_deref(), body.as_deref(), *retry_after)
        }
        _ => {
            if let Some(FaultAction::Wait { milliseconds }) = fault {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            respond(&cluster, &head, body).unwrap_or_else(|failure| refused(&failure))
        }
    };
    if fault == Some(FaultAction::ResetAfter) {
        return Err(Reset);
    }
    cluster.requests.set_status(number, response.status().as_u16());
    Ok(match fault {
        Some(fault) => response.map(|body| spoil(body, &fault)),
        None => response,
    })
}

/// Records a request. Returns its number if it is about objects, also of a kind that is not served.
fn record(cluster: &Cluster, head: &Parts, body: Option<&Bytes>) -> Option<u64> {
    let query = head.uri.query().unwrap_or_default();
    let path = head.uri.path();
    if discovery::answer(cluster, path).is_some() || path == ACCESS_REVIEWS {
        return None;
    }
    let target = target(cluster, path).or_else(|_| unserved_target(path)).ok()?;
    let verb = verb(&head.method, &target, &parse_query(query)).ok()?;
    let token = header_text(head, header::AUTHORIZATION);
    let user = cluster.user(token.strip_prefix("Bearer ")).map(|user| user.name());
    Some(cluster.requests.record(RequestRecord {
        method: head.method.to_string(),
        path: path.to_owned(),
        verb: verb.to_owned(),
        resource: target.kind.resource.to_owned(),
        subresource: target.subresource,
        namespace: target.namespace,
        name: target.name,
        query: query.to_owned(),
        user_agent: header_text(head, header::USER_AGENT),
        user: user.unwrap_or_default(),
        content_type: header_text(head, header::CONTENT_TYPE),
        body: body.map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default(),
        milliseconds: 0,
        status: None,
    }))
}

fn header_text(head: &Parts, name: header::HeaderName) -> String {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn fault_response(
    status: u16,
    reason: Option<&str>,
    body: Option<&str>,
    retry_after: Option<u32>,
) -> Response<Body> {
    let usual = match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    };
    let message = match status {
        429 => "Too many requests, please try again later.",
        503 => "the server is currently unable to handle the request",
        410 => "The resourceVersion for the provided watch is too old.",
        _ => "injected by a fault rule",
    };
    let mut failure = Failure::unexplained(message).status();
    failure["code"] = status.into();
    failure["reason"] = reason.unwrap_or(usual).into();
    if let Some(seconds) = retry_after {
        failure["details"] = json!({"retryAfterSeconds": seconds});
    }
    let mut response = answer(status, &failure);
    if let Some(body) = body {
        *response.body_mut() = whole(body.to_owned());
    }
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn respond(
    cluster: &Arc<Cluster>,
    head: &Parts,
    body: Result<Bytes, Failure>,
) -> Result<Response<Body>, Failure> {
    let token = header_text(head, header::AUTHORIZATION);
    let user = cluster.user(token.strip_prefix("Bearer "))?;
    let path = head.uri.path();
    let query = parse_query(head.uri.query().unwrap_or_default());
    if let Some(action) = path.strip_prefix(control::PREFIX) {
        if user != User::Admin {
            return Err(Failure::unauthorized());
        }
        return control::answer(cluster, &head.method, action, &body?);
    }
    if let Some(found) = discovery::answer(cluster, path) {
        return Ok(found);
    }
    if path == ACCESS_REVIEWS && head.method == Method::POST {
        let review = parse_json(&body?)?;
        return Ok(answer(201, &review_access(cluster, &user, review)));
    }
    let target = target(cluster, path)?;
    let verb = verb(&head.method, &target, &query)?;
    let access = AccessRequest {
        verb,
        group: target.kind.group,
        resource: target.kind.resource,
        subresource: &target.subresource,
        namespace: &target.namespace,
        name: &target.name,
    };
    if !is_allowed(cluster, &user, &access) {
        return Err(access.refusal(&user));
    }
    serve(cluster, &target, verb, &query, head, &body?)
}

fn serve(
    cluster: &Arc<Cluster>,
    target: &Target,
    verb: &str,
    query: &Query,
    head: &Parts,
    body: &Bytes,
) -> Result<Response<Body>, Failure> {
    let Target { namespace, name, subresource, .. } = target;
    let kind = &stored_kind(&target.kind);
    let place = (namespace.as_str(), name.as_str());
    let is_dry = query.contains_key("dryRun");
    let writer = |operation| writer(target, query, head, operation);
    if subresource == "status" && !kind.has_status {
        return Err(Failure::no_such_path());
    }
    match (verb, subresource.as_str()) {
        ("list" | "watch" | "get", _) => read(cluster, target, verb, query, head),
        ("create", _) => create(cluster, target, query, body, &writer(Operation::Update)),
        ("update", "" | "status") => {
            let object = stored(&target.kind, parse_json(body)?);
            let written = cluster.replace(kind, place, object, is_dry, &writer(Operation::Update))?;
            Ok(written_answer(200, target, query, &written))
        }
        ("patch", "" | "status") => {
            let how = PatchKind::parse(&header_text(head, header::CONTENT_TYPE), kind)?;
            if how == PatchKind::Apply && !query.contains_key("fieldManager") {
                let why = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
                return Err(Failure::bad_request(why));
            }
            let operation = if how == PatchKind::Apply { Operation::Apply } else { Operation::Update };
            let patch = stored(&target.kind, parse_json(body)?);
            let written = cluster.patch(kind, place, how, &patch, is_dry, &writer(operation))?;
            Ok(written_answer(200, target, query, &written))
        }
        ("delete" | "deletecollection", "") => delete(cluster, target, verb, query, body),
        _ => Err(Failure::method_not_allowed()),
    }
}

/// The writer: `fieldManager`, or by default the name in `User-Agent`.
fn writer(target: &Target, query: &Query, head: &Parts, operation: Operation) -> Writer {
    let agent = header_text(head, header::USER_AGENT);
    let own = agent.split('/').next().filter(|name| !name.is_empty()).unwrap_or("unknown");
    Writer {
        manager: query.get("fieldManager").map_or(own, String::as_str).to_owned(),
        operation,
        is_forced: is_true(query, "force"),
        subresource: target.subresource.clone(),
        is_strict: query.get("fieldValidation").is_some_and(|wanted| wanted == "Strict"),
    }
}

/// The response to a write: the object, and warnings in headers.
fn written_answer(status: u16, target: &Target, query: &Query, written: &Written) -> Response<Body> {
    let mut response = answer(status, &presented(&target.kind, &written.object));
    let is_ignored = query.get("fieldValidation").is_some_and(|wanted| wanted == "Ignore");
    for warning in &written.warnings {
        if is_ignored && warning.starts_with("unknown field") {
            continue;
        }
        // a warning with signs that a header cannot hold is left out
        if let Ok(value) = header::HeaderValue::from_str(&format!("299 - {warning:?}")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

fn read(
    cluster: &Arc<Cluster>,
    target: &Target,
    verb: &str,
    query: &Query,
    head: &Parts,
) -> Result<Response<Body>, Failure> {
    let Target { kind, namespace, name, subresource } = target;
    let served = cluster.served();
    let is_table = table::is_wanted(&header_text(head, header::ACCEPT));
    let custom = served.custom(kind).filter(|_| is_table);
    let found = |object: &Value| match custom {
        Some(custom) => answer(200, &table::table(custom, object, jiff::Timestamp::now())),
        None => answer(200, object),
    };
    match (verb, subresource.as_str()) {
        ("list", "") => Ok(found(&watch::list(cluster, kind, target.within(), query)?)),
        ("watch", "") => {
            let mut query = query.clone();
            if !name.is_empty() {
                query.insert("fieldSelector".to_owned(), format!("metadata.name={name}"));
            }
            let mut response = Response::new(watch::watch(cluster, kind, target.within(), &query)?);
            let json = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            Ok(response)
        }
        ("get", "" | "status") => {
            let object = cluster.get(&stored_kind(kind), namespace, name)?;
            Ok(found(&presented(kind, &object)))
        }
        ("get", "log") if kind == &PODS => log_view::answer(cluster, namespace, name, query),
        _ => Err(Failure::method_not_allowed()),
    }
}

fn create(
    cluster: &Arc<Cluster>,
    target: &Target,
    query: &Query,
    body: &Bytes,
    writer: &Writer,
) -> Result<Response<Body>, Failure> {
    let Target { kind, namespace, name, subresource } = target;
    match subresource.as_str() {
        "" => {
            let object = stored(kind, parse_json(body)?);
            let is_dry = query.contains_key("dryRun");
            let written = cluster.create_as(&stored_kind(kind), namespace, object, is_dry, Some(writer))?;
            Ok(written_answer(201, target, query, &written))
        }
        "eviction" if kind == &PODS => {
            cluster.evict_by_api((namespace, name), &parse_json(body)?["deleteOptions"])?;
            let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
            Ok(answer(201, &success))
        }
        "token" if kind == &SERVICE_ACCOUNTS => {
            cluster.get(kind, namespace, name)?;
            let mut token_request = parse_json(body)?;
            let seconds = token_request["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
            token_request["status"] = json!({
                "token": cluster.issue_token(namespace, name),
                "expirationTimestamp": crate::cluster::seconds_from_now(seconds),
            });
            Ok(answer(201, &token_request))
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

fn delete(
    cluster: &Arc<Cluster>,
    target: &Target,
    verb: &str,
    query: &Query,
    body: &Bytes,
) -> Result<Response<Body>, Failure> {
    let Target { namespace, name, .. } = target;
    let kind = &stored_kind(&target.kind);
    let options = delete_options(query, body)?;
    if verb == "deletecollection" {
        let list = watch::list(cluster, &target.kind, target.within(), query)?;
        for object in list["items"].as_array().into_iter().flatten() {
            let (namespace, name) = name_of(object);
            // an object that is gone meanwhile counts as deleted
            cluster.delete(kind, (&namespace, &name), &options).ok();
        }
        return Ok(answer(200, &list));
    }
    let deleted = cluster.delete(kind, (namespace, name), &options)?;
    let is_gone = cluster.store().find(kind, namespace, name).is_none();
    if !is_gone || kind == &PODS {
        return Ok(answer(200, &presented(&target.kind, &deleted)));
    }
    let details =
        json!({"name": name, "group": kind.group, "kind": kind.resource, "uid": deleted["metadata"]["uid"]});
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    Ok(answer(200, &done))
}

fn delete_options(query: &Query, body: &Bytes) -> Result<DeleteOptions, Failure> {
    let mut options = if body.is_empty() {
        DeleteOptions::default()
    } else {
        serde_json::from_slice(body)
            .map_err(|why| Failure::bad_request(format!("bad DeleteOptions: {why}")))?
    };
    if let Some(seconds) = query.get("gracePeriodSeconds") {
        let bad = |_| Failure::bad_request(format!("gracePeriodSeconds: Invalid value: {seconds:?}"));
        options.grace_period_seconds = Some(seconds.parse().map_err(bad)?);
    }
    if let Some(policy) = query.get("propagationPolicy") {
        options.propagation_policy = Some(policy.clone());
    }
    if query.contains_key("dryRun") {
        options.dry_run = Some(vec!["All".to_owned()]);
    }
    Ok(options)
}

fn review_access(cluster: &Cluster, user: &User, mut review: Value) -> Value {
    let attributes = review["spec"]["resourceAttributes"].clone();
    let field = |name: &str| attributes[name].as_str().unwrap_or_default();
    let access = AccessRequest {
        verb: field("verb"),
        group: field("group"),
        resource: field("resource"),
        subresource: field("subresource"),
        namespace: field("namespace"),
        name: field("name"),
    };
    review["status"] = json!({"allowed": is_allowed(cluster, user, &access)});
    review
}
