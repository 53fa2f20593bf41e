//! The one watch over all pods of a launcher: what it sees is told to whoever follows a pod.

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

/// How long one request of the watch lives, in seconds: a connection that died in silence is noticed then.
const REQUEST_SECONDS: u32 = 120;

/// How long the watch may be forbidden before that is believed: a server that has just begun may not know better.
const TROUBLE: Duration = Duration::from_secs(45);

/// What was last seen of a pod.
#[derive(Debug, Clone, Default)]
pub(super) struct Observation {
    pub(super) pod: Option<Arc<Pod>>,
    /// Whether it exists no more.
    pub(super) is_gone: bool,
    /// Why nothing can be seen.
    pub(super) trouble: Option<Failure>,
}

/// The pods of a launcher.
#[derive(Debug, Default)]
pub(super) struct Pods {
    followed: Mutex<HashMap<String, watch::Sender<Observation>>>,
    /// Pods whose launch was given up: their end is said when it is seen after all.
    given_up: Mutex<HashMap<String, (LaunchId, mpsc::Sender<LaunchUpdate>)>>,
}

impl Pods {
    /// Follows the pod of a name, from before it is created.
    pub(super) fn follow(&self, name: &str) -> watch::Receiver<Observation> {
        let mut followed = self.followed();
        let sender =
            followed.entry(name.to_owned()).or_insert_with(|| watch::channel(Observation::default()).0);
        sender.subscribe()
    }

    /// Follows a pod no more; given somebody to tell, its end is still looked for.
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

    /// Watches the pods that a selector of labels means, for ever.
    pub(super) async fn watch(self: Arc<Self>, api: Api<Pod>, selector: String) {
        let config = watcher::Config::default().labels(&selector).timeout(REQUEST_SECONDS);
        let mut events = watcher(api, config).default_backoff().boxed();
        // what a new list does not have any more was deleted while nobody looked
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
                // another pod of this name, or an older state of this one, tells nothing
                let is_news = !before.is_gone;
                if is_news {
                    *before = seen;
                }
                is_news
            });
        }
        let exit = match state_of(&pod) {
            PodState::Ended(Ok(exit)) => Some(exit),
            PodState::Ended(Err(failure)) => failure.exit,
            PodState::Waiting(_) | PodState::Running | PodState::NotFound => None,
        };
        let late = self.given_up().remove_entry(&name);
        if let Some((name, (id, events))) = late {
            match exit {
                Some(exit) => say_late(id, exit, &events).await,
                None if is_gone => {}
                None => drop(self.given_up().insert(name, (id, events))),
            }
        }
    }

    fn see_gone(&self, listed: &HashSet<String>) {
        for (name, sender) in &*self.followed() {
            // one that was never seen may not have been created yet
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
        // what is forbidden stays so; anything else is tried again by the watch itself
        if answer(error).is_some_and(|status| matches!(status.code, 401 | 403)) {
            let failure = refused("list and watch pods", error);
            for sender in self.followed().values() {
                sender.send_modify(|seen| seen.trouble = Some(failure.clone()));
            }
        }
    }
}

/// Says how a launch ended that had been given up.
pub(super) async fn say_late(id: LaunchId, exit: Exit, events: &mpsc::Sender<LaunchUpdate>) {
    events.send(LaunchUpdate { id, event: LaunchEvent::Late(exit) }).await.ok();
}
