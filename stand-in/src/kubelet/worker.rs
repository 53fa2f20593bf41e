//! One pod from its creation to its end: placed, mounted, its containers started, ended and reported.
//!
//! Every input is followed by one `advance`, which looks at what is and does what is next; so it does not matter in
//! which order things happen.

use super::engine::Engine;
use super::order::{Exit, Sandbox, Started};
use super::pod_state::{End, Role, Slot, State, Surroundings, phase, set_condition, status};
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

/// How long a pod has to end that is gone from the server already.
const GRACE_OF_THE_GONE: i64 = 2;

/// What becomes of a container's start, and how it ends.
#[derive(Debug)]
pub(super) enum Input {
    /// A container started, or did not.
    Started { slot: usize, result: Started },
    /// A container ended.
    Ended { slot: usize, exit: Exit },
}

/// The one who looks after a pod.
pub(super) struct Worker {
    pub(super) cluster: Arc<Cluster>,
    pub(super) engine: Arc<Engine>,
    pub(super) folder: PathBuf,
    pub(super) pod: Arc<Value>,
    pub(super) uid: String,
    pub(super) slots: Vec<Slot>,
    pub(super) around: Surroundings,
    is_placed: bool,
    pub(super) volumes: Option<BTreeMap<String, PathBuf>>,
    pub(super) sandbox: Sandbox,
    /// When what could not be done is tried again.
    retry: Option<Instant>,
    deadline: Option<Instant>,
    kill_at: Option<Instant>,
    pub(super) is_killed: bool,
    /// Its object is to go when it has ended.
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
            around: Surroundings { restart_policy, ..Surroundings::default() },
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

    /// Looks after the pod until it has ended.
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<PodOrder>) {
        let mut is_gone = false;
        loop {
            self.changes.borrow_and_update();
            self.advance().await;
            self.report();
            if std::mem::take(&mut self.around.is_phase_late) {
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
                // until it is placed, the end of any other pod may make room
                _ = self.changes.changed(), if !self.is_placed && !self.around.is_ending => {}
                () = sleep_until(timer) => {}
            }
        }
        if self.is_deleted && !self.cluster.switches().is_node_lost {
            self.lose_what_never_ran();
            self.report();
            let (namespace, name) = name_of(&self.pod);
            self.cluster.finish_pod(&namespace, &name, &self.uid);
        }
        self.engine.close_pod(&self.sandbox).await;
        // what a container still holds goes with the stand-in's folder
        std::fs::remove_dir_all(&self.folder).ok();
    }

    fn is_over(&self) -> bool {
        let is_idle = self.slots.iter().all(|slot| !slot.is_running() && !slot.is_starting);
        let is_silenced = self.cluster.switches().is_node_lost;
        if !is_idle || is_silenced {
            return false;
        }
        self.around.is_ending || matches!(phase(&self.slots, &self.around), "Succeeded" | "Failed")
    }

    fn timer(&self) -> Instant {
        let starts = self.slots.iter().filter_map(|slot| slot.not_before);
        let kill = self.kill_at.filter(|_| !self.is_killed);
        let others = [self.retry, self.deadline.filter(|_| !self.around.is_ending), kill];
        let far = Instant::now() + Duration::from_hours(1);
        starts.filter(|_| !self.around.is_ending).chain(others.into_iter().flatten()).min().unwrap_or(far)
    }

    fn obey(&mut self, order: PodOrder) {
        match order {
            PodOrder::Delete { grace } => {
                self.is_deleted = true;
                self.end_within(grace);
            }
            PodOrder::Gone => {
                self.end_within(GRACE_OF_THE_GONE);
                self.kill_within(GRACE_OF_THE_GONE);
            }
            PodOrder::Evict { message } => {
                self.event("Evicted", &message);
                self.around.verdict = Some(("Evicted".to_owned(), message));
                self.end_within(1);
            }
            PodOrder::Report => {}
            PodOrder::RenewToken => {
                // what could be made once can be made again
                self.make_volumes().ok();
            }
        }
    }

    /// Stops everything within a grace. Only the first call counts: a kubelet that has begun to stop a container ignores a
    /// shorter grace that a second deletion gives.
    fn end_within(&mut self, grace: i64) {
        if self.around.is_ending {
            return;
        }
        self.kill_within(grace);
        self.around.is_ending = true;
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

    /// A deletion makes the kubelet forget why a container waited.
    fn forget_waiting_reasons(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.has_never_run()) {
            let reason = "ContainerCreating".to_owned();
            slot.state = State::Waiting { reason, message: String::new() };
        }
    }

    /// A deleted container that never ran ends as one that cannot be found.
    fn lose_what_never_ran(&mut self) {
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
        if self.around.is_ending {
            return;
        }
        if !self.is_placed && !self.place() {
            return;
        }
        if self.deadline.is_some_and(|at| at <= now) {
            let message = "Pod was active on the node longer than the specified deadline";
            self.event("DeadlineExceeded", message);
            self.around.verdict = Some(("DeadlineExceeded".to_owned(), message.to_owned()));
            let grace = self.pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
            return self.end_within(grace);
        }
        if self.volumes.is_none() && !self.mount(now).await {
            return;
        }
        self.start_what_is_next(now);
    }

    /// Finds a node, or says why there is none.
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
                self.around.started = now();
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
        let made = match self.make_volumes() {
            Ok(()) => {
                let name = name_of(&self.pod).1;
                self.engine.open_pod(&name).await.map_err(|why| ("FailedCreatePodSandBox", why))
            }
            Err(why) => Err(("FailedMount", why)),
        };
        match made {
            Ok(sandbox) => {
                self.retry = None;
                self.around.ip.clone_from(&sandbox.ip);
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

    fn make_volumes(&mut self) -> Result<(), String> {
        let namespace = name_of(&self.pod).0;
        let account = self.pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        let token = self.cluster.issue_token(&namespace, account);
        self.volumes = Some(volume::make_all(&self.cluster, &self.pod, &self.folder, &token)?);
        // for programs that look for no service account at its usual place
        let config = self.cluster.kubeconfig(self.engine.host(), &token, &namespace);
        std::fs::create_dir_all(&self.folder).map_err(|why| why.to_string())?;
        std::fs::write(self.folder.join("kubeconfig"), config).map_err(|why| why.to_string())
    }

    fn start_what_is_next(&mut self, now: Instant) {
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            let is_due = slot.not_before.is_none_or(|time| time <= now);
            let is_startable = !slot.is_running() && !slot.is_starting && !slot.is_done(&self.around);
            if is_startable && is_due {
                let is_sidecar_at_end = slot.role == Role::Sidecar && self.is_main_done();
                // a first init container that is done is not run again
                let is_passed = slot.role == Role::Init && slot.code() == Some(0);
                if !is_sidecar_at_end && !is_passed {
                    self.start(at);
                }
            }
            if !self.slots[at].lets_go_on() && !self.has_begun() {
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
        self.slots.iter().filter(|slot| slot.role == Role::Main).all(|slot| slot.is_done(&self.around))
    }

    /// Writes the status, if the node can.
    fn report(&self) {
        if !self.is_placed || self.cluster.switches().is_node_lost {
            return;
        }
        let (namespace, name) = name_of(&self.pod);
        self.cluster.write_pod((&namespace, &name), &self.uid, |pod| {
            pod["status"] = status(&pod["status"], &self.slots, &self.around);
            pod["status"]["observedGeneration"] = pod["metadata"]["generation"].clone();
        });
    }

    pub(super) fn event(&self, reason: &str, message: &str) {
        event::record(&self.cluster, &self.pod, "kubelet", reason, message);
    }
}
