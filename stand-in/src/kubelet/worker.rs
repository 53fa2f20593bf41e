//! One pod from its creation to its end: placed, mounted, its containers started, ended and reported.
//!
//! Every input is followed by one `advance`, which looks at what is and does what is next; so it does not matter in
//! which order things happen.

use super::Input;
use super::engine::{Engine, Exit, Mount, NotStarted, Order, Sandbox, Started};
use super::pod_state::{End, Role, Slot, State, Surroundings, phase, set_condition, status};
use super::{environment, event, schedule, volume};
use crate::cluster::{Cluster, now};
use crate::quantity;
use crate::store::name_of;
use crate::validate::as_text;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// The longest wait before a container is started again.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// How long a pod has to end that is gone from the server already.
const GRACE_OF_THE_GONE: i64 = 2;
/// What of the log's end becomes the termination message.
const MESSAGE_LINES: usize = 80;
const MESSAGE_BYTES: usize = 2048;

/// The one who looks after a pod.
pub(super) struct Worker {
    cluster: Arc<Cluster>,
    engine: Arc<Engine>,
    folder: PathBuf,
    pod: Arc<Value>,
    uid: String,
    slots: Vec<Slot>,
    around: Surroundings,
    is_placed: bool,
    volumes: Option<BTreeMap<String, PathBuf>>,
    sandbox: Sandbox,
    /// When what could not be done is tried again.
    retry: Option<Instant>,
    deadline: Option<Instant>,
    kill_at: Option<Instant>,
    is_killed: bool,
    /// Its object is to go when it has ended.
    is_deleted: bool,
    sender: mpsc::UnboundedSender<Input>,
    changes: watch::Receiver<u64>,
}

impl Worker {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        engine: &Arc<Engine>,
        folder: PathBuf,
        pod: &Arc<Value>,
        sender: mpsc::UnboundedSender<Input>,
    ) -> Self {
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
            changes: cluster.changes(),
        }
    }

    /// Looks after the pod until it has ended.
    pub(super) async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        loop {
            self.changes.borrow_and_update();
            self.advance().await;
            self.report();
            if self.is_over() {
                break;
            }
            let timer = self.timer();
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                // until it is placed, the end of any other pod may make room
                _ = self.changes.changed(), if !self.is_placed && !self.around.is_ending => {}
                () = sleep_until(timer) => {}
            }
        }
        if self.is_deleted && !self.cluster.switches().is_node_lost {
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

    fn take(&mut self, input: Input) {
        match input {
            Input::Delete { grace } => {
                self.is_deleted = true;
                self.end_within(grace);
            }
            Input::Gone => self.end_within(GRACE_OF_THE_GONE),
            Input::Evict { message } => {
                self.event("Evicted", &message);
                self.around.verdict = Some(("Evicted".to_owned(), message));
                self.end_within(1);
            }
            Input::Report => {}
            Input::RenewToken => {
                // what could be made once can be made again
                self.make_volumes().ok();
            }
            Input::Started { slot, result } => self.started(slot, result),
            Input::Ended { slot, exit } => self.ended(slot, exit),
        }
    }

    /// Asks everything to end, and sets when it is killed.
    fn end_within(&mut self, grace: i64) {
        let kill_at = Instant::now() + Duration::from_secs(grace.try_into().unwrap_or(0));
        self.kill_at = Some(self.kill_at.map_or(kill_at, |earlier| earlier.min(kill_at)));
        if self.around.is_ending {
            return;
        }
        self.around.is_ending = true;
        for slot in &self.slots {
            if let (true, Some(stopper)) = (slot.is_running(), &slot.stopper) {
                self.event("Killing", &format!("Stopping container {}", slot.name));
                stopper.signal(Signal::TERM);
            }
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

    fn start(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        if let State::Ended(end) = &slot.state {
            let policy = "CrashLoopBackOff";
            let wait = backoff(self.cluster.config.backoff, slot.restarts);
            if slot.not_before.is_none() && slot.restarts > 0 {
                let name = &slot.name;
                let (_, pod) = name_of(&self.pod);
                let message =
                    format!("back-off {}s restarting failed container={name} pod={pod}", wait.as_secs());
                slot.last = Some(end.clone());
                slot.state = State::Waiting { reason: policy.to_owned(), message };
                slot.not_before = Some(Instant::now() + wait);
                let message = format!("Back-off restarting failed container {name} in pod {pod}");
                return self.event("BackOff", &message);
            }
            slot.last = Some(end.clone());
        }
        slot.is_starting = true;
        slot.not_before = None;
        let order = self.order(at);
        let (engine, cluster, sender) =
            (Arc::clone(&self.engine), Arc::clone(&self.cluster), self.sender.clone());
        let (uid, name) = (self.uid.clone(), self.slots[at].name.clone());
        let falls_back = self.slots[at].spec["terminationMessagePolicy"] == "FallbackToLogsOnError";
        tokio::spawn(async move {
            let result = async {
                let order = order.map_err(|message| NotStarted::Waiting {
                    reason: "CreateContainerConfigError",
                    message,
                })?;
                engine.look_up(&order).await?;
                let log = cluster.logs.open(&uid, &name);
                let started = engine.start(order, Arc::clone(&log)).await;
                if started.is_err() {
                    log.close();
                }
                Ok((started?, log))
            };
            let (running, log) = match result.await {
                Ok(running) => running,
                // a worker that is gone needs to hear nothing, here and below
                Err(why) => return drop(sender.send(Input::Started { slot: at, result: Err(why) })),
            };
            let result = Ok((running.id, running.image_id, running.stopper));
            sender.send(Input::Started { slot: at, result }).ok();
            if let Ok(mut exit) = running.exit.await {
                if falls_back && exit.message.is_empty() && exit.code != 0 {
                    exit.message = log.tail(MESSAGE_LINES, MESSAGE_BYTES);
                }
                sender.send(Input::Ended { slot: at, exit }).ok();
            }
        });
    }

    fn order(&self, at: usize) -> Result<Order, String> {
        let slot = &self.slots[at];
        let texts = |field: &str| slot.spec[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut variables = environment::variables(
            &self.cluster,
            &self.pod,
            &slot.spec,
            &self.around.ip,
            self.engine.host(),
        )?;
        let expand = |text: &str| environment::expand(text, &variables);
        let (command, arguments) =
            (texts("command").map(expand).collect(), texts("args").map(expand).collect());
        if !variables.iter().any(|(name, _)| name == "KUBECONFIG")
            && matches!(*self.engine, Engine::Process(_))
        {
            let path = self.folder.join("kubeconfig").to_string_lossy().into_owned();
            variables.push(("KUBECONFIG".to_owned(), path));
        }
        let folder = self.folder.join("containers").join(&slot.name);
        let mut mounts =
            self.volumes.as_ref().map(|made| volume::mounts(&slot.spec, made)).unwrap_or_default();
        if let Some(path) = slot.spec["terminationMessagePath"].as_str() {
            let source = folder.join("termination-log");
            mounts.push(Mount { source, target: path.to_owned(), is_read_only: false });
        }
        let security = |field: &str| {
            let own = &slot.spec["securityContext"][field];
            if own.is_null() { self.pod["spec"]["securityContext"][field].clone() } else { own.clone() }
        };
        let user = security("runAsUser").as_i64().map(|user| {
            security("runAsGroup")
                .as_i64()
                .map_or_else(|| user.to_string(), |group| format!("{user}:{group}"))
        });
        let limit = |of: &str| quantity::parse(&as_text(&slot.spec["resources"]["limits"][of]));
        Ok(Order {
            image: slot.spec["image"].as_str().unwrap_or_default().to_owned(),
            pull_policy: slot.spec["imagePullPolicy"].as_str().unwrap_or_default().to_owned(),
            command,
            arguments,
            variables,
            working_folder: slot.spec["workingDir"].as_str().map(str::to_owned),
            mounts,
            user,
            is_privileged: security("privileged") == true,
            cpu: limit("cpu"),
            memory: limit("memory"),
            sandbox: self.sandbox.id.clone(),
            folder,
        })
    }

    fn started(&mut self, at: usize, result: Started) {
        let base = self.cluster.config.backoff;
        let name = self.slots[at].name.clone();
        let slot = &mut self.slots[at];
        slot.is_starting = false;
        match result {
            Ok((id, image_id, stopper)) => {
                if self.around.is_ending {
                    stopper.signal(if self.is_killed { Signal::KILL } else { Signal::TERM });
                }
                (slot.id, slot.image_id, slot.stopper) = (id, image_id, Some(stopper));
                slot.failures = 0;
                slot.restarts += u32::from(slot.last.is_some());
                slot.state = State::Running { since: now() };
                let image = slot.spec["image"].clone();
                self.event("Pulled", &format!("Container image {image} already present on machine"));
                self.event("Created", &format!("Created container: {name}"));
                self.event("Started", &format!("Started container {name}"));
            }
            Err(NotStarted::Waiting { reason, message }) => {
                let image = slot.spec["image"].as_str().unwrap_or_default().to_owned();
                let is_pull = reason == "ErrImagePull";
                let was_pull =
                    matches!(&slot.state, State::Waiting { reason, .. } if reason == "ErrImagePull");
                slot.failures += 1;
                if is_pull && was_pull {
                    let message = format!("Back-off pulling image {image:?}: ErrImagePull: {message}");
                    slot.state = State::Waiting { reason: "ImagePullBackOff".to_owned(), message };
                    slot.not_before = Some(Instant::now() + backoff(base, slot.failures / 2));
                    return self.event("BackOff", &format!("Back-off pulling image {image:?}"));
                }
                slot.state = State::Waiting { reason: reason.to_owned(), message: message.clone() };
                slot.not_before = Some(Instant::now() + base / 10);
                let told = match reason {
                    "ErrImagePull" => format!("Failed to pull image {image:?}: {message}"),
                    "CreateContainerConfigError" => format!("Error: {message}"),
                    _ => message,
                };
                let word = match reason {
                    "InvalidImageName" => "InspectFailed",
                    "ErrImageNeverPull" => "ErrImageNeverPull",
                    _ => "Failed",
                };
                self.event(word, &told);
            }
            Err(NotStarted::Broken { message }) => {
                self.event("Failed", &format!("Error: {message}"));
                let slot = &mut self.slots[at];
                slot.restarts += u32::from(slot.last.is_some());
                slot.image_id = slot.spec["image"].as_str().unwrap_or_default().to_owned();
                let exit = Exit { code: 128, is_out_of_memory: false, message };
                let since = "1970-01-01T00:00:00Z".to_owned();
                slot.state =
                    State::Ended(End { exit, reason: "StartError", since, at: now(), id: String::new() });
            }
        }
    }

    fn ended(&mut self, at: usize, exit: Exit) {
        let slot = &mut self.slots[at];
        let State::Running { since } = &slot.state else { return };
        let reason = match exit.code {
            _ if exit.is_out_of_memory => "OOMKilled",
            0 => "Completed",
            _ => "Error",
        };
        slot.stopper = None;
        slot.state = State::Ended(End { reason, since: since.clone(), at: now(), id: slot.id.clone(), exit });
    }

    /// Writes the status, if the node can.
    fn report(&self) {
        if !self.is_placed || self.cluster.switches().is_node_lost {
            return;
        }
        let (namespace, name) = name_of(&self.pod);
        self.cluster.write_pod((&namespace, &name), &self.uid, |pod| {
            pod["status"] = status(&pod["status"], &self.slots, &self.around);
        });
    }

    fn event(&self, reason: &str, message: &str) {
        event::record(&self.cluster, &self.pod, "kubelet", reason, message);
    }
}

fn backoff(base: Duration, times: u32) -> Duration {
    base.saturating_mul(1 << times.saturating_sub(1).min(10)).min(LONGEST_BACKOFF.max(base))
}
