//! One pod from creation to end: scheduling, volumes, containers, and status.
//!
//! After every input, `advance` compares the state with the goal and takes the next steps. So the order of inputs does
//! not matter.

use super::engine::Engine;
use super::order::{Exit, Sandbox, StartResult};
use super::pod_state::{End, PodContext, Role, Slot, State, phase, set_condition, status};
use super::{event, schedule, volume};
use crate::cluster::{Cluster, now};
use crate::pod_order::PodOrder;
use crate::store::name_of;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// The grace of a pod that was removed from the server, in seconds.
const GRACE_AFTER_REMOVAL: i64 = 2;

/// A report about a container.
#[derive(Debug)]
pub(super) enum Input {
    /// A start succeeded or failed.
    Started { slot: usize, result: StartResult },
    /// A container ended.
    Ended { slot: usize, exit: Exit },
}

/// The task that runs one pod.
pub(super) struct Worker {
    pub(super) cluster: Arc<Cluster>,
    pub(super) engine: Arc<Engine>,
    pub(super) folder: PathBuf,
    pub(super) pod: Arc<Value>,
    pub(super) uid: String,
    pub(super) slots: Vec<Slot>,
    pub(super) context: PodContext,
    is_placed: bool,
    pub(super) volumes: Option<BTreeMap<String, PathBuf>>,
    pub(super) sandbox: Sandbox,
    /// Time of the next attempt to set up volumes and sandbox.
    retry: Option<Instant>,
    deadline: Option<Instant>,
    kill_at: Option<Instant>,
    pub(super) is_killed: bool,
    /// Whether the pod's object is removed at its end.
    is_deleted: bool,
    pub(super) sender: mpsc::UnboundedSender<Input>,
    inputs: mpsc::UnboundedReceiver<Input>,
    changes: watch::Receiver<u64>,
}

impl Worker {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        engine: &Arc<Engine>,
        folder: PathBuf,
        pod: &Arc<Value>,
    ) -> Self {
        let (sender, inputs) = mpsc::unbounded_channel();
        let spec = &pod["spec"];
        let restart_policy = spec["restartPolicy"].as_str().unwrap_or("Always").to_owned();
        Self {
            cluster: Arc::clone(cluster),
            engine: Arc::clone(engine),
            folder,
            uid: super::uid(pod).to_owned(),
            slots: Slot::all(spec),
            context: PodContext { restart_policy, ..PodContext::default() },
            pod: Arc::clone(pod),
            is_placed: false,
            volumes: None,
            sandbox: Sandbox::default(),
            retry: None,
            deadline: None,
            kill_at: None,
            is_killed: false,
            is_deleted: false,
            sender,
            inputs,
            changes: cluster.changes(),
        }
    }

    /// Runs the pod until it has ended.
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<PodOrder>) {
        let mut is_gone = false;
        loop {
            self.changes.borrow_and_update();
            self.advance().await;
            self.report();
            if std::mem::take(&mut self.context.is_phase_late) {
                self.report();
            }
            if self.is_over() {
                break;
            }
            let timer = self.timer();
            tokio::select! {
                order = orders.recv(), if !is_gone => match order {
                    Some(order) => self.obey(order),
                    None => is_gone = true,
                },
                Some(input) = self.inputs.recv() => match input {
                    Input::Started { slot, result } => self.started(slot, result),
                    Input::Ended { slot, exit } => self.ended(slot, exit),
                },
                // until the pod is scheduled: any change may free resources for it
                _ = self.changes.changed(), if !self.is_placed && !self.context.is_ending => {}
                () = sleep_until(timer) => {}
            }
        }
        // a deletion that came with the end; later ones find no worker
        orders.close();
        while let Ok(order) = orders.try_recv() {
            self.is_deleted |= matches!(order, PodOrder::Delete { .. });
        }
        if self.is_deleted && !self.cluster.switches().is_node_lost {
            self.end_containers_that_never_ran();
            self.report();
            let (namespace, name) = name_of(&self.pod);
            self.cluster.finish_pod(&namespace, &name, &self.uid);
        }
        self.engine.close_pod(&self.sandbox).await;
        // files that a container still uses are removed with the stand-in's folder
        std::fs::remove_dir_all(&self.folder).ok();
    }

    fn is_over(&self) -> bool {
        let is_idle = self.slots.iter().all(|slot| !slot.is_running() && !slot.is_starting);
        let is_silenced = self.cluster.switches().is_node_lost;
        if !is_idle || is_silenced {
            return false;
        }
        self.context.is_ending || matches!(phase(&self.slots, &self.context), "Succeeded" | "Failed")
    }

    fn timer(&self) -> Instant {
        let starts = self.slots.iter().filter_map(|slot| slot.not_before);
        let kill = self.kill_at.filter(|_| !self.is_killed);
        let others = [self.retry, self.deadline.filter(|_| !self.context.is_ending), kill];
        let far = Instant::now() + Duration::from_hours(1);
        starts.filter(|_| !self.context.is_ending).chain(others.into_iter().flatten()).min().unwrap_or(far)
    }

    fn obey(&mut self, order: PodOrder) {
        match order {
            PodOrder::Delete { grace } => {
                self.is_deleted = true;
                self.end_within(grace);
            }
            PodOrder::Gone => {
                self.end_within(GRACE_AFTER_REMOVAL);
                self.kill_within(GRACE_AFTER_REMOVAL);
            }
            PodOrder::Evict { message } => {
                self.event("Evicted", &message);
                self.context.failure = Some(("Evicted".to_owned(), message));
                self.end_within(1);
            }
            PodOrder::Report => {}
            PodOrder::RenewToken => {
                // creating the volumes again rarely fails; then the old token stays
                self.create_volumes().ok();
            }
        }
    }

    /// Stops all containers within a grace. Only the first call counts: a kubelet that is already stopping a container
    /// ignores the shorter grace of a second deletion.
    fn end_within(&mut self, grace: i64) {
        if self.context.is_ending {
            return;
        }
        self.kill_within(grace);
        self.context.is_ending = true;
        if self.is_deleted {
            self.forget_waiting_reasons();
        }
        for slot in &self.slots {
            if let (true, Some(stopper)) = (slot.is_running(), &slot.stopper) {
                self.event("Killing", &format!("Stopping container {}", slot.name));
                stopper.signal(Signal::TERM);
            }
        }
    }

    fn kill_within(&mut self, grace: i64) {
        let kill_at = Instant::now() + Duration::from_secs(grace.try_into().unwrap_or(0));
        self.kill_at = Some(self.kill_at.map_or(kill_at, |earlier| earlier.min(kill_at)));
    }

    /// Resets waiting reasons, as the kubelet does after a deletion.
    fn forget_waiting_reasons(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.has_never_run()) {
            let reason = "ContainerCreating".to_owned();
            slot.state = State::Waiting { reason, message: String::new() };
        }
    }

    /// Ends containers that never ran as `ContainerStatusUnknown`.
    fn end_containers_that_never_ran(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.has_never_run()) {
            let message = "The container could not be located when the pod was terminated".to_owned();
            let exit = Exit { code: 137, is_out_of_memory: false, message };
            let reason = "ContainerStatusUnknown";
            slot.state = State::Ended(End {
                exit,
                reason,
                since: String::new(),
                at: String::new(),
                id: String::new(),
            });
        }
    }

    async fn advance(&mut self) {
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| at <= now) && !self.is_killed {
            self.is_killed = true;
            for stopper in self.slots.iter().filter_map(|slot| slot.stopper.as_ref()) {
                stopper.signal(Signal::KILL);
            }
        }
        if self.context.is_ending {
            return;
        }
        if !self.is_placed && !self.place() {
            return;
        }
        if self.deadline.is_some_and(|at| at <= now) {
            let message = "Pod was active on the node longer than the specified deadline";
            self.event("DeadlineExceeded", message);
            self.context.failure = Some(("DeadlineExceeded".to_owned(), message.to_owned()));
            let grace = self.pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
            return self.end_within(grace);
        }
        if self.volumes.is_none() && !self.mount(now).await {
            return;
        }
        self.start_next_containers(now);
    }

    /// Binds the pod to the node, or reports why not. Returns whether it is bound.
    fn place(&mut self) -> bool {
        let (namespace, name) = name_of(&self.pod);
        let place = (namespace.as_str(), name.as_str());
        match schedule::place(&self.cluster, &self.pod) {
            Ok(node) => {
                self.is_placed = true;
                let bind = |pod: &mut Value| {
                    pod["spec"]["nodeName"] = node.as_str().into();
                    set_condition(&mut pod["status"], "PodScheduled", ("True", "", String::new()));
                };
                self.cluster.write_pod(place, &self.uid, bind);
                let message = format!("Successfully assigned {namespace}/{name} to {node}");
                event::record(&self.cluster, &self.pod, "default-scheduler", "Scheduled", &message);
                self.context.started = now();
                let seconds = self.pod["spec"]["activeDeadlineSeconds"].as_u64();
                self.deadline = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
                true
            }
            Err(why) => {
                let mut is_news = false;
                let refuse = |pod: &mut Value| {
                    let old = pod["status"]["conditions"].clone();
                    set_condition(
                        &mut pod["status"],
                        "PodScheduled",
                        ("False", "Unschedulable", why.clone()),
                    );
                    is_news = old != pod["status"]["conditions"];
                };
                self.cluster.write_pod(place, &self.uid, refuse);
                if is_news {
                    event::record(&self.cluster, &self.pod, "default-scheduler", "FailedScheduling", &why);
                }
                false
            }
        }
    }

    async fn mount(&mut self, now: Instant) -> bool {
        if self.retry.is_some_and(|at| at > now) {
            return false;
        }
        let made = match self.create_volumes() {
            Ok(()) => {
                let name = name_of(&self.pod).1;
                self.engine.open_pod(&name).await.map_err(|why| ("FailedCreatePodSandBox", why))
            }
            Err(why) => Err(("FailedMount", why)),
        };
        match made {
            Ok(sandbox) => {
                self.retry = None;
                self.context.ip.clone_from(&sandbox.ip);
                self.sandbox = sandbox;
                true
            }
            Err((reason, why)) => {
                self.volumes = None;
                self.event(reason, &why);
                self.retry = Some(now + self.cluster.config.backoff / 10);
                false
            }
        }
    }

    fn create_volumes(&mut self) -> Result<(), String> {
        let namespace = name_of(&self.pod).0;
        let account = self.pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        let token = self.cluster.issue_token(&namespace, account);
        self.volumes = Some(volume::create_all(&self.cluster, &self.pod, &self.folder, &token)?);
        // for programs that do not look for a service account at its usual path
        let config = self.cluster.kubeconfig(self.engine.host(), &token, &namespace);
        std::fs::create_dir_all(&self.folder).map_err(|why| why.to_string())?;
        std::fs::write(self.folder.join("kubeconfig"), config).map_err(|why| why.to_string())
    }

    fn start_next_containers(&mut self, now: Instant) {
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            let is_due = slot.not_before.is_none_or(|time| time <= now);
            let is_startable = !slot.is_running() && !slot.is_starting && !slot.is_done(&self.context);
            if is_startable && is_due {
                let is_sidecar_at_end = slot.role == Role::Sidecar && self.is_main_done();
                // a completed init container does not run again
                let is_passed = slot.role == Role::Init && slot.code() == Some(0);
                if !is_sidecar_at_end && !is_passed {
                    self.start(at);
                }
            }
            if !self.slots[at].unblocks_next() && !self.has_begun() {
                return;
            }
        }
        if self.is_main_done() {
            for slot in self.slots.iter().filter(|slot| slot.role == Role::Sidecar && slot.is_running()) {
                if let (None, Some(stopper)) = (self.kill_at, &slot.stopper) {
                    self.event("Killing", &format!("Stopping container {}", slot.name));
                    stopper.signal(Signal::TERM);
                }
            }
            if self.kill_at.is_none() {
                let grace = self.pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
                self.kill_at = Some(now + Duration::from_secs(grace));
            }
        }
    }

    fn has_begun(&self) -> bool {
        let is_main = |slot: &&Slot| slot.role == Role::Main;
        self.slots
            .iter()
            .filter(is_main)
            .any(|slot| slot.is_starting || slot.is_running() || slot.code().is_some())
    }

    fn is_main_done(&self) -> bool {
        self.slots.iter().filter(|slot| slot.role == Role::Main).all(|slot| slot.is_done(&self.context))
    }

    /// Writes the status, unless the node is lost.
    fn report(&self) {
        if !self.is_placed || self.cluster.switches().is_node_lost {
            return;
        }
        let (namespace, name) = name_of(&self.pod);
        self.cluster.write_pod((&namespace, &name), &self.uid, |pod| {
            pod["status"] = status(&pod["status"], &self.slots, &self.context);
            pod["status"]["observedGeneration"] = pod["metadata"]["generation"].clone();
        });
    }

    pub(super) fn event(&self, reason: &str, message: &str) {
        event::record(&self.cluster, &self.pod, "kubelet", reason, message);
    }
}
