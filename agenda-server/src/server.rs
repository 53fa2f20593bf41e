//! HTTP: connections, limits, tokens, audit.

mod metrics_route;

use crate::audit::{AuditLog, Entry};
use crate::check::AgendaCheck;
use crate::clock::now;
use crate::desk::{Caller, Desk};
use crate::metrics;
use crate::rate::RateLimit;
use crate::reply::{Refusal, render};
use crate::route::{self, Interface, NoCall};
use crate::scope::Scope;
use crate::timers::{SendWebhook, deliver, run_schedules};
use crate::tls::Tls;
use crate::uri::{decoded, parameters};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pop_service::{Kind, Rules, ServiceError};
use pop_service_store::Store;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
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
    /// TLS of that address; none: plain HTTP.
    pub tls: Option<Tls>,
    /// Whether the server also listens with plain HTTP on a free port of this machine.
    pub listens_locally: bool,
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
    tls: Option<Tls>,
    local: Option<TcpListener>,
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
        let desk = Desk::new(store, rules, check, recheck);
        let is_open = !listen.ip().is_loopback();
        if is_open && desk.all_tokens().await?.is_empty() {
            return Err(ServerError::NoToken(listen));
        }
        desk.create_defaults().await?;
        let failed = |source| ServerError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let local = if settings.listens_locally {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let failed = |source| ServerError::Listen { address, source };
            Some(TcpListener::bind(address).await.map_err(failed)?)
        } else {
            None
        };
        let shared = Shared {
            desk,
            needs_token: needs_token || is_open,
            longest_body: settings.longest_body,
            hides_status: settings.hides_status,
            rate: Mutex::new(RateLimit::new(settings.rate.max(1))),
            audit: settings.audit.map(Mutex::new),
            send_webhook: settings.send_webhook,
        };
        Ok(Self { shared: Arc::new(shared), listener, tls: settings.tls, local, address })
    }

    /// The address with the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of plain HTTP on this machine.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local.as_ref()?.local_addr().ok()
    }

    /// Adds metrics of another part of the process to those at `/metrics`. Only the first call counts.
    pub fn append_metrics(&self, more: impl Fn() -> String + Send + Sync + 'static) {
        self.shared.desk.metrics.append(Box::new(more));
    }

    /// Serves until `stop` ends, then finishes requests in hand.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { shared, listener, tls, local, .. } = self;
        let timers = {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { shared.run_timers().await })
        };
        let closing = watch::Sender::new(false);
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let accept = |listener, tls| accept(listener, tls, &shared, &places, &closing);
        let all = async {
            let local = async {
                match local {
                    Some(local) => accept(local, None).await,
                    None => std::future::pending().await,
                }
            };
            tokio::join!(accept(listener, tls), local)
        };
        tokio::select! {
            () = stop => {}
            _ = all => {}
        }
        shared.desk.stop();
        closing.send_replace(true);
        timeout(DRAIN, places.acquire_many(MOST_CONNECTIONS as u32)).await.map(drop).ok();
        timers.abort();
    }
}

/// Accepts connections for ever.
async fn accept(
    listener: TcpListener,
    tls: Option<Tls>,
    shared: &Arc<Shared>,
    places: &Arc<Semaphore>,
    closing: &watch::Sender<bool>,
) {
    loop {
        let place = Arc::clone(places).acquire_owned().await;
        let Ok((stream, peer)) = listener.accept().await else {
            // out of file descriptors: wait until other connections end
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        stream.set_nodelay(true).ok();
        let (shared, closing, tls) = (Arc::clone(shared), closing.subscribe(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => connection(shared, stream, peer, closing).await,
                Some(Tls(acceptor)) => {
                    if let Ok(Ok(stream)) = timeout(READ_TIMEOUT, acceptor.accept(stream)).await {
                        connection(shared, stream, peer, closing).await;
                    }
                }
            }
            drop(place);
        });
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
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    mut closing: watch::Receiver<bool>,
) {
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
        let began = Instant::now();
        let cid = request.headers().get("x-pop-cid").and_then(|value| value.to_str().ok());
        let cid = cid.filter(|cid| !cid.is_empty()).map_or_else(new_cid, str::to_owned);
        let path = decoded(request.uri().path()).unwrap_or_default();
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
        if path == metrics::PATH && request.method() == Method::GET {
            return self.metrics(caller, &cid).await;
        }
        let (mut is_change, mut name_of_call) = (false, "");
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
            (is_change, name_of_call) = (call.is_change(), call.name());
            entry.call = name_of_call;
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
            self.desk.perform(call, &cid).await
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
        response(if hides { 200 } else { status }, &body, header, &cid)
    }

    /// The caller of a request; none without a token, from this machine, if that is permitted.
    async fn caller(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<Option<Caller>, Refusal> {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let secret = given.map(crate::token::of_header);
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
        // a page in a browser must not use the rights of the person who opens it
        let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if headers.contains_key(ORIGIN) || !is_own_host(host) {
            return Err(Refusal::new(403, "a request of a web page needs a token"));
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
            Ok(route::Request { method, path: path.to_owned(), query, body })
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
        let content = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !content.to_ascii_lowercase().contains("json") {
            return Err(Refusal::new(415, "the body must have the content type application/json"));
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

fn no_token() -> Refusal {
    let refusal = Refusal::new(401, "this needs a token: send `Authorization: Bearer TOKEN`");
    refusal.with_header("www-authenticate", "Bearer")
}

fn new_cid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Whether a `Host` header names this machine, so that no page of another host was made to look like it.
fn is_own_host(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn response(
    status: u16,
    body: &serde_json::Value,
    header: Option<(&'static str, String)>,
    cid: &str,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in header.into_iter().chain([("x-pop-cid", cid.to_owned())]) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::is_own_host;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for (host, is_own) in [
            ("localhost:7070", true),
            ("127.0.0.1:80", true),
            ("127.0.0.1", true),
            ("[::1]:7070", true),
            ("evil.example:7070", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_own_host(host), is_own, "{host}");
        }
    }
}
