//! What a pod's status says: whether it waits and for what, runs, or how it has ended. Pure.

use super::failure::platform;
use super::manifest::MAIN;
use crate::followed::exit_of;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use pop_registry::contract::{Blame, Exit, Failure};

/// The reasons of pods that their node, or the cluster, did not want or could not keep.
const TAKEN_AWAY: [&str; 11] = [
    "Evicted",
    "Preempting",
    "NodeShutdown",
    "NodeLost",
    "Shutdown",
    "Terminated",
    "OutOfcpu",
    "OutOfmemory",
    "OutOfpods",
    "NodeAffinity",
    "UnexpectedAdmissionError",
];

/// Where a pod is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sight {
    /// Its program has not been started, for this reason if one is known.
    Waiting(Option<Waiting>),
    /// Its program runs.
    Running,
    /// Its program has ended, or the pod will never start it.
    Ended(Result<Exit, Failure>),
}

/// What a pod waits for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Waiting {
    /// The code of the failure that this becomes when it has lasted too long.
    pub(super) code: &'static str,
    /// The reason and the words of the cluster.
    pub(super) message: String,
    /// Whether waiting longer is no use.
    pub(super) is_final: bool,
}

/// What is seen of a pod.
pub(super) fn sight(pod: &Pod) -> Sight {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let main = status.container_statuses.iter().flatten().find(|container| container.name == MAIN);
    let ended = main.and_then(|main| main.state.as_ref()?.terminated.as_ref());
    if let Some(ended) = ended {
        return Sight::Ended(exit(pod, status, ended));
    }
    if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        return Sight::Ended(Err(over(status)));
    }
    if main.is_some_and(|main| main.state.as_ref().is_some_and(|state| state.running.is_some())) {
        return Sight::Running;
    }
    Sight::Waiting(waiting(status))
}

/// How a program ended, by what its container and its pod say.
fn exit(pod: &Pod, status: &PodStatus, ended: &ContainerStateTerminated) -> Result<Exit, Failure> {
    let reason = ended.reason.as_deref().unwrap_or_default();
    let signal = ended.signal.filter(|signal| *signal > 0);
    let exit = signal.map_or_else(|| exit_of(ended.exit_code), Exit::Signal);
    if ended.exit_code == 0 {
        return Ok(exit);
    }
    let with_exit = |mut failure: Failure| {
        failure.exit = Some(exit);
        Err(failure)
    };
    if reason == "OOMKilled" {
        return with_exit(platform(
            "oom",
            format!("ended with {exit}: its container's memory ran out (OOMKilled)"),
        ));
    }
    if matches!(reason, "StartError" | "ContainerCannotRun" | "RunContainerError") {
        let message = ended.message.as_deref().unwrap_or("no reason was given");
        return Err(Failure::new(
            Blame::Handler,
            "spawn",
            format!("its program could not be started: {}", message.trim()),
        ));
    }
    if let Some(taken) = taken_away(status) {
        return with_exit(taken);
    }
    if matches!(reason, "ContainerStatusUnknown" | "Unknown") {
        return with_exit(platform("displaced", "its node lost sight of its container"));
    }
    // a program that is told to stop may end as it likes
    if pod.metadata.deletion_timestamp.is_some() {
        return with_exit(platform("displaced", format!("ended with {exit}: its pod was deleted")));
    }
    Ok(exit)
}

/// Why a pod is over although its program never ended.
fn over(status: &PodStatus) -> Failure {
    taken_away(status).unwrap_or_else(|| {
        let reason = status.reason.as_deref().unwrap_or("no reason was given");
        let message = status.message.as_deref().map(|words| format!(": {words}")).unwrap_or_default();
        let code = if reason == "DeadlineExceeded" { "timeout" } else { "pod-failed" };
        platform(code, format!("its pod is over ({reason}{message})"))
    })
}

/// The platform's own reasons to end a pod: its node was needed, or went away.
fn taken_away(status: &PodStatus) -> Option<Failure> {
    let reason = status.reason.as_deref().unwrap_or_default();
    let words = |text: Option<&String>| text.map(|text| format!(": {}", text.trim())).unwrap_or_default();
    if TAKEN_AWAY.contains(&reason) {
        let message = words(status.message.as_ref());
        return Some(platform("displaced", format!("its pod was taken away ({reason}{message})")));
    }
    let disrupted = status.conditions.iter().flatten();
    let mut disrupted =
        disrupted.filter(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    disrupted.next_back().map(|condition| {
        let reason = condition.reason.as_deref().unwrap_or("DisruptionTarget");
        let message = words(condition.message.as_ref());
        platform("displaced", format!("its pod was taken away ({reason}{message})"))
    })
}

/// What a pod waits for, as far as its status says.
fn waiting(status: &PodStatus) -> Option<Waiting> {
    let containers = status.init_container_statuses.iter().flatten();
    let mut containers = containers.chain(status.container_statuses.iter().flatten());
    containers.find_map(of_container).or_else(|| unscheduled(status))
}

fn of_container(container: &ContainerStatus) -> Option<Waiting> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    let (code, is_final) = match reason {
        "ErrImagePull" | "ImagePullBackOff" | "ImageInspectError" | "RegistryUnavailable" => {
            ("image-pull", false)
        }
        "InvalidImageName" => ("image-name", true),
        "ErrImageNeverPull" => ("image-not-found", true),
        "CreateContainerConfigError" => ("container-config", false),
        "CreateContainerError" | "RunContainerError" | "PostStartHookError" => ("container", false),
        _ => return None,
    };
    Some(Waiting { code, message: format!("{reason}: {}", message.trim()), is_final })
}

fn unscheduled(status: &PodStatus) -> Option<Waiting> {
    let scheduled = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled")?;
    let reason = scheduled.reason.as_deref().filter(|_| scheduled.status == "False")?;
    let message = scheduled.message.as_deref().unwrap_or_default();
    let code = if reason == "Unschedulable" { "unschedulable" } else { "pending" };
    Some(Waiting { code, message: format!("{reason}: {}", message.trim()), is_final: false })
}

/// What the events of a pod say that it waits for; the last of them with a reason that has a name.
pub(super) fn of_event(reason: &str, message: &str) -> Option<Waiting> {
    let code = match reason {
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => "mount",
        "FailedScheduling" => "unschedulable",
        "FailedCreatePodSandBox" | "NetworkNotReady" => "pod-sandbox",
        "Failed" | "BackOff" | "InspectFailed" => "image-pull",
        _ => return None,
    };
    Some(Waiting { code, message: format!("{reason}: {}", message.trim()), is_final: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn seen(status: &Value) -> Sight {
        sight(&serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap())
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is written where it is used")]
    fn main(state: Value) -> Value {
        json!([{"name": "proxy", "state": {"running": {}}, "image": "", "imageID": "", "ready": true, "restartCount": 0},
               {"name": "handler", "state": state, "image": "", "imageID": "", "ready": false, "restartCount": 0}])
    }

    #[test]
    fn f65_the_main_container_alone_decides() {
        let ended = |code| {
            seen(
                &json!({"phase": "Running", "containerStatuses": main(json!({"terminated": {"exitCode": code}}))}),
            )
        };
        assert_eq!(ended(0), Sight::Ended(Ok(Exit::Code(0))));
        assert_eq!(ended(3), Sight::Ended(Ok(Exit::Code(3))));
        assert_eq!(ended(139), Sight::Ended(Ok(Exit::Signal(11))));
        let running = json!({"phase": "Running", "containerStatuses": main(json!({"running": {}}))});
        assert_eq!(seen(&running), Sight::Running);
    }

    #[test]
    fn f63_a_pod_that_is_taken_away_is_no_failure_of_its_program() {
        let code = |status: Value| match seen(&status) {
            Sight::Ended(Err(failure)) => (failure.code.clone(), failure.message),
            other => (format!("{other:?}"), String::new()),
        };
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
        let (is, words) = code(evicted);
        assert_eq!(is, "displaced");
        assert_eq!(words, "its pod was taken away (Evicted: The node was low on resource: memory.)");
        let preempted = json!({"phase": "Failed", "containerStatuses": main(json!({"terminated": {"exitCode": 143}})),
            "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]});
        assert_eq!(code(preempted).0, "displaced");
        let deadline =
            json!({"phase": "Failed", "reason": "DeadlineExceeded", "message": "Pod was active too long"});
        assert_eq!(code(deadline).0, "timeout");
        let oom = json!({"phase": "Failed", "containerStatuses": main(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}))});
        assert_eq!(code(oom).0, "oom");
        let start = json!({"phase": "Failed", "containerStatuses": main(json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: no such file"}}))});
        assert_eq!(code(start).0, "spawn");
    }

    #[test]
    fn f64_what_a_pod_waits_for_has_a_name() {
        let waits = |status: Value| match seen(&status) {
            Sight::Waiting(Some(waiting)) => (waiting.code, waiting.is_final),
            other => panic!("{other:?}"),
        };
        let container = |reason: &str| json!({"phase": "Pending", "containerStatuses": main(json!({"waiting": {"reason": reason, "message": "m"}}))});
        for (reason, wanted) in [
            ("ErrImagePull", ("image-pull", false)),
            ("ImagePullBackOff", ("image-pull", false)),
            ("InvalidImageName", ("image-name", true)),
            ("ErrImageNeverPull", ("image-not-found", true)),
            ("CreateContainerConfigError", ("container-config", false)),
        ] {
            assert_eq!(waits(container(reason)), wanted, "{reason}");
        }
        let unscheduled = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]});
        assert_eq!(waits(unscheduled), ("unschedulable", false));
        assert_eq!(seen(&container("ContainerCreating")), Sight::Waiting(None));
        assert_eq!(of_event("FailedMount", "no config map").map(|waiting| waiting.code), Some("mount"));
        assert_eq!(of_event("Pulled", ""), None);
    }
}
