//! Performs calls as transactions of the store, and wakes requests that wait for their effects.

use crate::call::{Call, View};
use crate::check::AgendaCheck;
use crate::clock::{SystemIds, now};
use crate::metrics::Metrics;
use crate::reply::{Refusal, Reply};
use crate::scope::Scope;
use crate::token;
use crate::zones::Zones;
use pop_contract::Millis;
use pop_service::{Effects, Kind, Object, PullRequest, PulledAgenda, Query, Rules, Service, ServiceError};
use pop_service_store::Store;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// Time for which the scopes of a token are remembered.
const TOKEN_MEMORY: Duration = Duration::from_secs(2);
/// Tokens that are remembered at most.
const MOST_TOKENS: usize = 10_000;
/// Leases that are ended in one transaction.
const LEASES: u32 = 100;
/// Longest sleep until schedules are looked at again.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Wait after a failure of the store before leases are ended again.
const PAUSE: Duration = Duration::from_secs(1);

/// A caller with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) scopes: BTreeSet<Scope>,
}

impl Caller {
    /// Whether the caller may do what needs a scope.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// The service with its store.
pub(crate) struct Desk {
    pub(crate) store: Store,
    ids: SystemIds,
    rules: Rules,
    pub(crate) check: AgendaCheck,
    /// File of the audit log.
    pub(crate) audit_path: Option<PathBuf>,
    /// Other processes may queue agendas in the same store: how often a waiting request looks. None for one process.
    recheck: Option<Duration>,
    /// Changes of the queue of each insight.
    queues: Mutex<HashMap<String, watch::Sender<u64>>>,
    tokens: Mutex<HashMap<String, (Instant, Option<Caller>)>>,
    /// The next end of a lease, in milliseconds; the maximum if there is none.
    next_end: AtomicU64,
    earlier_end: Notify,
    /// Changes of the times of schedules and deliveries.
    timers: watch::Sender<u64>,
    /// Version of what pages show: it changes with each change.
    activity: watch::Sender<u64>,
    stop: watch::Sender<bool>,
    /// Counts of this process.
    pub(crate) metrics: Metrics,
}

impl Desk {
    pub(crate) fn new(store: Store, rules: Rules, check: AgendaCheck, recheck: Option<Duration>) -> Self {
        Self {
            store,
            ids: SystemIds::default(),
            rules,
            check,
            audit_path: None,
            recheck,
            queues: Mutex::default(),
            tokens: Mutex::default(),
            next_end: AtomicU64::new(u64::MAX),
            earlier_end: Notify::new(),
            timers: watch::Sender::default(),
            // another process must not continue with the version of this one
            activity: watch::Sender::new(now()),
            stop: watch::Sender::new(false),
            metrics: Metrics::default(),
        }
    }

    /// Answers requests that wait for agendas.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Performs a transaction, and tells those who wait for its effects.
    pub(crate) async fn transact<T: Send + 'static>(
        &self,
        mut perform: impl FnMut(&mut Service<'_>) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (rules, ids) = (self.rules, self.ids.clone());
        let performed = self.store.transact(move |ledger| {
            let mut ids = ids.clone();
            let mut service = Service::new(ledger, &mut ids, &Zones, rules, now());
            let value = perform(&mut service)?;
            Ok((value, service.into_effects()))
        });
        let (value, effects) = performed.await.inspect_err(|error| self.metrics.failed(error))?;
        self.announce(&effects);
        Ok(value)
    }

    fn announce(&self, effects: &Effects) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for changed in effects.queued.iter().filter_map(|insight| queues.get(insight)) {
            changed.send_modify(|count| *count += 1);
        }
        drop(queues);
        if effects.is_change {
            self.activity.send_modify(|version| *version += 1);
        }
        if effects.has_timer {
            self.timers.send_modify(|count| *count += 1);
        }
        if effects.lease_end.is_some_and(|end| end < self.next_end.load(Ordering::Acquire)) {
            self.earlier_end.notify_one();
        }
    }

    /// Changes of what pages show.
    pub(crate) fn activity(&self) -> watch::Receiver<u64> {
        self.activity.subscribe()
    }

    /// Whether the service stops.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Whether other processes may change the store.
    pub(crate) fn is_shared(&self) -> bool {
        self.recheck.is_some()
    }

    fn changes(&self, insight: &str) -> watch::Receiver<u64> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(insight.to_owned()).or_default().subscribe()
    }

    /// Ends leases when their time comes, for ever.
    pub(crate) async fn end_leases(&self) {
        loop {
            match self.transact(|service| service.end_leases(LEASES)).await {
                Ok((ended, next)) => {
                    self.next_end.store(next.unwrap_or(u64::MAX), Ordering::Release);
                    if ended > 0 {
                        continue;
                    }
                    let wait = next.map(|next| Duration::from_millis(next.saturating_sub(now())));
                    let recheck = self.recheck.map(|recheck| wait.map_or(recheck, |wait| wait.min(recheck)));
                    let wait = recheck.or(wait);
                    tokio::select! {
                        () = self.earlier_end.notified() => {}
                        () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                    }
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Listens to changes of the times of schedules and deliveries, from now on.
    pub(crate) fn timer_changes(&self) -> watch::Receiver<u64> {
        self.timers.subscribe()
    }

    /// Waits until a time, or until the times of schedules or deliveries change.
    pub(crate) async fn wait_for_timer(&self, next: Option<Millis>, changes: &mut watch::Receiver<u64>) {
        let wait = next.map(|next| Duration::from_millis(next.saturating_sub(now())));
        // a long sleep would miss that somebody sets the clock
        let wait = wait.unwrap_or(LONGEST_SLEEP).min(self.recheck.unwrap_or(LONGEST_SLEEP));
        timeout(wait, changes.changed()).await.map(drop).ok();
    }

    /// The caller with this secret; none if there is no such token.
    pub(crate) async fn caller(&self, secret: &str) -> Result<Option<Caller>, ServiceError> {
        let id = token::digest(secret);
        let known = {
            let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.get(&id).filter(|(at, _)| at.elapsed() < TOKEN_MEMORY).map(|(_, caller)| caller.clone())
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let wanted = id.clone();
        let found = self.store.transact(move |ledger| Ok(ledger.object(Kind::Token, &wanted)?)).await?;
        let caller = found.map(|found| Caller {
            name: found.text("title").unwrap_or_default().to_owned(),
            scopes: token::scopes(&found),
        });
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST_TOKENS {
            tokens.clear();
        }
        tokens.insert(id, (Instant::now(), caller.clone()));
        Ok(caller)
    }

    /// Performs a call. `cid` becomes that of new agendas.
    pub(crate) async fn perform(
        &self,
        call: Call,
        cid: &str,
        caller: Option<&Caller>,
        needs_token: bool,
    ) -> Result<Reply, Refusal> {
        Ok(match call {
            Call::Find(kind, query, view) => self.find(kind, query, view).await?,
            Call::Read(kind, id) => {
                Reply::Object(self.transact(move |service| service.read(kind, &id)).await?, false)
            }
            Call::Create(Kind::Agenda, agenda, text) => {
                let faults = self.check.faults(&text);
                if !faults.errors.is_empty() {
                    return Err(Refusal::faulty(faults));
                }
                Reply::Object(self.create_agenda(agenda, cid).await?, true)
            }
            Call::Create(kind, object, _) => {
                Reply::Object(self.transact(move |service| service.create(kind, object.clone())).await?, true)
            }
            Call::Update(kind, id, update) => {
                let update = move |service: &mut Service<'_>| service.update(kind, &id, update.clone());
                Reply::Object(self.transact(update).await?, false)
            }
            Call::Delete(kind, id) => {
                self.transact(move |service| service.delete(kind, &id)).await?;
                Reply::Done
            }
            Call::CreateAgendas(agendas) => self.create_agendas(agendas, cid).await?,
            Call::RunTemplate { template, payload } => {
                let made = move |service: &mut Service<'_>| service.instantiate(&template, &payload);
                let agenda = self.transact(made).await?;
                let faults = self.check.faults(&Value::Object(agenda.0.clone()).to_string());
                if !faults.errors.is_empty() {
                    return Err(Refusal::faulty(faults));
                }
                Reply::Agendas(vec![self.create_agenda(agenda, cid).await?], Vec::new())
            }
            Call::Rerun { agenda, words } => {
                self.transact(move |service| service.rerun(&agenda, &words)).await?;
                Reply::Done
            }
            Call::Extend { agenda, operations } => {
                let extend = move |service: &mut Service<'_>| service.extend_agenda(&agenda, &operations);
                Reply::Agendas(vec![self.transact(extend).await?], Vec::new())
            }
            Call::Pull(request, wait) => Reply::Pulled(self.pull(request, wait).await?),
            Call::Report(report) => {
                self.transact(move |service| service.report(report.clone())).await?;
                Reply::Done
            }
            Call::Renew(fence) => {
                let lease = self.transact(move |service| service.renew(&fence)).await?;
                Reply::Value(json!({"leaseMs": lease}))
            }
            Call::GiveBack(fence, loss) => {
                self.transact(move |service| service.give_back(&fence, &loss)).await?;
                Reply::Done
            }
            Call::Summary(link) => {
                Reply::Value(self.transact(move |service| service.link_summary(&link)).await?)
            }
            Call::Check(text) => Reply::Value(json!({"faults": self.check.faults(&text).list})),
            Call::Status => self.status().await?,
            Call::Health => {
                self.store.transact(|ledger| Ok(ledger.next_due()?)).await?;
                Reply::Value(json!({"status": "ok"}))
            }
            Call::OpenApi => {
                static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
                    // a test reads it
                    serde_json::from_str(include_str!("openapi.json")).unwrap_or_default()
                });
                Reply::Value(DOCUMENT.clone())
            }
            Call::Reap { age, limit, is_dry } => {
                let before = now().saturating_sub(age.as_millis() as u64);
                let reaped = self.transact(move |service| service.reap(before, limit, is_dry)).await?;
                Reply::Value(json!({"agendas": reaped, "dryRun": is_dry}))
            }
            Call::IssueToken { name, scopes } => {
                let secret = self.issue_token(&name, &scopes).await?;
                Reply::Value(json!({"token": secret, "name": name}))
            }
            Call::Tokens => {
                let tokens = self.all_tokens().await?;
                Reply::Value(json!({"items": tokens.iter().map(token::shown).collect::<Vec<_>>()}))
            }
            Call::RevokeToken(id) => self.revoke_token(&id).await?,
            Call::Page(call) => return self.perform_page(call, cid, caller, needs_token).await,
        })
    }

    async fn find(&self, kind: Kind, query: Query, view: View) -> Result<Reply, ServiceError> {
        let found = self.transact(move |service| service.find(kind, &query)).await?;
        Ok(if view.is_count { Reply::Count(found.len()) } else { Reply::Objects(found, view.fields) })
    }

    pub(crate) async fn create_agenda(&self, mut agenda: Object, cid: &str) -> Result<Object, ServiceError> {
        if agenda.text("cid").is_none() {
            agenda.set("cid", cid);
        }
        let created = self.transact(move |service| service.create_agenda(agenda.clone())).await?;
        Ok(created.agenda)
    }

    /// Creates each agenda that has no problem; others follow in the problems.
    async fn create_agendas(&self, agendas: Vec<Object>, cid: &str) -> Result<Reply, Refusal> {
        let (mut created, mut problems) = (Vec::new(), Vec::new());
        if agendas.is_empty() {
            return Err(ServiceError::invalid("`agendas` is missing or empty").into());
        }
        for (index, agenda) in agendas.into_iter().enumerate() {
            let faults = self.check.faults(&Value::Object(agenda.0.clone()).to_string());
            if !faults.errors.is_empty() {
                problems.extend(faults.errors.into_iter().map(|error| format!("agenda {index}: {error}")));
                continue;
            }
            match self.create_agenda(agenda, cid).await {
                Ok(agenda) => created.push(agenda),
                Err(error @ ServiceError::Ledger(_)) => return Err(error.into()),
                Err(error) => problems.push(format!("agenda {index}: {error}")),
            }
        }
        if created.is_empty() {
            Err(ServiceError::Invalid(problems).into())
        } else {
            Ok(Reply::Agendas(created, problems))
        }
    }

    /// Pulls agendas. If there are none, waits for one.
    async fn pull(&self, request: PullRequest, wait: Duration) -> Result<Vec<PulledAgenda>, ServiceError> {
        let deadline = Instant::now() + wait;
        let mut changes = self.changes(&request.insight);
        let mut stop = self.stop.subscribe();
        loop {
            // what is queued from now on wakes this request
            changes.mark_unchanged();
            let asked = request.clone();
            let pulled = self.transact(move |service| service.pull(&asked)).await?;
            if !pulled.is_empty() || Instant::now() >= deadline || *stop.borrow() {
                return Ok(pulled);
            }
            let until = self.recheck.map_or(deadline, |recheck| deadline.min(Instant::now() + recheck));
            tokio::select! {
                _ = timeout_at(until, changes.changed()) => {}
                () = sleep_until(until) => {}
                _ = stop.changed() => {}
            }
        }
    }

    async fn status(&self) -> Result<Reply, ServiceError> {
        let depth = self.store.transact(|ledger| Ok(ledger.depth()?)).await?;
        let queues: Vec<Value> = depth
            .into_iter()
            .map(
                |depth| json!({"insightId": depth.insight, "waiting": depth.waiting, "leased": depth.leased}),
            )
            .collect();
        Ok(Reply::Value(json!({"version": env!("CARGO_PKG_VERSION"), "queues": queues})))
    }

    /// Stores a new token and returns its secret.
    pub(crate) async fn issue_token(&self, name: &str, scopes: &[Scope]) -> Result<String, ServiceError> {
        let (secret, stored) = token::issue(name, scopes, now());
        self.store.transact(move |ledger| Ok(ledger.put(Kind::Token, &stored)?)).await?;
        Ok(secret)
    }

    pub(crate) async fn all_tokens(&self) -> Result<Vec<Object>, ServiceError> {
        self.store.transact(|ledger| Ok(ledger.find(Kind::Token, &Query::default())?)).await
    }

    async fn revoke_token(&self, id: &str) -> Result<Reply, ServiceError> {
        let tokens = self.all_tokens().await?;
        let is_it = |token: &&Object| id.len() >= 12 && token.id().starts_with(id);
        let Some(found) = tokens.iter().find(is_it) else {
            return Err(ServiceError::not_found(Kind::Token, id));
        };
        let id = found.id().to_owned();
        self.store.transact(move |ledger| Ok(ledger.delete(Kind::Token, &id)?)).await?;
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(Reply::Done)
    }

    /// Creates the objects without which no agenda can be submitted, in an empty store: a customer, a resource pool and an
    /// insight, each with the id `default`.
    pub(crate) async fn create_defaults(&self) -> Result<(), ServiceError> {
        let objects = [
            (Kind::ResourcePool, json!({"id": "default", "title": "default"})),
            (Kind::Customer, json!({"id": "default", "title": "default", "resourcePoolId": "default"})),
            (
                Kind::Insight,
                json!({
                    "id": "default", "title": "default", "resourcePoolId": "default", "isGlobal": true,
                    "schedulingAlgorithm": "RoundRobin",
                }),
            ),
        ];
        self.transact(move |service| {
            if !service.find(Kind::ResourcePool, &Query { limit: Some(1), ..Query::default() })?.is_empty() {
                return Ok(());
            }
            for (kind, value) in &objects {
                service.create(*kind, Object::of(value.clone()).unwrap_or_default())?;
            }
            Ok(())
        })
        .await
    }
}
