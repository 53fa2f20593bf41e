//! The server: addresses, connections, start and stop.

mod answer;
mod metrics_route;

use crate::audit::AuditLog;
use crate::check::AgendaCheck;
use crate::clock::now;
use crate::desk::Desk;
use crate::rate::RateLimit;
use crate::scope::Scope;
use crate::timers::{SendWebhook, deliver, run_schedules};
use crate::tls::Tls;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pop_service::{Kind, Rules, ServiceError};
use pop_service_store::Store;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
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
}
