//! One sync of one parent: call the handler, perform the writes, decide when the next sync is due.

use crate::api::Api;
use crate::cache::Cache;
use crate::events::{Events, reference};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::perform::{Outcome, Writer, id_of};
use crate::queue::Work;
use pop_contract::visible;
use pop_operator::{
    Handler, ObjectId, OperatorConfig, Pass, Phase, ReconcileError, SettleGuard, SyncRequest, reconcile,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use tracing::warn;

/// What is remembered of a parent between its syncs.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    guard: SettleGuard,
    /// Syncs in a row that changed something.
    pub(crate) changes: u32,
    /// Why the last sync failed.
    last_failure: Option<String>,
}

/// When a parent is synced again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// After a change.
    Change,
    /// At once, because this sync has changed something.
    AtOnce,
    /// After this time, or after a change.
    After(Duration),
    /// After the back-off: the sync failed.
    Backoff,
    /// Never: the parent is gone.
    Never,
}

/// The end of a sync.
#[derive(Debug)]
pub(crate) struct SyncEnd {
    pub(crate) memory: Memory,
    pub(crate) next: Next,
    /// Whether the sync counts as a failure; none if the handler was not asked to the end.
    pub(crate) has_failed: Option<bool>,
}

/// Why a sync failed: a reason for metrics, and a message.
type Failure = (&'static str, String);

/// What every sync of an operator needs.
pub(crate) struct Syncer<H> {
    pub(crate) config: OperatorConfig,
    pub(crate) handler: H,
    pub(crate) api: Api,
    pub(crate) cache: Arc<Cache>,
    pub(crate) work: Arc<Work>,
    pub(crate) leadership: Leadership,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: Events,
}

impl<H: Handler> Syncer<H> {
    /// Syncs a parent that failed this number of times in a row.
    pub(crate) async fn sync(self: Arc<Self>, uid: String, mut memory: Memory, failures: u32) -> SyncEnd {
        let Some(snapshot) = self.cache.snapshot(&uid) else {
            return SyncEnd { memory, next: Next::Never, has_failed: None };
        };
        let mut request = SyncRequest::observe(&self.config, snapshot.parent, snapshot.objects);
        request.failures = failures;
        request.last_failure = memory.last_failure.take();
        let started = Instant::now();
        let parent = ObjectId::of(&request.parent).map(|id| id.to_string()).unwrap_or_default();
        let subject = reference(&request.parent);
        let (phase, next, failure) = match self.call(request, &mut memory).await {
            Ok((request, pass)) => {
                let (next, ended) = self.perform(&uid, &request, &pass, &mut memory).await;
                (Some(pass.phase), next, ended)
            }
            Err((reason, message)) => (None, Next::Backoff, Some(Err((reason, message)))),
        };
        let has_failed = failure.as_ref().map(Result::is_err);
        if let Some(Err((reason, message))) = failure {
            // a handler cannot forge a log line, or reach the terminal of a reader
            let message = visible(&message);
            warn!(parent, reason, "the sync failed: {message}");
            self.metrics.error(reason);
            // another write of the parent came first: the next sync sees it
            if reason != "conflict" || failures > 1 {
                self.events.failed(subject, failures.saturating_add(1), reason, &message);
            }
            memory.last_failure = Some(message);
        }
        self.metrics.sync(label(phase), started.elapsed());
        memory.changes = if next == Next::AtOnce { memory.changes.saturating_add(1) } else { 0 };
        SyncEnd { memory, next, has_failed }
    }

    /// Calls the handler on a thread for blocking work. An error has a reason for metrics and a message.
    async fn call(
        self: &Arc<Self>,
        request: SyncRequest,
        memory: &mut Memory,
    ) -> Result<(SyncRequest, Pass), Failure> {
        let (this, guard) = (Arc::clone(self), std::mem::take(&mut memory.guard));
        let called = spawn_blocking(move || {
            let pass = reconcile(&this.config, &this.handler, &request, &guard);
            (request, guard, pass)
        });
        let (request, guard, pass) =
            called.await.map_err(|_| ("panic", "the planning of the writes panicked".to_owned()))?;
        memory.guard = guard;
        match pass {
            Ok(pass) => Ok((request, pass)),
            Err(error) => {
                let reason = match error {
                    ReconcileError::Handler(_) => "handler",
                    ReconcileError::Panic(_) => "panic",
                    ReconcileError::Children(_) => "children",
                };
                Err((reason, error.to_string()))
            }
        }
    }

    async fn perform(
        &self,
        uid: &str,
        request: &SyncRequest,
        pass: &Pass,
        memory: &mut Memory,
    ) -> (Next, Option<Result<(), Failure>>) {
        let Self { config, api, cache, work, leadership, .. } = self;
        let writer = Writer { config, api, cache, work, leadership, uid };
        let outcome = writer.perform(&pass.writes, &mut memory.guard).await;
        let seen = request.children.iter().filter_map(ObjectId::of);
        let needed: BTreeSet<ObjectId> = seen.chain(pass.writes.iter().map(id_of).cloned()).collect();
        memory.guard.retain_children(|id| needed.contains(id));
        match outcome {
            Outcome::Done { has_changed } => {
                let next = match pass.again_after {
                    _ if has_changed && !pass.has_failed => Next::AtOnce,
                    Some(Duration::ZERO) => Next::AtOnce,
                    Some(after) => Next::After(after),
                    None => Next::Change,
                };
                if pass.has_failed {
                    let message = "the handler answered with an error status".to_owned();
                    return (next, Some(Err(("handler", message))));
                }
                cache.withdraw(uid);
                (next, Some(Ok(())))
            }
            Outcome::ParentGone | Outcome::NotLeading => (Next::Change, None),
            Outcome::Failed(error) => {
                let reason = if error.code() == Some(409) { "conflict" } else { "write" };
                (Next::Backoff, Some(Err((reason, error.to_string()))))
            }
        }
    }
}

fn label(phase: Option<Phase>) -> &'static str {
    match phase {
        None => "failed",
        Some(Phase::New) => "new",
        Some(Phase::Live) => "live",
        Some(Phase::Finalizing) => "finalizing",
        Some(Phase::Leaving) => "leaving",
    }
}
