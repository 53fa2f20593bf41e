//! Lists and watches one kind for ever.
//!
//! kube's `watcher` restarts a watch that ended without a pause, does not say whether it is alive, and passes objects
//! through typed metadata. Here each short-lived watch is followed by a growing pause, and objects stay as they are.

use crate::api::{Api, ApiError, Scope};
use crate::cache::{Cache, Role};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::queue::Work;
use futures_util::StreamExt as _;
use kube::core::WatchEvent;
use pop_operator::{Backoff, KindConfig, metadata_text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

/// A watch that lived shorter is followed by a pause.
const SHORT: Duration = Duration::from_secs(5);
/// Time after the end of a watch request without that end: the connection is dead.
const LATE: Duration = Duration::from_secs(5);

/// Failures in a row after which the kind is listed again.
const RELIST: u32 = 5;

/// Times between failed lists and watches.
fn pauses() -> Backoff {
    Backoff {
        initial: Duration::from_millis(200),
        factor: 2.0,
        jitter: 0.5,
        cap: Duration::from_secs(30),
        give_up_after: None,
    }
}

/// The watch of one kind.
pub(crate) struct KindWatch {
    pub(crate) role: Role,
    pub(crate) kind: KindConfig,
    pub(crate) scope: Scope,
    pub(crate) duration: Duration,
    pub(crate) api: Api,
    pub(crate) cache: Arc<Cache>,
    pub(crate) work: Arc<Work>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The end of a watch request.
enum End {
    /// The request ended normally, or the connection broke: go on at the last version.
    Ended,
    /// The version is too old: list again.
    TooOld,
    Failed(ApiError),
}

impl KindWatch {
    /// Watches for ever.
    pub(crate) async fn run(self) {
        let (name, pauses) = (self.kind.group_kind().to_string(), pauses());
        let (mut version, mut failures) = (None, 0);
        loop {
            let started = Instant::now();
            let end = match version.take() {
                None => match self.list().await {
                    Ok(listed) => {
                        version = Some(listed);
                        // the pause before the next list counts from the last watch
                        continue;
                    }
                    Err(error) => End::Failed(error),
                },
                Some(mut at) => {
                    let end = self.watch(&mut at).await;
                    version = Some(at);
                    end
                }
            };
            failures = if started.elapsed() < SHORT.min(self.duration / 2) { failures + 1 } else { 0 };
            match end {
                End::Ended => {}
                End::TooOld => version = None,
                End::Failed(error) => {
                    failures = failures.max(1);
                    self.failed(&name, &error);
                    // a server restored from a backup does not know the version for ever
                    if matches!(error.code(), Some(403 | 404 | 410)) || failures >= RELIST {
                        version = None;
                    }
                }
            }
            if failures > 0 {
                let pause = pauses.delay(&name, failures).unwrap_or(SHORT);
                sleep(pause).await;
            }
        }
    }

    /// Reads all objects into the cache. Returns the version of the list.
    async fn list(&self) -> Result<String, ApiError> {
        let (mut items, mut next) = (Vec::new(), None);
        let version = loop {
            let page = self.api.list(&self.kind, &self.scope, next.take()).await?;
            self.health.contact(&self.role);
            items.extend(page.items);
            match page.next {
                Some(token) => next = Some(token),
                None => break page.version,
            }
        };
        let count = items.len();
        self.work.add(&self.cache.replace(&self.role, items, &version));
        debug!(kind = %self.kind.group_kind(), count, version, "listed");
        Ok(version)
    }

    /// Follows the changes after a version, and moves the version on.
    async fn watch(&self, version: &mut String) -> End {
        let opened = self.api.watch(&self.kind, &self.scope, version, self.duration).await;
        let mut events = match opened {
            Ok(events) => events,
            Err(error) => return End::Failed(error),
        };
        self.health.contact(&self.role);
        let limit = self.duration + LATE;
        // each event restarts the limit; bookmarks are events too
        while let Ok(Some(event)) = timeout(limit, events.next()).await {
            match event {
                Ok(event) => match self.see(event, version) {
                    None => self.health.contact(&self.role),
                    Some(end) => return end,
                },
                Err(error) => return End::Failed(error),
            }
        }
        self.health.contact(&self.role);
        End::Ended
    }

    fn see(&self, event: WatchEvent<Value>, version: &mut String) -> Option<End> {
        let kind = self.kind.group_kind().to_string();
        let mut see =
            |event: &'static str, object: Value, update: fn(&Cache, &Role, Value) -> BTreeSet<String>| {
                self.metrics.event(&kind, event);
                if let Some(new) = metadata_text(&object, "resourceVersion") {
                    new.clone_into(version);
                }
                self.add(&update(&self.cache, &self.role, object));
            };
        match event {
            WatchEvent::Added(object) => see("added", object, Cache::apply),
            WatchEvent::Modified(object) => see("modified", object, Cache::apply),
            WatchEvent::Deleted(object) => {
                see("deleted", object, |cache, role, object| cache.remove(role, &object));
            }
            WatchEvent::Bookmark(bookmark) => {
                self.metrics.event(&kind, "bookmark");
                self.cache.advance(&self.role, &bookmark.metadata.resource_version);
                *version = bookmark.metadata.resource_version;
            }
            WatchEvent::Error(status) => {
                self.metrics.event(&kind, "error");
                if status.code != 410 {
                    warn!(%kind, message = status.message, "the API server ended a watch");
                }
                // the position after another error is not certain either
                return Some(End::TooOld);
            }
        }
        None
    }

    fn add(&self, touched: &BTreeSet<String>) {
        if !touched.is_empty() {
            self.work.add(touched);
        }
    }

    /// Tells about a failure. A refusal holds up this kind only.
    fn failed(&self, kind: &str, error: &ApiError) {
        let hint = match error.code() {
            Some(403) => {
                let group = self.kind.group_kind().group;
                format!(
                    "add the verbs list and watch on `{}` of the API group \"{group}\" to the Role of the operator",
                    self.kind.plural
                )
            }
            Some(404) => "install its CustomResourceDefinition".to_owned(),
            Some(410) => return,
            _ => {
                warn!(kind, %error, "the watch failed and is tried again");
                return;
            }
        };
        self.health.contact(&self.role);
        let is_news = self.cache.refuse(&self.role);
        // syncs of the other kinds may start now
        self.work.changed.notify_one();
        if is_news {
            let effect = match self.role {
                Role::Parent => "no parent is synced until the API server lists them",
                Role::Child(_) => "children of this kind are not written until the API server lists them",
            };
            warn!(kind, %error, hint, "{effect}");
        }
    }
}
