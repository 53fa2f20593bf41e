//! HTTP: connections, limits, tokens, audit.

use crate::audit::{AuditLog, Entry};
use crate::check::AgendaCheck;
use crate::clock::now;
use crate::desk::{Caller, Desk};
use crate::origin::{is_foreign, names_this_machine};
use crate::page::{harden, page};
use crate::rate::RateLimit;
use crate::reply::{Refusal, render};
use crate::route::{self, Interface, NoCall};
use crate::scope::Scope;
use crate::timers::{SendWebhook, deliver, run_schedules};
use crate::uri::{decoded, parameters};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pop_service::{Kind, Rules, ServiceError};
use pop_service_store::Store;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Most connections at once; more wait.
const MOST_CONNECTIONS: usize = 4_096;
/// Longest time for the head of a request, and for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Characters of the shortest token that is admitted: it can be found by trying if it is shorter.
const SHORTEST_TOKEN: usize = 32;
/// Time for requests in hand when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Settings of the server.
pub struct ServerSettings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Whether each request needs a token, also from this machine.
    pub needs_token: bool,
    /// Longest body, in bytes.
    pub longest_body: usize,
    /// Requests a second of each caller.
    pub rate: u32,
    /// Whether errors of calls below `/pop` have the status 200, as POP's service answers.
    pub hides_status: bool,
    /// Limits of leases.
    pub rules: Rules,
    /// How often waiting requests look for agendas of other processes; none if this process is the only one.
    pub recheck: Option<Duration>,
    /// Where changes and refusals are logged.
    pub audit: Option<AuditLog>,
    /// Sends requests to webhooks; none: nothing is sent.
    pub send_webhook: Option<SendWebhook>,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Reason.
        source: io::Error,
    },
    /// The server would be open to the network, and nobody has a token.
    #[error("{0} is not an address of this machine alone, and the service has no tokens")]
    NoToken(SocketAddr),
    /// The store failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// The agenda service.
pub struct AgendaServer {
    shared: Arc<Shared>,
    listener: TcpListener,
    address: SocketAddr,
}

struct Shared {
    desk: Desk,
    needs_token: bool,
    longest_body: usize,
    hides_status: bool,
    rate: Mutex<RateLimit>,
    audit: Option<Mutex<AuditLog>>,
    send_webhook: Option<SendWebhook>,
}

impl AgendaServer {
    /// Listens. An empty store gets a customer, a resource pool and an insight named `default`.
    pub async fn bind(
        settings: ServerSettings,
        store: Store,
        check: AgendaCheck,
    ) -> Result<Self, ServerError> {
        let ServerSettings { listen, needs_token, rules, recheck, .. } = settings;
        let mut desk = Desk::new(store, rules, check, recheck);
        desk.audit_path = settings.audit.as_ref().map(|audit| audit.path().to_owned());
        let is_open = !listen.ip().is_loopback();
        if is_open && desk.all_tokens().await?.is_empty() {
            return Err(ServerError::NoToken(listen));
        }
        desk.create_defaults().await?;
        let failed = |source| ServerError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Shared {
            desk,
            needs_token: needs_token || is_open,
            longest_body: settings.longest_body,
            hides_status: settings.hides_status,
            rate: Mutex::new(RateLimit::new(settings.rate.max(1))),
            audit: settings.audit.map(Mutex::new),
            send_webhook: settings.send_webhook,
        };
        Ok(Self { shared: Arc::new(shared), listener, address })
    }

    /// The address with the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends, then finishes requests in hand.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { shared, listener, .. } = self;
        let timers = {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { shared.run_timers().await })
        };
        let closing = watch::Sender::new(false);
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut stop = std::pin::pin!(stop);
        loop {
            let place = tokio::select! {
                () = &mut stop => break,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                // out of file descriptors: wait until other connections end
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (shared, closing) = (Arc::clone(&shared), closing.subscribe());
            tokio::spawn(async move {
                connection(shared, stream, peer, closing).await;
                drop(place);
            });
        }
        drop(listener);
        shared.desk.stop();
        closing.send_replace(true);
        timeout(DRAIN, places.acquire_many(MOST_CONNECTIONS as u32)).await.map(drop).ok();
        timers.abort();
    }
}

/// Stores a token, and returns its secret.
pub async fn issue_token(store: Store, name: &str, scopes: &[Scope]) -> Result<String, ServiceError> {
    let check = AgendaCheck::new(None, pop_contract::LaunchType::Local, &mut Vec::new());
    Desk::new(store, Rules::default(), check, None).issue_token(name, scopes).await
}

/// Stores a token that its owner has made, for example the Secret of a cluster. It must not be short.
pub async fn admit_token(
    store: Store,
    name: &str,
    secret: &str,
    scopes: &[Scope],
) -> Result<(), ServiceError> {
    if secret.len() < SHORTEST_TOKEN {
        return Err(ServiceError::invalid(format!(
            "the token `{name}` has less than {SHORTEST_TOKEN} characters"
        )));
    }
    let stored = crate::token::admit(name, secret, scopes, now());
    store.transact(move |ledger| Ok(ledger.put(Kind::Token, &stored)?)).await
}

async fn connection(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    mut closing: watch::Receiver<bool>,
) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(request, peer).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // a client that breaks the protocol has no one to tell
        _ = connection.as_mut() => return,
        _ = closing.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}

impl Shared {
    /// Does what comes with time, for ever: ends leases, runs schedules, sends to webhooks.
    async fn run_timers(&self) {
        let deliver = async {
            if let Some(send) = &self.send_webhook {
                deliver(&self.desk, send).await;
            }
        };
        tokio::join!(self.desk.end_leases(), run_schedules(&self.desk), deliver);
    }

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let cid = request.headers().get("x-pop-cid").and_then(|value| value.to_str().ok());
        let cid = cid.filter(|cid| !cid.is_empty()).map_or_else(new_cid, str::to_owned);
        let path = decoded(request.uri().path()).unwrap_or_default();
        if path == "/" && [Method::GET, Method::HEAD].contains(request.method()) {
            return page();
        }
        let is_pop = path.starts_with("/pop/") || path == "/pop";
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
        let mut is_change = false;
        let mut interface = if is_pop { Interface::Pop } else { Interface::Rest };
        let mut is_call = false;
        let result = async {
            let caller = caller?;
            let key = name.as_deref().map_or_else(|| peer.ip().to_string(), |name| format!("token {name}"));
            self.limit(&key)?;
            if caller.is_none() && self.needs_token && request.method() != Method::GET {
                // before the body is read
                return Err(no_token());
            }
            let (found, call) = self.call(request, &path).await;
            interface = found;
            let call = call?;
            (is_change, entry.call) = (call.is_change(), call.name());
            if let (Some(scope), Some(caller)) = (call.scope(), &caller)
                && !caller.scopes.contains(&scope)
                && !caller.scopes.contains(&Scope::Admin)
            {
                return Err(Refusal::new(403, format!("this needs a token with the scope `{scope}`")));
            }
            if call.scope().is_some() && caller.is_none() && self.needs_token {
                return Err(no_token());
            }
            is_call = true;
            self.desk.perform(call, &cid, caller.as_ref(), self.needs_token).await
        }
        .await;
        let header = result.as_ref().err().and_then(|refusal| refusal.header.clone());
        let (status, body) = render(interface, result, &cid);
        entry.status = status;
        if is_change || status == 401 || status == 403 {
            self.audit(&entry);
        }
        let hides = self.hides_status && interface == Interface::Pop && is_call;
        let is_problem = interface == Interface::Rest && status >= 400;
        let kind = if is_problem { "application/problem+json" } else { "application/json" };
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
    ) -> (Interface, Result<crate::call::Call, Refusal>) {
        let (head, body) = request.into_parts();
        let read = self.body(&head.headers, body).await;
        let parsed = read.and_then(|body| {
            let bad = || Refusal::new(400, "the address has an invalid percent escape");
            let query = parameters(head.uri.query().unwrap_or_default()).ok_or_else(bad)?;
            let is_read = [Method::GET, Method::HEAD].contains(&head.method);
            let method = if is_read { "GET".to_owned() } else { head.method.as_str().to_owned() };
            Ok(route::Request { method, path: path.to_owned(), query, body, is_yaml: is_yaml(&head.headers) })
        });
        let request = match parsed {
            Ok(request) => request,
            Err(refusal) => {
                let is_pop = path.starts_with("/pop/");
                return (if is_pop { Interface::Pop } else { Interface::Rest }, Err(refusal));
            }
        };
        let (interface, call) = route::call(&request);
        let call = call.map_err(|no_call| match no_call {
            NoCall::Unknown => Refusal::new(404, format!("there is nothing at `{path}`")),
            // POP's service calls another method a bad request
            NoCall::Method(allowed) => {
                let status = if interface == Interface::Pop { 400 } else { 405 };
                let refusal = Refusal::new(status, format!("`{path}` supports {allowed}"));
                refusal.with_header("allow", allowed)
            }
            NoCall::Refused(error) => error.into(),
        });
        (interface, call)
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

fn response(
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
