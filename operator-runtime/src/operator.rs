//! The loop of an operator: starts syncs, waits for their ends, and ends gracefully.

use crate::api::{Api, Scope};
use crate::cache::{Cache, Role};
use crate::events::Events;
use crate::health::{BEAT, Health};
use crate::http::{Pages, serve};
use crate::lease::{Leadership, drive};
use crate::metrics::{Gauges, Metrics};
use crate::queue::Work;
use crate::settings::{HttpSettings, RuntimeError, Settings};
use crate::sync::{Memory, Next, SyncEnd, Syncer};
use crate::watch::KindWatch;
use hyper::StatusCode;
use kube::Client;
use pop_operator::{Backoff, Failures, Handler, OperatorConfig};
use std::collections::HashMap;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info};

/// Syncs in a row that each change something; more are delayed, because the handler or somebody else may never settle.
const RESTLESS: u32 = 20;

/// Times between the syncs of a parent that does not settle.
fn restless_pauses() -> Backoff {
    Backoff {
        initial: Duration::from_millis(200),
        factor: 2.0,
        cap: Duration::from_secs(30),
        ..Backoff::default()
    }
}

/// Runs an operator until `stop` is ready: syncs that run are ended, and the Lease is given up.
pub async fn run<H: Handler>(
    client: Client,
    config: OperatorConfig,
    handler: H,
    settings: Settings,
    stop: impl Future<Output = ()>,
) -> Result<(), RuntimeError> {
    Operator::bind(client, config, handler, settings).await?.run(stop).await
}

/// An operator that is ready to run.
pub struct Operator<H> {
    syncer: Arc<Syncer<H>>,
    settings: Settings,
    listener: Option<(TcpListener, HttpSettings)>,
    work: Arc<Work>,
    health: Arc<Health>,
}

impl<H> std::fmt::Debug for Operator<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<H: Handler> Operator<H> {
    /// Checks the configuration and opens the port of the HTTP endpoints.
    pub async fn bind(
        client: Client,
        config: OperatorConfig,
        handler: H,
        settings: Settings,
    ) -> Result<Self, RuntimeError> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(RuntimeError::Config(faults));
        }
        let listener = match &settings.http {
            None => None,
            Some(http) => {
                let address = http.address;
                let failed = |source| RuntimeError::Listen { address, source };
                Some((TcpListener::bind(address).await.map_err(failed)?, http.clone()))
            }
        };
        let metrics = Arc::new(Metrics::default());
        let roles = roles(&config).into_iter().map(|(role, _)| role);
        let health = Arc::new(Health::new(roles, settings.watch_duration));
        let events = Events::new(client.clone(), &config.name, settings.request_timeout);
        let api = Api::new(client, Arc::clone(&metrics), settings.request_timeout);
        let cache = Arc::new(Cache::new(&config));
        let leadership = Leadership::new(settings.lease.as_ref());
        let work = Arc::<Work>::default();
        let syncer =
            Syncer { config, handler, api, cache, work: Arc::clone(&work), leadership, metrics, events };
        let syncer = Arc::new(syncer);
        Ok(Self { syncer, settings, listener, work, health })
    }

    /// Address of the HTTP endpoints.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Runs until `stop` is ready: syncs that run are ended, and the Lease is given up. Dropping the future ends at once
    /// and leaves the Lease to its expiry.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), RuntimeError> {
        let mut services = JoinSet::new();
        for watch in self.watches() {
            services.spawn(async move {
                watch.run().await;
                "watch of a kind"
            });
        }
        if let Some((listener, http)) = self.listener.take() {
            let pages = self.pages(&http);
            services.spawn(async move {
                serve(listener, pages).await;
                "HTTP server"
            });
        }
        let (release, is_released) = watch::channel(false);
        let mut election = JoinSet::new();
        if let Some(target) = self.settings.lease.clone() {
            let syncer = Arc::clone(&self.syncer);
            election.spawn(async move { drive(&syncer.api, &target, &syncer.leadership, is_released).await });
        }
        self.work_until(stop, &mut services, &mut election).await?;
        info!("all syncs have ended");
        release.send_replace(true);
        while election.join_next().await.is_some() {}
        Ok(())
    }

    /// Starts syncs until the end.
    async fn work_until(
        &self,
        stop: impl Future<Output = ()>,
        services: &mut JoinSet<&'static str>,
        election: &mut JoinSet<()>,
    ) -> Result<(), RuntimeError> {
        let mut stop = pin!(stop);
        let mut is_stopping = false;
        let mut leader = self.syncer.leadership.changes();
        let mut round = Round::new(self);
        loop {
            self.health.beat();
            let may_start =
                !is_stopping && self.syncer.leadership.is_leading() && self.syncer.cache.is_filled();
            let deadline = if may_start { round.start() } else { None };
            if is_stopping && round.syncs.is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = &mut stop, if !is_stopping => is_stopping = true,
                Some(ended) = round.syncs.join_next_with_id() => round.end(ended),
                Ok(()) = leader.changed() => {
                    if *leader.borrow_and_update() {
                        // the last leader may have left anything half done
                        self.work.add(&self.syncer.cache.parents());
                    }
                }
                () = self.work.changed.notified() => {}
                () = until(deadline) => {}
                () = sleep(BEAT) => {}
                Some(ended) = services.join_next() => {
                    return Err(RuntimeError::Task(ended.unwrap_or("service")));
                }
                Some(_) = election.join_next() => return Err(RuntimeError::Task("leader election")),
            }
        }
    }

    fn watches(&self) -> Vec<KindWatch> {
        let watch = |(role, kind)| KindWatch {
            scope: Scope {
                namespace: self.syncer.config.namespace.clone(),
                selector: if role == Role::Parent { None } else { self.syncer.config.child_selector() },
            },
            role,
            kind,
            duration: self.settings.watch_duration,
            api: self.syncer.api.clone(),
            cache: Arc::clone(&self.syncer.cache),
            work: Arc::clone(&self.work),
            health: Arc::clone(&self.health),
            metrics: Arc::clone(&self.syncer.metrics),
        };
        roles(&self.syncer.config).into_iter().map(watch).collect()
    }

    fn pages(&self, http: &HttpSettings) -> Pages {
        let (syncer, work, health) =
            (Arc::clone(&self.syncer), Arc::clone(&self.work), Arc::clone(&self.health));
        let HttpSettings { has_health, has_ready, has_metrics, .. } = *http;
        let good = || Some((StatusCode::OK, "ok\n".to_owned()));
        let bad = |text: String| Some((StatusCode::SERVICE_UNAVAILABLE, text + "\n"));
        Arc::new(move |path| match path {
            "/health" if has_health => {
                let faults = health.faults(std::time::Instant::now());
                if faults.is_empty() { good() } else { bad(faults.join("\n")) }
            }
            // a replica that does not lead is ready too: else a rolling update would wait for itself
            "/ready" if has_ready => {
                if syncer.cache.is_filled() {
                    good()
                } else {
                    bad("not all kinds are listed yet".to_owned())
                }
            }
            "/metrics" if has_metrics => {
                let (running, waiting) = work.queue().counts();
                let gauges = Gauges {
                    parents: syncer.cache.len(),
                    running,
                    waiting,
                    is_leading: syncer.leadership.is_leading(),
                };
                Some((StatusCode::OK, syncer.metrics.text(gauges)))
            }
            _ => None,
        })
    }
}

/// The kinds to watch.
fn roles(config: &OperatorConfig) -> Vec<(Role, pop_operator::KindConfig)> {
    let children = config.children.iter();
    let children = children.map(|child| (Role::Child(child.kind.group_kind()), child.kind.clone()));
    [(Role::Parent, config.parent.clone())].into_iter().chain(children).collect()
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// The syncs that run, and what is remembered of the parents.
struct Round<'o, H> {
    operator: &'o Operator<H>,
    syncs: JoinSet<SyncEnd>,
    parents: HashMap<Id, String>,
    memories: HashMap<String, Memory>,
    failures: Failures,
}

impl<'o, H: Handler> Round<'o, H> {
    fn new(operator: &'o Operator<H>) -> Self {
        Self {
            operator,
            syncs: JoinSet::new(),
            parents: HashMap::new(),
            memories: HashMap::new(),
            failures: Failures::default(),
        }
    }

    /// Starts syncs as far as their number allows. Returns the time when the next one is due.
    fn start(&mut self) -> Option<Instant> {
        while self.syncs.len() < self.operator.settings.most_syncs.max(1) {
            let mut queue = self.operator.work.queue();
            let Some(uid) = queue.start(Instant::now()) else { return queue.deadline() };
            drop(queue);
            let memory = self.memories.remove(&uid).unwrap_or_default();
            let failures = self.failures.count(&uid);
            let sync = Arc::clone(&self.operator.syncer).sync(uid.clone(), memory, failures);
            self.parents.insert(self.syncs.spawn(sync).id(), uid);
        }
        None
    }

    /// Records the end of a sync and decides about the next one.
    fn end(&mut self, ended: Result<(Id, SyncEnd), JoinError>) {
        let (id, end) = match ended {
            Ok((id, end)) => (id, Some(end)),
            Err(error) => {
                error!(%error, "a sync broke off; this is a bug of pop");
                (error.id(), None)
            }
        };
        let Some(uid) = self.parents.remove(&id) else { return };
        let end =
            end.unwrap_or(SyncEnd { memory: Memory::default(), next: Next::Backoff, has_failed: Some(true) });
        match end.has_failed {
            Some(true) => drop(self.failures.add(&uid)),
            Some(false) => self.failures.reset(&uid),
            None => {}
        }
        let changes = end.memory.changes;
        let mut queue = self.operator.work.queue();
        let after = match end.next {
            Next::Change | Next::Never => None,
            Next::AtOnce if changes > RESTLESS => restless_pauses().delay(&uid, changes - RESTLESS),
            Next::AtOnce => Some(Duration::ZERO),
            Next::After(after) => Some(after),
            Next::Backoff => self.operator.settings.backoff.delay(&uid, self.failures.count(&uid)),
        };
        match after.map(|after| Instant::now().checked_add(after)) {
            Some(Some(_)) if after == Some(Duration::ZERO) => queue.add(&uid),
            Some(Some(at)) => queue.add_at(&uid, at),
            // a time beyond all clocks never comes
            Some(None) | None => {}
        }
        queue.end(&uid);
        drop(queue);
        if end.next == Next::Never {
            self.failures.reset(&uid);
            self.operator.syncer.cache.withdraw(&uid);
        } else {
            self.memories.insert(uid, end.memory);
        }
    }
}
