//! The state of a pod's containers, and the pod status computed from it. Pure, except for the time of conditions.

use super::order::{Exit, Stopper};
use crate::cluster::now;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The role of a container in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Ends before the next one starts.
    Init,
    /// Starts before the next one, and ends after the main ones.
    Sidecar,
    Main,
}

/// The state of a container.
#[derive(Debug, Clone)]
pub(super) enum State {
    Waiting { reason: String, message: String },
    Running { since: String },
    Ended(End),
}

/// How a run of a container ended.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) exit: Exit,
    pub(super) reason: &'static str,
    pub(super) since: String,
    pub(super) at: String,
    pub(super) id: String,
}

/// One container of a pod.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) spec: Value,
    pub(super) state: State,
    pub(super) last: Option<End>,
    pub(super) restarts: u32,
    /// Whether a start is in progress.
    pub(super) is_starting: bool,
    /// Earliest time of the next start.
    pub(super) not_before: Option<Instant>,
    /// Number of consecutive failed starts.
    pub(super) failures: u32,
    pub(super) id: String,
    pub(super) image_id: String,
    pub(super) stopper: Option<Stopper>,
}

/// The state of a pod besides its containers.
#[derive(Debug, Clone, Default)]
pub(super) struct PodContext {
    pub(super) ip: String,
    pub(super) started: String,
    /// Reason and message of a failure of the whole pod.
    pub(super) failure: Option<(String, String)>,
    pub(super) restart_policy: String,
    /// Whether the pod is ending; then no container starts again.
    pub(super) is_ending: bool,
    /// Whether the next status has a container's end with the earlier phase, as after an out-of-memory kill.
    pub(super) is_phase_late: bool,
}

impl Slot {
    pub(super) fn all(spec: &Value) -> Vec<Self> {
        let has_init = spec["initContainers"].as_array().is_some_and(|list| !list.is_empty());
        let mut slots = Vec::new();
        for list in ["initContainers", "containers"] {
            for container in spec[list].as_array().into_iter().flatten() {
                let role = match list {
                    "containers" => Role::Main,
                    _ if container["restartPolicy"] == "Always" => Role::Sidecar,
                    _ => Role::Init,
                };
                let waits = if has_init { "PodInitializing" } else { "ContainerCreating" };
                slots.push(Self {
                    name: container["name"].as_str().unwrap_or_default().to_owned(),
                    role,
                    spec: container.clone(),
                    state: State::Waiting { reason: waits.to_owned(), message: String::new() },
                    last: None,
                    restarts: 0,
                    is_starting: false,
                    not_before: None,
                    failures: 0,
                    id: String::new(),
                    image_id: String::new(),
                    stopper: None,
                });
            }
        }
        slots
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether it never had a process.
    pub(super) fn has_never_run(&self) -> bool {
        self.last.is_none() && matches!(self.state, State::Waiting { .. })
    }

    pub(super) fn code(&self) -> Option<i64> {
        match &self.state {
            State::Ended(end) => Some(end.exit.code),
            _ => None,
        }
    }

    /// Whether it has ended and will not restart.
    pub(super) fn is_done(&self, context: &PodContext) -> bool {
        let Some(code) = self.code() else { return false };
        let restarts = match (self.role, context.restart_policy.as_str()) {
            (Role::Sidecar, _) | (Role::Main, "Always") => true,
            (Role::Init, "Always" | "OnFailure") | (Role::Main, "OnFailure") => code != 0,
            _ => false,
        };
        context.is_ending || !restarts
    }

    /// Whether the next container may start.
    pub(super) fn unblocks_next(&self) -> bool {
        match self.role {
            Role::Init => self.code() == Some(0),
            Role::Sidecar => self.is_running(),
            Role::Main => true,
        }
    }

    fn status(&self) -> Value {
        let shown = |state: &State| match state {
            State::Waiting { reason, message } if message.is_empty() => {
                json!({"waiting": {"reason": reason}})
            }
            State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
            State::Running { since } => json!({"running": {"startedAt": since}}),
            State::Ended(end) => json!({"terminated": end.shown()}),
        };
        let last = self.last.as_ref().map_or_else(|| json!({}), |end| json!({"terminated": end.shown()}));
        let is_ready = match self.role {
            Role::Init => self.code() == Some(0),
            _ => self.is_running(),
        };
        let mut status = json!({
            "name": self.name, "image": self.spec["image"], "imageID": self.image_id, "ready": is_ready,
            "started": self.is_running(), "restartCount": self.restarts, "state": shown(&self.state), "lastState": last,
        });
        if !self.id.is_empty() {
            status["containerID"] = self.id.as_str().into();
        }
        status
    }
}

impl End {
    fn shown(&self) -> Value {
        let time = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        let mut shown = json!({
            "exitCode": self.exit.code, "reason": self.reason,
            "startedAt": time(&self.since), "finishedAt": time(&self.at),
        });
        if !self.id.is_empty() {
            shown["containerID"] = self.id.as_str().into();
        }
        if !self.exit.message.is_empty() {
            shown["message"] = self.exit.message.as_str().into();
        }
        shown
    }
}

/// The phase of a pod, by the kubelet's rules.
pub(super) fn phase(slots: &[Slot], context: &PodContext) -> &'static str {
    let mains = || slots.iter().filter(|slot| slot.role == Role::Main);
    let is_all_ended = slots.iter().all(|slot| !slot.is_running() && !slot.is_starting);
    if context.is_phase_late {
        return "Running";
    }
    if context.failure.is_some() && is_all_ended {
        return "Failed";
    }
    let inits = || slots.iter().filter(|slot| slot.role != Role::Main);
    let has_failed_init = inits().any(|slot| {
        slot.role == Role::Init && slot.is_done(context) && slot.code().is_some_and(|code| code != 0)
    });
    if has_failed_init && is_all_ended {
        return "Failed";
    }
    let has_begun = mains().any(|slot| slot.is_running() || slot.code().is_some() || slot.last.is_some());
    if !has_begun && !inits().all(Slot::unblocks_next) {
        return "Pending";
    }
    let waits = mains().any(|slot| matches!(slot.state, State::Waiting { .. }) && slot.last.is_none());
    if waits {
        return "Pending";
    }
    if mains().all(|slot| slot.is_done(context)) {
        if !is_all_ended {
            return "Running";
        }
        return if mains().all(|slot| slot.code() == Some(0)) { "Succeeded" } else { "Failed" };
    }
    "Running"
}

/// The new status: keeps earlier times and the conditions of other writers.
pub(super) fn status(old: &Value, slots: &[Slot], context: &PodContext) -> Value {
    let phase = phase(slots, context);
    let mut status = old.clone();
    status["phase"] = phase.into();
    status["hostIP"] = "127.0.0.1".into();
    status["hostIPs"] = json!([{"ip": "127.0.0.1"}]);
    status["startTime"] = context.started.as_str().into();
    if !context.ip.is_empty() {
        status["podIP"] = context.ip.as_str().into();
        status["podIPs"] = json!([{"ip": context.ip}]);
    }
    let list = |is_main: bool| -> Vec<Value> {
        slots.iter().filter(|slot| (slot.role == Role::Main) == is_main).map(Slot::status).collect()
    };
    status["containerStatuses"] = list(true).into();
    if slots.iter().any(|slot| slot.role != Role::Main) {
        status["initContainerStatuses"] = list(false).into();
    }
    let unready: Vec<_> = slots
        .iter()
        .filter(|slot| slot.role == Role::Main && !slot.is_running())
        .map(|slot| slot.name.as_str())
        .collect();
    let is_initialized = slots.iter().filter(|slot| slot.role != Role::Main).all(Slot::unblocks_next)
        || slots.iter().any(|slot| slot.role == Role::Main && (slot.is_running() || slot.code().is_some()));
    let ready = match phase {
        "Succeeded" => ("False", "PodCompleted", String::new()),
        "Failed" => ("False", "PodFailed", String::new()),
        _ if unready.is_empty() => ("True", "", String::new()),
        _ => (
            "False",
            "ContainersNotReady",
            format!("containers with unready status: [{}]", unready.join(" ")),
        ),
    };
    let initialized = match (is_initialized, phase) {
        (true, "Succeeded") => ("True", "PodCompleted", String::new()),
        (true, _) => ("True", "", String::new()),
        (false, _) => ("False", "ContainersNotInitialized", "containers with incomplete status".to_owned()),
    };
    let sandbox =
        if matches!(phase, "Succeeded" | "Failed") || context.ip.is_empty() { "False" } else { "True" };
    set_condition(&mut status, "PodReadyToStartContainers", (sandbox, "", String::new()));
    set_condition(&mut status, "Initialized", initialized);
    set_condition(&mut status, "Ready", ready.clone());
    set_condition(&mut status, "ContainersReady", ready);
    set_condition(&mut status, "PodScheduled", ("True", "", String::new()));
    let (reason, message) = context.failure.clone().unwrap_or_default();
    for (field, text) in [("reason", reason), ("message", message)] {
        if !text.is_empty() {
            status[field] = text.into();
        } else if let Some(fields) = status.as_object_mut() {
            fields.remove(field);
        }
    }
    status
}

/// Sets a condition; `lastTransitionTime` changes only with its status.
pub(super) fn set_condition(status: &mut Value, name: &str, (value, reason, message): (&str, &str, String)) {
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let mut condition =
        json!({"type": name, "status": value, "lastProbeTime": null, "lastTransitionTime": now()});
    for (field, text) in [("reason", reason), ("message", &message)] {
        if !text.is_empty() {
            condition[field] = text.into();
        }
    }
    match conditions.iter_mut().find(|old| old["type"] == name) {
        Some(old) => {
            if old["status"] == value {
                condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
    status["conditions"] = conditions.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(role: Role, state: &str) -> Slot {
        let list = if role == Role::Main { "containers" } else { "initContainers" };
        let mut slot = Slot::all(&json!({list: [{"name": "c"}]})).remove(0);
        slot.role = role;
        slot.state = match state.strip_prefix("exit ") {
            Some(code) => {
                let exit =
                    Exit { code: code.parse().unwrap(), is_out_of_memory: false, message: String::new() };
                State::Ended(End {
                    exit,
                    reason: "",
                    since: String::new(),
                    at: String::new(),
                    id: String::new(),
                })
            }
            None if state == "running" => State::Running { since: String::new() },
            None => slot.state,
        };
        slot
    }

    #[test]
    fn the_phase_follows_from_containers_and_policy() {
        use Role::{Init, Main, Sidecar};
        for (policy, slots, expected) in [
            ("Never", vec![(Main, "waiting")], "Pending"),
            ("Never", vec![(Main, "running")], "Running"),
            ("Never", vec![(Main, "exit 0")], "Succeeded"),
            ("Never", vec![(Main, "exit 3")], "Failed"),
            ("OnFailure", vec![(Main, "exit 3")], "Running"),
            ("OnFailure", vec![(Main, "exit 0")], "Succeeded"),
            ("Always", vec![(Main, "exit 0")], "Running"),
            ("Never", vec![(Main, "exit 0"), (Main, "running")], "Running"),
            ("Never", vec![(Main, "exit 0"), (Main, "exit 1")], "Failed"),
            ("Never", vec![(Main, "waiting"), (Main, "running")], "Pending"),
            ("Never", vec![(Init, "running"), (Main, "waiting")], "Pending"),
            ("Never", vec![(Init, "exit 1"), (Main, "waiting")], "Failed"),
            ("OnFailure", vec![(Init, "exit 1"), (Main, "waiting")], "Pending"),
            ("Never", vec![(Sidecar, "running"), (Main, "exit 0")], "Running"),
            ("Never", vec![(Sidecar, "exit 137"), (Main, "exit 0")], "Succeeded"),
        ] {
            let slots: Vec<_> = slots.into_iter().map(|(role, state)| slot(role, state)).collect();
            let context = PodContext { restart_policy: policy.to_owned(), ..PodContext::default() };
            let states: Vec<_> = slots.iter().map(|slot| (slot.role, &slot.state)).collect();
            assert_eq!(phase(&slots, &context), expected, "{policy} {states:?}");
        }
    }

    #[test]
    fn a_condition_keeps_its_time_and_other_conditions_stay() {
        let mut status = json!({"conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "then"}, {"type": "DisruptionTarget"},
        ]});
        set_condition(&mut status, "Ready", ("True", "", String::new()));
        assert_eq!(status["conditions"][0]["lastTransitionTime"], "then");
        set_condition(&mut status, "Ready", ("False", "R", String::new()));
        assert_ne!(status["conditions"][0]["lastTransitionTime"], "then");
        assert_eq!(status["conditions"][1]["type"], "DisruptionTarget");
    }
}
