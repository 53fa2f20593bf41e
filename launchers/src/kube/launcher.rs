//! Orders turned into pods: created under a name that is theirs alone, followed, and deleted when released.

use super::api::{NAME_TAKEN, Server};
use super::failure::platform;
use super::follow::Follow;
use super::manifest::{MAIN, pod, pod_name};
use super::sight::{Sight, sight};
use super::watch::{Pods, say_late};
use crate::followed::{Asked, Followed};
use crate::output::Output;
use crate::port::{Doing, LaunchEvent, LaunchId, LaunchOrder, Launched, Launcher, label};
use crate::setting::Setting;
use crate::tries::Tries;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use pop_registry::contract::{Exit, Failure};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The label of pods of a launcher that has no run.
const LAUNCHER: &str = "pop.launcher";

/// Launches programs as pods of a Kubernetes cluster.
///
/// *Guarantees.* A launch is one pod, however often it is asked for; one that was launched by an earlier process of the
/// caller is taken over. One watch sees all pods. A pod is deleted only after its launch was released.
#[derive(Clone)]
pub struct KubernetesLauncher {
    shared: Arc<Shared>,
}

struct Shared {
    setting: Setting,
    /// The label by which the pods of this launcher are found.
    mark: (String, String),
    server: OnceCell<Arc<Server>>,
    pods: Arc<Pods>,
    watching: Mutex<Option<JoinHandle<()>>>,
    followed: Followed<Kept>,
    /// The names of what this process has launched or taken over.
    known: Mutex<HashSet<String>>,
    /// Set at the first launch that is taken over: what nobody follows is looked for once.
    swept: OnceCell<()>,
}

/// A pod that stays until its launch is released.
#[derive(Debug)]
struct Kept {
    name: String,
    uid: Option<String>,
    is_to_go: bool,
    has_secret: bool,
}

impl KubernetesLauncher {
    /// A launcher in a setting; the cluster is reached when it is first needed.
    pub fn new(setting: Setting) -> Self {
        let mark = match &setting.run {
            Some(run) => (label::RUN.to_owned(), run.clone()),
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                (LAUNCHER.to_owned(), format!("{}-{}", std::process::id(), now.as_nanos()))
            }
        };
        let shared = Shared {
            setting,
            mark,
            server: OnceCell::new(),
            pods: Arc::default(),
            watching: Mutex::default(),
            followed: Followed::default(),
            known: Mutex::default(),
            swept: OnceCell::new(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Launcher for KubernetesLauncher {
    fn launch(&self, id: LaunchId, mut order: LaunchOrder, events: &mpsc::Sender<Launched>) {
        let (shared, events) = (Arc::clone(&self.shared), events.clone());
        let asked = shared.followed.begin(id);
        order.labels.push(shared.mark.clone());
        let name = pod_name(&order);
        shared.known().insert(name.clone());
        if order.again {
            let (shared, events) = (Arc::clone(&shared), events.clone());
            tokio::spawn(async move { shared.sweep_once(&events).await });
        }
        tokio::spawn(async move {
            let mut output = Box::new(Output::new(id, order, &events, &shared.setting.secrets.mask()));
            let (exit, kept) = shared.carry_out(id, &name, &mut output, asked).await;
            let is_displaced = exit.as_ref().is_err_and(Failure::is_displaced);
            shared.pods.forget(&name, is_displaced.then(|| (id, events.clone())));
            let ended = output.finish(exit.map_err(Box::new)).await;
            shared.followed.end(id, kept);
            events.send(Launched { id, event: LaunchEvent::Ended(Box::new(ended)) }).await.ok();
        });
    }

    fn stop(&self, id: LaunchId, force: bool) {
        self.shared.followed.ask(id, force);
    }

    fn release(&self, id: LaunchId) {
        let Some(kept) = self.shared.followed.release(id) else { return };
        let shared = Arc::clone(&self.shared);
        self.shared.followed.leave(async move {
            let Ok(server) = shared.server().await else { return };
            if kept.is_to_go {
                // what cannot be deleted now goes with the pod that owns it
                server.delete(&kept.name, kept.uid, None).await.ok();
            }
            if kept.has_secret {
                server.delete_secret(&kept.name).await;
            }
        });
    }

    fn reach(&self) -> Doing<'_, Result<(), Failure>> {
        Box::pin(async { self.shared.server().await.map(drop) })
    }

    fn close(&self) -> Doing<'_, ()> {
        Box::pin(async {
            if self.shared.setting.run.is_some() && self.shared.server.initialized() {
                let shared = Arc::clone(&self.shared);
                self.shared.followed.leave(async move { shared.sweep(None).await });
            }
            self.shared.followed.close().await;
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(watching) = self.watching.get_mut().unwrap_or_else(PoisonError::into_inner) {
            watching.abort();
        }
    }
}

impl Shared {
    async fn server(&self) -> Result<Arc<Server>, Failure> {
        let reach = || async { Server::reach(&self.setting).await.map(Arc::new) };
        self.server.get_or_try_init(reach).await.cloned()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that pods are watched.
    fn watch(&self, server: &Server) {
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        watching.get_or_insert_with(|| {
            let (key, value) = &self.mark;
            let watch = Arc::clone(&self.pods).watch(server.pods.clone(), format!("{key}={value}"));
            tokio::spawn(watch)
        });
    }

    /// Carries a launch out; gives also what is left of it.
    async fn carry_out(
        &self,
        id: LaunchId,
        name: &str,
        output: &mut Output<'_>,
        mut asked: watch::Receiver<Asked>,
    ) -> (Result<Exit, Failure>, Option<Kept>) {
        let server = match self.server().await {
            Ok(server) => server,
            Err(failure) => return (Err(failure), None),
        };
        let is_reaped = output.order.program.is_reaped();
        let has_secret = output.order.program.secrets.iter().any(|secret| secret.source.in_cluster.is_none());
        let mut kept = Kept { name: name.to_owned(), uid: None, is_to_go: true, has_secret };
        if output.order.again {
            // its log is read again from the beginning
            output.begin_anew();
        }
        let pending_until = output.order.pending.map(|pending| Instant::now() + pending);
        let seen = self.pods.follow(name);
        self.watch(&server);
        let refusal = Mutex::new(None);
        let created = tokio::select! {
            biased;
            created = self.create(id, &server, &output.order, &refusal) => created,
            Ok(()) = asked.changed() => {
                let refused = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(refused.unwrap_or_else(|| platform("cancelled", "was stopped before its pod was created")))
            }
        };
        match created {
            Ok(pod) => kept.uid.clone_from(&pod.metadata.uid),
            // the pod that has the name is not the launch's
            Err(failure) if failure.code == NAME_TAKEN => return (Err(failure), None),
            Err(failure) => return (Err(failure), Some(kept)),
        }
        let mut follow = Follow { server, name, seen, pending_until };
        let exit = follow.until_end(output, &mut asked).await;
        let last = follow.seen.borrow().pod.clone();
        kept.is_to_go = is_reaped || !last.is_some_and(|pod| is_over(&pod));
        (exit, Some(kept))
    }

    async fn create(
        &self,
        id: LaunchId,
        server: &Server,
        order: &LaunchOrder,
        refusal: &Mutex<Option<Failure>>,
    ) -> Result<Pod, Failure> {
        let mut tries = Tries::for_as_long_as(order.pending);
        let pod = pod(id, order, &self.setting, server.owner.clone())?;
        let own = order.program.secrets.iter().filter(|secret| secret.source.in_cluster.is_none());
        let own: Vec<_> = own.cloned().collect();
        if !own.is_empty() {
            let values = self.setting.secrets.values(&own)?;
            server.create_secret(&pod, values, &mut tries).await?;
        }
        server.create(&pod, &mut tries, refusal).await
    }

    /// Sweeps when the first launch is taken over: by then it is known which others are.
    async fn sweep_once(&self, events: &mpsc::Sender<Launched>) {
        self.swept.get_or_init(|| self.sweep(Some(events))).await;
    }

    /// Deletes pods of the run that nobody follows: what an earlier process had given up, or what handlers left behind.
    async fn sweep(&self, events: Option<&mpsc::Sender<Launched>>) {
        let (Some(run), Ok(server)) = (&self.setting.run, self.server().await) else { return };
        let params = ListParams::default().labels(&format!("{}={run}", label::RUN));
        let Ok(listed) = super::api::call(server.pods.list(&params)).await else { return };
        for pod in listed.items {
            let name = pod.metadata.name.clone().unwrap_or_default();
            if self.known().contains(&name) || self.pods.is_followed(&name) {
                continue;
            }
            let labels = pod.metadata.labels.as_ref();
            let id = labels.and_then(|labels| labels.get(label::LAUNCH_ID)?.parse().ok()).map(LaunchId);
            if let (Some(events), Some(id), Sight::Ended(Ok(exit))) = (events, id, sight(&pod)) {
                say_late(id, exit, events).await;
            }
            let reap = labels.and_then(|labels| labels.get(label::REAP));
            // what is over and was to stay, stays
            if !matches!(sight(&pod), Sight::Ended(_)) || reap.is_some_and(|reap| reap == "true") {
                server.delete(&name, pod.metadata.uid, None).await.ok();
                // it may have had a Secret of its own
                server.delete_secret(&name).await;
            }
        }
    }
}

/// Whether nothing of a pod runs any more.
fn is_over(pod: &Pod) -> bool {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let others = statuses.into_iter().flatten().filter(|container| container.name != MAIN);
    let is_ended = |ended: &k8s_openapi::api::core::v1::ContainerStatus| {
        ended.state.as_ref().is_some_and(|state| state.terminated.is_some())
    };
    others.clone().all(is_ended)
}
