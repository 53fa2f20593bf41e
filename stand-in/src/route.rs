//! From a request to what it means: path, verb, permission, and the answer.

use crate::body::{Body, answer, spoil, whole};
use crate::cluster::{Cluster, User};
use crate::deletion::DeleteOptions;
use crate::failure::Failure;
use crate::fault::FaultAction;
use crate::kind::{Kind, PODS, SERVICE_ACCOUNTS};
use crate::patch::PatchKind;
use crate::rbac::{Wish, is_allowed};
use crate::request::Request as Seen;
use crate::store::name_of;
use crate::watch::{self, Query, is_true};
use crate::{control, discovery, log_view};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What a request's body may hold.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// The connection is to be reset.
#[derive(Debug, thiserror::Error)]
#[error("connection reset on order")]
pub(crate) struct Reset;

/// What a path and a method ask for.
#[derive(Debug)]
struct Target {
    kind: Kind,
    namespace: String,
    name: String,
    subresource: String,
}

/// Answers one request, or resets its connection.
pub(crate) async fn handle(
    cluster: Arc<Cluster>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Reset> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // clients may end a path without a query like one with a query
    let path = path.trim_end_matches('?').to_owned();
    let is_control = path.starts_with(control::PREFIX);
    let fault = if is_control { None } else { cluster.faults.meet(request.method().as_str(), &path) };
    match &fault {
        None => {}
        Some(FaultAction::Answer { status, reason, body, retry_after }) => {
            record(&cluster, &request);
            return Ok(ordered(*status, reason.as_deref(), body.as_deref(), *retry_after));
        }
        Some(FaultAction::Wait { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
        }
        Some(FaultAction::ResetBefore) => {
            record(&cluster, &request);
            return Err(Reset);
        }
        Some(FaultAction::Silence) => {
            record(&cluster, &request);
            return std::future::pending().await;
        }
        Some(_) => {}
    }
    if !is_control {
        record(&cluster, &request);
    }
    let response = respond(&cluster, request).await.unwrap_or_else(|failure| refused(&failure));
    match fault {
        Some(FaultAction::ResetAfter) => Err(Reset),
        Some(fault) => Ok(response.map(|body| spoil(body, &fault))),
        None => Ok(response),
    }
}

fn ordered(
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
        _ => "ordered by a fault rule",
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

pub(crate) fn refused(failure: &Failure) -> Response<Body> {
    answer(failure.code, &failure.status())
}

async fn respond(cluster: &Arc<Cluster>, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
    let token = header_text(&request, header::AUTHORIZATION);
    let user = cluster.user(token.strip_prefix("Bearer "))?;
    let path = request.uri().path().to_owned();
    let query = parse_query(request.uri().query().unwrap_or_default());
    if let Some(action) = path.strip_prefix(control::PREFIX) {
        if user != User::Admin {
            return Err(Failure::unauthorized());
        }
        let method = request.method().clone();
        let body = read_body(request).await?;
        return control::answer(cluster, &method, action, &body);
    }
    if let Some(found) = discovery::answer(cluster, &path) {
        return Ok(found);
    }
    if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" && request.method() == Method::POST {
        let review = parse_json(&read_body(request).await?)?;
        return Ok(answer(201, &review_access(cluster, &user, review)));
    }
    let target = target(cluster, &path)?;
    let verb = verb(request.method(), &target, &query)?;
    let wish = Wish {
        verb,
        group: target.kind.group,
        resource: target.kind.resource,
        subresource: &target.subresource,
        namespace: &target.namespace,
        name: &target.name,
    };
    if !is_allowed(cluster, &user, &wish) {
        return Err(wish.refusal(&user));
    }
    serve(cluster, &target, verb, &query, request).await
}

async fn serve(
    cluster: &Arc<Cluster>,
    target: &Target,
    verb: &str,
    query: &Query,
    request: Request<Incoming>,
) -> Result<Response<Body>, Failure> {
    let Target { kind, namespace, name, subresource } = target;
    let within = Some(namespace.as_str()).filter(|it| !it.is_empty() && kind.is_namespaced);
    let content_type = header_text(&request, header::CONTENT_TYPE);
    let is_dry = query.contains_key("dryRun");
    match (verb, subresource.as_str()) {
        ("list", "") => Ok(answer(200, &watch::list(cluster, kind, within, query)?)),
        ("watch", "") => {
            let mut query = query.clone();
            if !name.is_empty() {
                query.insert("fieldSelector".to_owned(), format!("metadata.name={name}"));
            }
            let mut response = Response::new(watch::watch(cluster, kind, within, &query)?);
            let json = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            Ok(response)
        }
        ("get", "" | "status") => Ok(answer(200, &*cluster.get(kind, namespace, name)?)),
        ("get", "log") if kind == &PODS => log_view::answer(cluster, namespace, name, query),
        ("create", "") => {
            let object = parse_json(&read_body(request).await?)?;
            Ok(answer(201, &*cluster.create(kind, namespace, object, is_dry)?))
        }
        ("create", "eviction") if kind == &PODS => {
            let options: Value = parse_json(&read_body(request).await?)?;
            cluster.evict_by_api((namespace, name), &options["deleteOptions"])?;
            let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
            Ok(answer(201, &success))
        }
        ("create", "token") if kind == &SERVICE_ACCOUNTS => {
            cluster.get(kind, namespace, name)?;
            let mut asked = parse_json(&read_body(request).await?)?;
            let seconds = asked["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
            asked["status"] = json!({
                "token": cluster.issue_token(namespace, name),
                "expirationTimestamp": crate::cluster::seconds_from_now(seconds),
            });
            Ok(answer(201, &asked))
        }
        ("update", "" | "status") => {
            let object = parse_json(&read_body(request).await?)?;
            Ok(answer(200, &*cluster.replace(kind, (namespace, name), subresource, object, is_dry)?))
        }
        ("patch", "" | "status") => {
            let how = PatchKind::parse(&content_type)?;
            if how == PatchKind::Apply && !query.contains_key("fieldManager") {
                let why = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
                return Err(Failure::bad_request(why));
            }
            let patch = parse_json(&read_body(request).await?)?;
            let patched = cluster.patch(kind, (namespace, name), subresource, how, &patch, is_dry)?;
            Ok(answer(200, &patched))
        }
        ("delete", "") => {
            let options = delete_options(query, &read_body(request).await?)?;
            let deleted = cluster.delete(kind, (namespace, name), &options)?;
            let is_gone = cluster.store().find(kind, namespace, name).is_none();
            if is_gone && kind != &PODS {
                let details = json!({
                    "name": name, "group": kind.group, "kind": kind.resource, "uid": deleted["metadata"]["uid"],
                });
                let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
                return Ok(answer(200, &done));
            }
            Ok(answer(200, &deleted))
        }
        ("deletecollection", "") => {
            let list = watch::list(cluster, kind, within, query)?;
            let options = delete_options(query, &read_body(request).await?)?;
            for object in list["items"].as_array().into_iter().flatten() {
                let (namespace, name) = name_of(object);
                // one that is gone meanwhile is deleted too
                cluster.delete(kind, (&namespace, &name), &options).ok();
            }
            Ok(answer(200, &list))
        }
        _ => Err(Failure::method_not_allowed()),
    }
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
    let asked = review["spec"]["resourceAttributes"].clone();
    let field = |name: &str| asked[name].as_str().unwrap_or_default();
    let wish = Wish {
        verb: field("verb"),
        group: field("group"),
        resource: field("resource"),
        subresource: field("subresource"),
        namespace: field("namespace"),
        name: field("name"),
    };
    review["status"] = json!({"allowed": is_allowed(cluster, user, &wish)});
    review
}

/// `/api/v1/namespaces/a/pods/x/log` and the like.
fn target(cluster: &Cluster, path: &str) -> Result<Target, Failure> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, version, rest) = match *parts {
        ["api", version, ref rest @ ..] => ("", version, rest),
        ["apis", group, version, ref rest @ ..] => (group, version, rest),
        _ => return Err(Failure::no_such_path()),
    };
    let (namespace, rest) = match *rest {
        ["namespaces", name, ref inner @ ..]
            if !matches!(inner.first(), None | Some(&("status" | "finalize"))) =>
        {
            (name, inner)
        }
        _ => ("", rest),
    };
    let (resource, name, subresource) = match *rest {
        [resource] => (resource, "", ""),
        [resource, name] => (resource, name, ""),
        [resource, name, subresource] => (resource, name, subresource),
        _ => return Err(Failure::no_such_path()),
    };
    let kind = cluster.kind(group, version, resource)?;
    if !kind.is_namespaced && !namespace.is_empty() {
        return Err(Failure::no_such_path());
    }
    Ok(Target { kind, namespace: decode(namespace), name: decode(name), subresource: subresource.to_owned() })
}

fn verb(method: &Method, target: &Target, query: &Query) -> Result<&'static str, Failure> {
    let is_one = !target.name.is_empty();
    let needs_namespace = target.kind.is_namespaced && target.namespace.is_empty();
    Ok(match (method, is_one) {
        (&Method::GET, _) if is_true(query, "watch") && target.subresource.is_empty() => "watch",
        (&Method::GET, true) => "get",
        (&Method::GET, false) => "list",
        (&Method::POST, _) if !needs_namespace && (!is_one || !target.subresource.is_empty()) => "create",
        (&Method::PUT, true) => "update",
        (&Method::PATCH, true) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) if !needs_namespace => "deletecollection",
        _ => return Err(Failure::method_not_allowed()),
    })
}

fn record(cluster: &Cluster, request: &Request<Incoming>) {
    let query = request.uri().query().unwrap_or_default();
    let Ok(target) = target(cluster, request.uri().path()) else { return };
    let Ok(verb) = verb(request.method(), &target, &parse_query(query)) else { return };
    let token = header_text(request, header::AUTHORIZATION);
    let user = cluster.user(token.strip_prefix("Bearer ")).map(|user| user.name());
    cluster.requests.record(Seen {
        verb: verb.to_owned(),
        resource: target.kind.resource.to_owned(),
        subresource: target.subresource,
        namespace: target.namespace,
        name: target.name,
        query: query.to_owned(),
        user_agent: header_text(request, header::USER_AGENT),
        user: user.unwrap_or_default(),
    });
}

fn header_text<B>(request: &Request<B>, name: header::HeaderName) -> String {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

async fn read_body(request: Request<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|_| Failure::too_large(BODY_LIMIT))
}

pub(crate) fn parse_json(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body)
        .map_err(|why| Failure::bad_request(format!("couldn't get version/kind; json parse error: {why}")))
}

fn parse_query(text: &str) -> Query {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Text with its `%41`s as what they stand for.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = status;
    response
}
