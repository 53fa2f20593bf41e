//! The Kubernetes launcher: creates each launch's pod under its own name, follows it, deletes it when released.

use super::api::Server;
use super::follow::Follow;
use super::limits::check_size;
use super::manifest::{pod, pod_name};
use super::pod_status::{PodState, is_over, state_of};
use super::watch::{Pods, say_late};
use super::working_folder::check_folder;
use crate::active_launches::{ActiveLaunches, PendingReason};
use crate::backoff::Backoff;
use crate::output::Output;
use crate::port::{Doing, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher, label};
use crate::setting::Setting;
use crate::stop_request::StopRequest;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use pop_contract::{Exit, Failure};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Pod label of a launcher without a run.
const LAUNCHER: &str = "pop.launcher";

/// Launches programs as pods of a Kubernetes cluster.
///
/// *Guarantees.* A launch is one pod, even if it is requested repeatedly. The launcher follows a pod that an earlier
/// process of the caller launched. One watch covers all pods. The launcher deletes a pod only after its launch was
/// released.
#[derive(Clone)]
pub struct KubernetesLauncher {
    shared: Arc<Shared>,
}

struct Shared {
    setting: Setting,
    /// The label that selects the pods of this launcher.
    mark: (String, String),
    server: OnceCell<Arc<Server>>,
    pods: Arc<Pods>,
    watching: Mutex<Option<JoinHandle<()>>>,
    followed: ActiveLaunches<EndedPod>,
    /// Set when the launcher follows the first launch of an earlier process: pods that no launch follows are searched
    /// for once.
    swept: OnceCell<()>,
}

/// A pod that exists until its launch is released.
#[derive(Debug)]
struct EndedPod {
    name: String,
    uid: String,
    is_to_go: bool,
    has_secret: bool,
}

/// One launch until its pod exists.
struct Launch<'l> {
    id: LaunchId,
    name: &'l str,
    /// Secrets whose values only this process has.
    secrets: Result<Vec<(String, String)>, Failure>,
    /// Reason why there is no pod yet.
    refusal: PendingReason,
}

impl KubernetesLauncher {
    /// A launcher with this setting. It connects to the cluster at the first launch.
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
            followed: ActiveLaunches::default(),
            swept: OnceCell::new(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Launcher for KubernetesLauncher {
    fn launch(&self, id: LaunchId, mut order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
        let (shared, events) = (Arc::clone(&self.shared), events.clone());
        let stop = shared.followed.begin(id);
        order.labels.push(shared.mark.clone());
        let name = pod_name(&order);
        shared.followed.know(&name);
        if order.again {
            let (shared, events) = (Arc::clone(&shared), events.clone());
            tokio::spawn(async move { shared.sweep_once(&events).await });
        }
        tokio::spawn(async move {
            // read before the mask is built, so that it also hides the current values
            let own = order.program.secrets.iter().filter(|secret| secret.source.in_cluster.is_none());
            let own: Vec<_> = own.cloned().collect();
            let secrets = shared.setting.secrets.values(&own);
            let mut output = Box::new(Output::new(id, order, &events, &shared.setting.secrets.mask()));
            let launch = Launch { id, name: &name, secrets, refusal: PendingReason::default() };
            let (exit, kept) = shared.carry_out(&launch, &mut output, stop).await;
            if kept.is_none() {
                shared.followed.forget(&name);
            }
            let is_displaced = exit.as_ref().is_err_and(Failure::is_displaced);
            shared.pods.forget(&name, is_displaced.then(|| (id, events.clone())));
            let ended = output.finish(exit.map_err(Box::new)).await;
            shared.followed.end(id, kept);
            events.send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(ended)) }).await.ok();
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
            if kept.has_secret {
                server.delete_secret(&kept.name).await;
            }
            if kept.is_to_go && server.delete(&kept.name, Some(kept.uid), None).await.is_err() {
                shared.followed.forget(&kept.name);
            }
        });
    }

    fn reach(&self) -> Doing<'_, Result<(), Failure>> {
        Box::pin(async { self.shared.server().await.map(drop) })
    }

    fn close(&self) -> Doing<'_, ()> {
        Box::pin(async {
            self.shared.followed.close().await;
            if self.shared.setting.run.is_some() && self.shared.server.initialized() {
                let shared = Arc::clone(&self.shared);
                self.shared.followed.leave(async move { shared.sweep(None).await });
                self.shared.followed.close().await;
            }
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

    /// Starts the watch over the pods, once.
    fn watch(&self, server: &Server) {
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        watching.get_or_insert_with(|| {
            let (key, value) = &self.mark;
            let watch = Arc::clone(&self.pods).watch(server.pods.clone(), format!("{key}={value}"));
            tokio::spawn(watch)
        });
    }

    /// Carries a launch out. Also returns the pod to delete later, if its state is known.
    async fn carry_out(
        self: &Arc<Self>,
        launch: &Launch<'_>,
        output: &mut Output<'_>,
        mut stop: watch::Receiver<StopRequest>,
    ) -> (Result<Exit, Failure>, Option<EndedPod>) {
        let pending_until = output.order.pending.map(|pending| Instant::now() + pending);
        let observed = self.pods.follow(launch.name);
        if output.order.again {
            // the pod's log is read again from the beginning
            output.begin_anew();
        }
        // a pod of an earlier process is searched for and stopped even if a stop is already requested
        let is_over_at = if output.order.again { StopRequest::Kill } else { StopRequest::Terminate };
        let made = tokio::select! {
            biased;
            made = self.make(launch, &output.order, stop.clone()) => made,
            Ok(()) = wait_until(&mut stop, is_over_at) => {
                self.discard(launch, &output.order);
                Err(launch.refusal.stopped("its pod was created"))
            }
        };
        let (server, uid) = match made {
            Ok((server, pod)) => (server, pod.metadata.uid.unwrap_or_default()),
            Err(failure) => return (Err(failure), None),
        };
        self.watch(&server);
        let grace = self.setting.grace;
        let mut follow = Follow { server, name: launch.name, observed, grace, pending_until };
        let exit = follow.until_end(output, &mut stop).await;
        let last = follow.observed.borrow().pod.clone();
        let kept = EndedPod {
            name: launch.name.to_owned(),
            uid,
            // a pod that may still run, or start later, is deleted
            is_to_go: output.order.program.is_reaped() || !last.is_some_and(|pod| is_over(&pod)),
            has_secret: has_own_secret(&output.order),
        };
        (exit, Some(kept))
    }

    /// Creates the pod, or finds it.
    async fn make(
        &self,
        launch: &Launch<'_>,
        order: &LaunchOrder,
        stop: watch::Receiver<StopRequest>,
    ) -> Result<(Arc<Server>, Pod), Failure> {
        let server = self.server().await?;
        // a pod of an earlier process needs none of the checks of a first start
        if order.again
            && let Some(found) = server.find(launch.name, &order.name).await?
        {
            return Ok((server, found));
        }
        if *stop.borrow() != StopRequest::None {
            return Err(launch.refusal.stopped("its pod was created"));
        }
        let mut tries = Backoff::new(order.pending);
        let pod = pod(launch.id, order, &self.setting, server.owner.clone())?;
        check_size(&pod)?;
        check_folder(order, &self.setting)?;
        if has_own_secret(order) {
            server.create_secret(&pod, launch.secrets.clone()?, &mut tries).await?;
        }
        let made = server.create(&pod, &mut tries, &launch.refusal).await;
        if made.is_err() && has_own_secret(order) {
            server.delete_secret(launch.name).await;
        }
        Ok((server, made?))
    }

    /// Deletes the pod and Secret that may exist for a launch that is given up.
    fn discard(self: &Arc<Self>, launch: &Launch<'_>, order: &LaunchOrder) {
        let Some(server) = self.server.get().cloned() else { return };
        let (name, own, has_secret) = (launch.name.to_owned(), order.name.clone(), has_own_secret(order));
        self.followed.leave(async move {
            if has_secret {
                server.delete_secret(&name).await;
            }
            // a pod created after this is found when the launcher closes
            if let Ok(Some(pod)) = server.find(&name, &own).await {
                server.delete(&name, pod.metadata.uid, None).await.ok();
            }
        });
    }

    /// Sweeps when the launcher follows the first launch of an earlier process: by then it knows the pods of the
    /// others.
    async fn sweep_once(&self, events: &mpsc::Sender<LaunchUpdate>) {
        self.swept.get_or_init(|| self.sweep(Some(events))).await;
    }

    /// Deletes pods of the run that no launch follows: those that an earlier process gave up, and those left
    /// behind by handlers.
    async fn sweep(&self, events: Option<&mpsc::Sender<LaunchUpdate>>) {
        let (Some(run), Ok(server)) = (&self.setting.run, self.server().await) else { return };
        let params = ListParams::default().labels(&format!("{}={run}", label::RUN));
        let Ok(listed) = super::api::call(server.pods.list(&params)).await else { return };
        for pod in listed.items {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let labels = pod.metadata.labels.as_ref();
            let id = labels.and_then(|labels| labels.get(label::LAUNCH_ID)?.parse().ok()).map(LaunchId);
            // a later launch may follow this handler, which needs its programs
            let is_others = events.is_some() && id.is_none_or(LaunchId::is_external);
            if self.followed.knows(&name) || is_others {
                continue;
            }
            let reap = labels.and_then(|labels| labels.get(label::REAP));
            let state = state_of(&pod);
            // keep an ended pod that the registry says not to remove
            if matches!(state, PodState::Ended(_)) && reap.is_none_or(|reap| reap != "true") {
                continue;
            }
            if let (Some(events), Some(id), PodState::Ended(Ok(exit))) = (events, id, state) {
                say_late(id, exit, events).await;
            }
            // the pod may have its own Secret
            server.delete_secret(&name).await;
            server.delete(&name, pod.metadata.uid, None).await.ok();
        }
    }
}

/// Waits until a launch gets a stop request of at least this urgency.
async fn wait_until(
    stop: &mut watch::Receiver<StopRequest>,
    at_least: StopRequest,
) -> Result<(), watch::error::RecvError> {
    stop.wait_for(|stop| *stop >= at_least).await.map(drop)
}

/// Whether an order's pod needs its own Secret.
fn has_own_secret(order: &LaunchOrder) -> bool {
    order.program.secrets.iter().any(|secret| secret.source.in_cluster.is_none())
}
