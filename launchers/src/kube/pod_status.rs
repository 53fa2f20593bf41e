//! Reads a pod's status: the program waits (and why), runs, or has ended (and how). Pure.

use super::failure::platform;
use super::manifest::MAIN;
use super::wait_reason::{WaitReason, wait_reason};
use crate::active_launches::exit_of;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use k8s_openapi::jiff::SignedDuration;
use pop_contract::{Blame, Exit, Failure};

/// Reasons of pods that the node or the cluster rejected or could not keep.
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
/// Reasons of containers that the kubelet could not find.
const NOT_FOUND: [&str; 2] = ["ContainerStatusUnknown", "Unknown"];

/// The state of a pod.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PodState {
    /// The program has not started; with the reason, if known.
    Waiting(Option<WaitReason>),
    /// The program runs.
    Running,
    /// The program ended, or the pod will never start it.
    Ended(Result<Exit, Failure>),
    /// The kubelet did not find the container: the pod was deleted before the program ran, or the node lost the
    /// container.
    NotFound,
}

/// The state of a pod.
pub(super) fn state_of(pod: &Pod) -> PodState {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let main = status.container_statuses.iter().flatten().find(|container| container.name == MAIN);
    let ended = main.and_then(|main| main.state.as_ref()?.terminated.as_ref());
    if let Some(ended) = ended {
        let is_found = !NOT_FOUND.contains(&ended.reason.as_deref().unwrap_or_default());
        return match taken_away(status) {
            None if !is_found => PodState::NotFound,
            taken => PodState::Ended(exit(pod, status, ended, taken)),
        };
    }
    if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        return PodState::Ended(Err(over(status)));
    }
    if main.is_some_and(|main| main.state.as_ref().is_some_and(|state| state.running.is_some())) {
        return PodState::Running;
    }
    PodState::Waiting(wait_reason(pod, status))
}

/// Whether no container of the pod runs any more, or ever will.
pub(super) fn is_over(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let mut containers = status.container_statuses.iter().flatten();
    let is_ended = |container: &ContainerStatus| {
        container.state.as_ref().is_some_and(|state| state.terminated.is_some())
    };
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
        || (status.container_statuses.is_some() && containers.all(is_ended))
}

/// The failure of an exit with status 0 that may have come too early, since something other than pop stopped
/// the program.
pub(super) fn stopped_by_others(pod: &Pod) -> Option<Failure> {
    let status = pod.status.as_ref()?;
    if let Some(taken_away) = taken_away(status) {
        return Some(taken_away);
    }
    let containers = status.container_statuses.iter().flatten();
    let main = containers.into_iter().find(|container| container.name == MAIN)?;
    let finished = main.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0;
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
    let deletion = pod.metadata.deletion_timestamp.as_ref()?.0 - SignedDuration::from_secs(grace);
    (finished >= deletion).then(|| platform("displaced", "was stopped: its pod was deleted, but not by pop"))
}

/// How a program ended, from its container and its pod.
fn exit(
    pod: &Pod,
    status: &PodStatus,
    ended: &ContainerStateTerminated,
    taken_away: Option<Failure>,
) -> Result<Exit, Failure> {
    let reason = ended.reason.as_deref().unwrap_or_default();
    let signal = ended.signal.filter(|signal| *signal > 0);
    let exit = signal.map_or_else(|| exit_of(ended.exit_code), Exit::Signal);
    let with_exit = |mut failure: Failure| {
        failure.exit = Some(exit);
        Err(failure)
    };
    // a program that handles SIGTERM may exit with 0 although it was stopped
    if status.reason.as_deref() == Some("DeadlineExceeded") {
        return with_exit(over(status));
    }
    if ended.exit_code == 0 {
        return Ok(exit);
    }
    if reason == "OOMKilled" {
        return with_exit(platform(
            "oom",
            format!("ended with {exit}: its container's memory ran out (OOMKilled)"),
        ));
    }
    if matches!(reason, "StartError" | "ContainerCannotRun" | "RunContainerError") {
        let message = ended.message.as_deref().unwrap_or("no reason reported");
        return Err(Failure::new(
            Blame::Handler,
            "spawn",
            format!("its program could not be started: {}", message.trim()),
        ));
    }
    if let Some(taken_away) = taken_away {
        return with_exit(taken_away);
    }
    // the exit of a program that was asked to stop has no meaning
    if pod.metadata.deletion_timestamp.is_some() {
        return with_exit(platform("displaced", format!("ended with {exit}: its pod was deleted")));
    }
    Ok(exit)
}

/// The reason for the end of a pod whose program did not run to its end.
fn over(status: &PodStatus) -> Failure {
    taken_away(status).or_else(|| failed_init(status)).unwrap_or_else(|| {
        let reason = status.reason.as_deref().unwrap_or("no reason reported");
        let message = status.message.as_deref().map(|words| format!(": {words}")).unwrap_or_default();
        let code = if reason == "DeadlineExceeded" { "timeout" } else { "pod-failed" };
        platform(code, format!("its pod has ended ({reason}{message})"))
    })
}

/// The failed init container that prevented the start of the program. The cluster added it: pop creates none.
fn failed_init(status: &PodStatus) -> Option<Failure> {
    let inits = status.init_container_statuses.iter().flatten();
    inits.into_iter().find_map(|init| {
        let ended = init.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
        let reason = ended.reason.as_deref().unwrap_or("Error");
        let words = format!("its init container `{}` ended with {}", init.name, exit_of(ended.exit_code));
        Some(platform("pod-failed", format!("its program was not started: {words} ({reason})")))
    })
}

/// The platform's reasons to end a pod, for example an eviction or a lost node.
fn taken_away(status: &PodStatus) -> Option<Failure> {
    let reason = status.reason.as_deref().unwrap_or_default();
    let words = |text: Option<&String>| text.map(|text| format!(": {}", text.trim())).unwrap_or_default();
    if TAKEN_AWAY.contains(&reason) {
        let message = words(status.message.as_ref());
        return Some(platform(
            "displaced",
            format!("its pod was removed by the cluster ({reason}{message})"),
        ));
    }
    let disrupted = status.conditions.iter().flatten();
    let mut disrupted =
        disrupted.filter(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    disrupted.next_back().map(|condition| {
        let reason = condition.reason.as_deref().unwrap_or("DisruptionTarget");
        let message = words(condition.message.as_ref());
        platform("displaced", format!("its pod was removed by the cluster ({reason}{message})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn seen(status: &Value) -> PodState {
        state_of(&serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap())
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is written where it is used")]
    fn main(state: Value) -> Value {
        json!([{"name": "proxy", "state": {"running": {}}, "image": "", "imageID": "", "ready": true, "restartCount": 0},
               {"name": "handler", "state": state, "image": "", "imageID": "", "ready": false, "restartCount": 0}])
    }

    #[test]
    fn f65_main_container_alone_decides() {
        let ended = |code| {
            seen(
                &json!({"phase": "Running", "containerStatuses": main(json!({"terminated": {"exitCode": code}}))}),
            )
        };
        assert_eq!(ended(0), PodState::Ended(Ok(Exit::Code(0))));
        assert_eq!(ended(3), PodState::Ended(Ok(Exit::Code(3))));
        assert_eq!(ended(139), PodState::Ended(Ok(Exit::Signal(11))));
        let running = json!({"phase": "Running", "containerStatuses": main(json!({"running": {}}))});
        assert_eq!(seen(&running), PodState::Running);
    }

    #[test]
    fn f63_evicted_pod_is_no_failure_of_its_program() {
        let code = |status: Value| match seen(&status) {
            PodState::Ended(Err(failure)) => (failure.code.clone(), failure.message),
            other => (format!("{other:?}"), String::new()),
        };
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
        let (is, words) = code(evicted);
        assert_eq!(is, "displaced");
        assert_eq!(
            words,
            "its pod was removed by the cluster (Evicted: The node was low on resource: memory.)"
        );
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
    fn fr_k3_container_not_found_is_no_run() {
        let lost = json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "could not be located"}});
        assert_eq!(
            seen(&json!({"phase": "Failed", "containerStatuses": main(lost.clone())})),
            PodState::NotFound
        );
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "containerStatuses": main(lost)});
        assert!(matches!(seen(&evicted), PodState::Ended(Err(failure)) if failure.is_displaced()));
    }

    #[test]
    fn fr_k3_failed_init_container_is_named() {
        let init = json!([{"name": "proxy-init", "state": {"terminated": {"exitCode": 2, "reason": "Error"}},
            "image": "", "imageID": "", "ready": false, "restartCount": 0}]);
        let waiting = main(json!({"waiting": {"reason": "PodInitializing"}}));
        let status = json!({"phase": "Failed", "initContainerStatuses": init, "containerStatuses": waiting});
        let PodState::Ended(Err(failure)) = seen(&status) else { unreachable!() };
        assert_eq!(failure.code, "pod-failed");
        assert_eq!(
            failure.message,
            "its program was not started: its init container `proxy-init` ended with exit status 2 (Error)"
        );
    }

    #[test]
    fn fr_k2_exit_0_of_a_stopped_pod_is_no_success() {
        let ended = |at: &str| main(json!({"terminated": {"exitCode": 0, "finishedAt": at}}));
        let late = json!({"phase": "Failed", "reason": "DeadlineExceeded", "message": "too long",
            "containerStatuses": ended("2026-01-02T03:04:05Z")});
        assert!(matches!(seen(&late), PodState::Ended(Err(failure)) if failure.code == "timeout"));
        let deleted = |at: &str| -> Pod {
            // deletion requested at 03:04:00
            let metadata =
                json!({"deletionTimestamp": "2026-01-02T03:05:00Z", "deletionGracePeriodSeconds": 60});
            let status = json!({"phase": "Succeeded", "containerStatuses": ended(at)});
            serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
        };
        assert_eq!(stopped_by_others(&deleted("2026-01-02T03:03:59Z")), None);
        assert!(
            stopped_by_others(&deleted("2026-01-02T03:04:00Z")).is_some_and(|failure| failure.is_displaced())
        );
        // pop itself may have stopped it: the caller knows
        assert_eq!(state_of(&deleted("2026-01-02T03:04:01Z")), PodState::Ended(Ok(Exit::Code(0))));
    }
}
