//! The answer to one request: token, limits, call, audit.

use super::{READ_TIMEOUT, Shared};
use crate::audit::Entry;
use crate::call::Call;
use crate::clock::now;
use crate::desk::Caller;
use crate::metrics;
use crate::origin::{is_foreign, names_this_machine};
use crate::page::{harden, page};
use crate::reply::{Refusal, render};
use crate::route::{self, Interface, NoCall};
use crate::scope::Scope;
use crate::uri::{decoded, parameters};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Instant;
use tokio::time::timeout;

/// Types of bodies.
const JSON: &str = "application/json";
pub(super) const PROBLEM: &str = "application/problem+json";

impl Shared {
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let began = Instant::now();
        let cid = request.headers().get("x-pop-cid").and_then(|value| value.to_str().ok());
        let cid = cid.filter(|cid| !cid.is_empty()).map_or_else(new_cid, str::to_owned);
        let path = decoded(request.uri().path()).unwrap_or_default();
        if path == "/" && [Method::GET, Method::HEAD].contains(request.method()) {
            return page();
        }
        let interface = Interface::of(&path);
        let mut entry = Entry {
            time: now(),
            cid: &cid,
            peer: &peer.ip().to_string(),
            token: None,
            call: "",
            path: &path,
            status: 0,
        };
        let caller = self.caller(request.headers(), peer).await;
        let name = caller.as_ref().ok().and_then(|caller| caller.as_ref().map(|caller| caller.name.clone()));
        entry.token = name.as_deref();
        if path == metrics::PATH && request.method() == Method::GET {
            return self.metrics(caller, &cid).await;
        }
        let (mut is_change, mut name_of_call) = (false, "");
        let mut is_call = false;
        let result = async {
            let caller = caller?;
            let key = name.as_deref().map_or_else(|| peer.ip().to_string(), |name| format!("token {name}"));
            self.limit(&key)?;
            if caller.is_none() && self.needs_token && request.method() != Method::GET {
                // before the body is read
                return Err(no_token());
            }
            let call = self.call(request, &path, interface).await;
            if call.is_err() && caller.is_none() && self.needs_token {
                // nobody without a token learns what is wrong
                return Err(no_token());
            }
            let call = call?;
            (is_change, name_of_call) = (call.is_change(), call.name());
            entry.call = name_of_call;
            self.permit(call.scope(), caller.as_ref())?;
            is_call = true;
            self.desk.perform(call, &cid, caller.as_ref(), self.needs_token).await
        }
        .await;
        let header = result.as_ref().err().and_then(|refusal| refusal.header.clone());
        let (status, body) = render(interface, result, &cid);
        entry.status = status;
        self.desk.metrics.request(interface, name_of_call, status, began.elapsed());
        if is_change || status == 401 || status == 403 {
            self.audit(&entry);
        }
        let hides = self.hides_status && interface == Interface::Pop && is_call;
        let is_problem = interface == Interface::Rest && status >= 400;
        let kind = if is_problem { PROBLEM } else { JSON };
        response(if hides { 200 } else { status }, kind, &body, header, &cid)
    }

    /// The caller of a request; none without a token, from this machine, if that is permitted.
    async fn caller(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<Option<Caller>, Refusal> {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let secret = given.map(crate::token::of_header);
        if is_foreign(headers) {
            return Err(Refusal::new(403, "a request of another site's page is refused"));
        }
        let known = match secret {
            Some(secret) => self.desk.caller(secret).await?,
            None => None,
        };
        if known.is_some() {
            return Ok(known);
        }
        if secret.is_some() {
            // also where none is needed: a client with a wrong token must notice it
            let refusal = Refusal::new(401, "the token is unknown");
            return Err(refusal.with_header("www-authenticate", "Bearer"));
        }
        if self.needs_token || !peer.ip().is_loopback() {
            // health needs no token
            return Ok(None);
        }
        // a page of another host must not use the rights of the person who opens it
        if !names_this_machine(headers) {
            let words = "a caller without a token must use a name of this machine, such as localhost";
            return Err(Refusal::new(403, words));
        }
        Ok(None)
    }

    /// Refuses a caller without the scope of a call. A call without a scope is for everybody.
    pub(super) fn permit(&self, scope: Option<Scope>, caller: Option<&Caller>) -> Result<(), Refusal> {
        match (scope, caller) {
            (Some(scope), Some(caller)) if !caller.has(scope) => {
                Err(Refusal::new(403, format!("this needs a token with the scope `{scope}`")))
            }
            (Some(_), None) if self.needs_token => Err(no_token()),
            _ => Ok(()),
        }
    }

    fn limit(&self, caller: &str) -> Result<(), Refusal> {
        let taken = self.rate.lock().unwrap_or_else(PoisonError::into_inner).take(caller, now());
        taken.map_err(|wait| {
            let refusal = Refusal::new(429, format!("too many requests; try again in {wait} ms"));
            refusal.with_header("retry-after", wait.div_ceil(1_000).to_string())
        })
    }

    /// Reads the body and finds the call.
    async fn call(
        &self,
        request: Request<Incoming>,
        path: &str,
        interface: Interface,
    ) -> Result<Call, Refusal> {
        let (head, body) = request.into_parts();
        let body = self.body(&head.headers, body).await?;
        let bad = || Refusal::new(400, "the address has an invalid percent escape");
        let query = parameters(head.uri.query().unwrap_or_default()).ok_or_else(bad)?;
        let is_read = [Method::GET, Method::HEAD].contains(&head.method);
        let method = if is_read { "GET".to_owned() } else { head.method.as_str().to_owned() };
        let is_yaml = is_yaml(&head.headers);
        let request = route::Request { method, path: path.to_owned(), query, body, is_yaml };
        route::call(&request).map_err(|no_call| match no_call {
            NoCall::Unknown => Refusal::new(404, format!("there is nothing at `{path}`")),
            // POP's service calls another method a bad request
            NoCall::Method(allowed) => {
                let status = if interface == Interface::Pop { 400 } else { 405 };
                let refusal = Refusal::new(status, format!("`{path}` supports {allowed}"));
                refusal.with_header("allow", allowed)
            }
            NoCall::Refused(error) => error.into(),
        })
    }

    async fn body(&self, headers: &HeaderMap, body: Incoming) -> Result<String, Refusal> {
        let too_large = || {
            let limit = self.longest_body;
            Refusal::new(413, format!("the body has more than {limit} bytes"))
                .with_header("connection", "close")
        };
        if body.is_end_stream() {
            return Ok(String::new());
        }
        if body.size_hint().lower() > self.longest_body as u64 {
            return Err(too_large());
        }
        // a form of another site cannot send these types
        if !content_type(headers).contains("json") && !is_yaml(headers) {
            return Err(Refusal::new(
                415,
                "the body must have the content type application/json or application/yaml",
            ));
        }
        let read = timeout(READ_TIMEOUT, Limited::new(body, self.longest_body).collect()).await;
        let read = read.map_err(|_| Refusal::new(408, "the body did not arrive in time"))?;
        let bytes = read.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                too_large()
            } else {
                Refusal::new(400, format!("the body cannot be read: {error}"))
            }
        })?;
        String::from_utf8(bytes.to_bytes().to_vec()).map_err(|_| Refusal::new(400, "the body is not UTF-8"))
    }

    fn audit(&self, entry: &Entry<'_>) {
        if let Some(audit) = &self.audit {
            // a full disk must not stop the service
            audit.lock().unwrap_or_else(PoisonError::into_inner).write(entry).ok();
        }
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let content = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content.to_ascii_lowercase()
}

fn is_yaml(headers: &HeaderMap) -> bool {
    content_type(headers).contains("yaml")
}

fn no_token() -> Refusal {
    let refusal = Refusal::new(401, "this needs a token: send `Authorization: Bearer TOKEN`");
    refusal.with_header("www-authenticate", "Bearer")
}

fn new_cid() -> String {
    uuid::Uuid::new_v4().to_string()
}

pub(super) fn response(
    status: u16,
    kind: &'static str,
    body: &serde_json::Value,
    header: Option<(&'static str, String)>,
    cid: &str,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    harden(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in header.into_iter().chain([("x-pop-cid", cid.to_owned())]) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}
