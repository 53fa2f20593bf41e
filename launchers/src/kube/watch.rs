//! The one watch over all pods of a launcher; it distributes pod states to the launches that follow them.

use super::failure::{answer, refused};
use super::pod_status::{PodState, state_of};
use crate::port::{LaunchEvent, LaunchId, LaunchUpdate};
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use pop_contract::{Exit, Failure};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Duration of one watch request in seconds: bounds the time until a dead connection is noticed.
const REQUEST_SECONDS: u32 = 120;

/// Time that a forbidden watch is retried: a starting API server may deny requests by mistake.
const TROUBLE: Duration = Duration::from_secs(45);

/// The last known state of a pod.
#[derive(Debug, Clone, Default)]
pub(super) struct Observation {
    pub(super) pod: Option<Arc<Pod>>,
    /// Whether the pod no longer exists.
    pub(super) is_gone: bool,
    /// Error of the watch.
    pub(super) trouble: Option<Failure>,
}

/// The pods of a launcher.
#[derive(Debug, Default)]
pub(super) struct Pods {
    followed: Mutex<HashMap<String, watch::Sender<Observation>>>,
    /// Pods of launches that were given up: their end is reported if it is seen later.
    given_up: Mutex<HashMap<String, (LaunchId, mpsc::Sender<LaunchUpdate>)>>,
}

impl Pods {
    /// Follows the pod of a name, even before it is created.
    pub(super) fn follow(&self, name: &str) -> watch::Receiver<Observation> {
        let mut followed = self.followed();
        let sender =
            followed.entry(name.to_owned()).or_insert_with(|| watch::channel(Observation::default()).0);
        sender.subscribe()
    }

    /// Stops following a pod. With `late`, its end is still reported.
    pub(super) fn forget(&self, name: &str, late: Option<(LaunchId, mpsc::Sender<LaunchUpdate>)>) {
        self.followed().remove(name);
        if let Some(late) = late {
            self.given_up().insert(name.to_owned(), late);
        }
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Observation>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn given_up(&self) -> MutexGuard<'_, HashMap<String, (LaunchId, mpsc::Sender<LaunchUpdate>)>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the pods of a label selector, forever.
    pub(super) async fn watch(self: Arc<Self>, api: Api<Pod>, selector: String) {
        let config = watcher::Config::default().labels(&selector).timeout(REQUEST_SECONDS);
        let mut events = watcher(api, config).default_backoff().boxed();
        // pods missing from a new list were deleted during a gap of the watch
        let mut listed = HashSet::new();
        let mut trouble_since = None;
        while let Some(event) = events.next().await {
            if event.is_ok() {
                trouble_since = None;
            }
            match event {
                Ok(Event::Apply(pod)) => self.see(pod, false).await,
                Ok(Event::Delete(pod)) => self.see(pod, true).await,
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(pod)) => {
                    listed.extend(pod.metadata.name.clone());
                    self.see(pod, false).await;
                }
                Ok(Event::InitDone) => self.see_gone(&listed),
                Err(error) => {
                    let since = *trouble_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= TROUBLE {
                        self.see_trouble(&error);
                    }
                }
            }
        }
    }

    async fn see(&self, pod: Pod, is_gone: bool) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let pod = Arc::new(pod);
        if let Some(sender) = self.followed().get(&name) {
            let seen = Observation { pod: Some(Arc::clone(&pod)), is_gone, trouble: None };
            sender.send_if_modified(|before| {
                // ignore another pod of this name, and older states of this one
                let is_news = !before.is_gone;
                if is_news {
                    *before = seen;
                }
                is_news
            });
        }
        let late = self.given_up().remove_entry(&name);
        if let Some((name, (id, events))) = late {
            let exit = match state_of(&pod) {
                PodState::Ended(Ok(exit)) => Some(exit),
                PodState::Ended(Err(failure)) => failure.exit,
                PodState::Waiting(_) | PodState::Running | PodState::NotFound => None,
            };
            match exit {
                Some(exit) => say_late(id, exit, &events).await,
                None if is_gone => {}
                None => drop(self.given_up().insert(name, (id, events))),
            }
        }
    }

    fn see_gone(&self, listed: &HashSet<String>) {
        for (name, sender) in &*self.followed() {
            // a pod never seen may not have been created yet
            let was_seen = sender.borrow().pod.is_some();
            if was_seen && !listed.contains(name) {
                sender.send_modify(|seen| seen.is_gone = true);
            }
        }
        self.given_up().retain(|name, _| listed.contains(name));
    }

    fn see_trouble(&self, error: &watcher::Error) {
        let (watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error)) = error
        else {
            return;
        };
        // a denial is permanent; other errors are retried by the watch itself
        if answer(error).is_some_and(|status| matches!(status.code, 401 | 403)) {
            let failure = refused("list and watch pods", error);
            for sender in self.followed().values() {
                sender.send_modify(|seen| seen.trouble = Some(failure.clone()));
            }
        }
    }
}

/// Reports the end of a launch that was given up.
pub(super) async fn say_late(id: LaunchId, exit: Exit, events: &mpsc::Sender<LaunchUpdate>) {
    events.send(LaunchUpdate { id, event: LaunchEvent::Late(exit) }).await.ok();
}
