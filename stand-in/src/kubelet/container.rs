//! Start, failed start and end of one container of a pod.

use super::engine::Engine;
use super::order::{ContainerOrder, Exit, Mount, StartFailure, StartResult};
use super::pod_state::{End, State};
use super::worker::{Input, Worker};
use super::{environment, volume};
use crate::cluster::now;
use crate::quantity;
use crate::store::name_of;
use crate::validate::as_text;
use rustix::process::Signal;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The longest back-off before a restart.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// The end of the log that becomes the termination message: lines and bytes.
const MESSAGE_LINES: usize = 80;
const MESSAGE_BYTES: usize = 2048;

impl Worker {
    pub(super) fn start(&mut self, at: usize) {
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
                let order = order.map_err(|message| StartFailure::Waiting {
                    reason: "CreateContainerConfigError",
                    message,
                })?;
                engine.check_image(&order, &cluster.config.unreachable_images).await?;
                let log = cluster.logs.open(&uid, &name);
                let started = engine.start(order, Arc::clone(&log)).await;
                if started.is_err() {
                    log.close();
                }
                Ok((started?, log))
            };
            let (running, log) = match result.await {
                Ok(running) => running,
                // the worker may have ended, here and below
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

    fn order(&self, at: usize) -> Result<ContainerOrder, String> {
        let slot = &self.slots[at];
        let texts = |field: &str| slot.spec[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut variables = environment::variables(
            &self.cluster,
            &self.pod,
            &slot.spec,
            &self.context.ip,
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
        Ok(ContainerOrder {
            image: slot.spec["image"].as_str().unwrap_or_default().to_owned(),
            pull_policy: slot.spec["imagePullPolicy"].as_str().unwrap_or_default().to_owned(),
            command,
            arguments,
            variables,
            working_folder: slot.spec["workingDir"].as_str().map(str::to_owned),
            mounts,
            user,
            is_privileged: security("privileged") == true,
            shares_processes: self.pod["spec"]["shareProcessNamespace"] == true,
            cpu: limit("cpu"),
            memory: limit("memory"),
            sandbox: self.sandbox.id.clone(),
            folder,
        })
    }

    pub(super) fn started(&mut self, at: usize, result: StartResult) {
        let base = self.cluster.config.backoff;
        let name = self.slots[at].name.clone();
        let slot = &mut self.slots[at];
        slot.is_starting = false;
        match result {
            Ok((id, image_id, stopper)) => {
                if self.context.is_ending {
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
            Err(StartFailure::Waiting { reason, message }) => {
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
                let event = match reason {
                    "ErrImagePull" => format!("Failed to pull image {image:?}: {message}"),
                    "CreateContainerConfigError" => format!("Error: {message}"),
                    _ => message,
                };
                let event_reason = match reason {
                    "InvalidImageName" => "InspectFailed",
                    "ErrImageNeverPull" => "ErrImageNeverPull",
                    _ => "Failed",
                };
                self.event(event_reason, &event);
            }
            Err(StartFailure::Broken { message }) => {
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

    pub(super) fn ended(&mut self, at: usize, exit: Exit) {
        let slot = &mut self.slots[at];
        let State::Running { since } = &slot.state else { return };
        let reason = match exit.code {
            // with cgroups version 1 a shell outlives the killed process, and nothing shows the kill
            137 if exit.is_out_of_memory => "OOMKilled",
            0 => "Completed",
            _ => "Error",
        };
        slot.stopper = None;
        self.context.is_phase_late = reason == "OOMKilled";
        slot.state = State::Ended(End { reason, since: since.clone(), at: now(), id: slot.id.clone(), exit });
    }
}

fn backoff(base: Duration, times: u32) -> Duration {
    base.saturating_mul(1 << times.saturating_sub(1).min(10)).min(LONGEST_BACKOFF.max(base))
}
