//! The reason why the program of a pod has not started yet, from the pod's status or events. Pure.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use pop_contract::{Blame, Failure};

/// Phrases of registries for an image that will not become available.
const LASTING: [&str; 6] = [
    "not found",
    "does not exist",
    "access denied",
    "manifest unknown",
    "unauthorized",
    "authentication required",
];

/// Why a program has not started.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WaitReason {
    blame: Blame,
    code: &'static str,
    /// The cluster's reason and message.
    message: String,
    /// Whether waiting longer is useless.
    pub(super) is_final: bool,
}

impl WaitReason {
    fn new(code: &'static str, is_final: bool, reason: &str, message: &str) -> Self {
        let message = format!("{reason}: {}", message.trim());
        Self { blame: Blame::Platform, code, message, is_final }
    }

    fn of_handler(self) -> Self {
        Self { blame: Blame::Handler, ..self }
    }

    /// The failure of an attempt that stops waiting.
    pub(super) fn failure(self, what_happened: &str) -> Failure {
        Failure::new(self.blame, self.code, format!("{what_happened}{}", self.message))
    }
}

/// The reason in a pod's status, if there is one.
pub(super) fn wait_reason(pod: &Pod, status: &PodStatus) -> Option<WaitReason> {
    let containers = status.init_container_statuses.iter().flatten();
    let mut containers = containers.chain(status.container_statuses.iter().flatten());
    containers.find_map(|container| of_container(pod, container)).or_else(|| unscheduled(status))
}

fn of_container(pod: &Pod, container: &ContainerStatus) -> Option<WaitReason> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    let of = |code, is_final| WaitReason::new(code, is_final, reason, message);
    Some(match reason {
        "ErrImagePull" | "ImagePullBackOff" => of("image-pull", is_lasting(message)),
        "ImageInspectError" | "RegistryUnavailable" => of("image-pull", false),
        "InvalidImageName" => of("image-name", true).of_handler(),
        "ErrImageNeverPull" => of("image-not-found", true),
        "CreateContainerConfigError" => of("config", !is_of_own_secret(pod, message)),
        "CreateContainerError" | "RunContainerError" if message.contains("no command specified") => {
            of("spawn", true).of_handler()
        }
        "CreateContainerError" | "RunContainerError" | "PostStartHookError" => of("container", false),
        _ => return None,
    })
}

fn is_lasting(message: &str) -> bool {
    let message = message.to_lowercase();
    LASTING.iter().any(|words| message.contains(words))
}

/// Whether the kubelet has not seen the Secret yet that pop created before the pod.
fn is_of_own_secret(pod: &Pod, message: &str) -> bool {
    pod.metadata.name.as_ref().is_some_and(|name| message.contains(&format!("secret {name:?} not found")))
}

fn unscheduled(status: &PodStatus) -> Option<WaitReason> {
    let scheduled = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled")?;
    let reason = scheduled.reason.as_deref().filter(|_| scheduled.status == "False")?;
    let message = scheduled.message.as_deref().unwrap_or_default();
    let code = if reason == "Unschedulable" { "unschedulable" } else { "pending" };
    Some(WaitReason::new(code, false, reason, message))
}

/// The reason in one of the pod's events, if there is one.
pub(super) fn of_event(reason: &str, message: &str) -> Option<WaitReason> {
    let holds = |words: &str| message.contains(words);
    let is_config = (holds("configmap ") || holds("secret ")) && holds(" not found");
    let (code, is_final) = match reason {
        "FailedMount" if is_config || holds("non-existent config key") => ("config", true),
        "FailedMount" if holds("hostPath type check failed") => ("mount", true),
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => ("mount", false),
        "FailedScheduling" => ("unschedulable", false),
        "FailedCreatePodSandBox" | "NetworkNotReady" => ("pod-sandbox", false),
        "Failed" if message.starts_with("Error: ") && (is_config || holds("couldn't find key")) => {
            ("config", true)
        }
        "Failed" if message.starts_with("Error: ") => ("container", false),
        "Failed" | "BackOff" | "InspectFailed" => ("image-pull", is_lasting(message)),
        _ => return None,
    };
    Some(WaitReason::new(code, is_final, reason, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reason_of(status: &Value) -> Option<(&'static str, bool, bool)> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap();
        let reason = wait_reason(&pod, pod.status.as_ref().unwrap())?;
        Some((reason.code, reason.is_final, reason.blame == Blame::Handler))
    }

    fn waits(reason: &str, message: &str) -> Option<(&'static str, bool, bool)> {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        let container = json!({"name": "handler", "state": state, "image": "", "imageID": "", "ready": false, "restartCount": 0});
        reason_of(&json!({"phase": "Pending", "containerStatuses": [container]}))
    }

    #[test]
    fn f64_fr_k3_fr_k8_waiting_reasons_have_code_and_blame() {
        for (reason, message, wanted) in [
            ("ErrImagePull", "dial tcp: i/o timeout", ("image-pull", false, false)),
            ("ErrImagePull", "docker.io/library/nope:1: not found", ("image-pull", true, false)),
            ("ImagePullBackOff", "Back-off pulling image", ("image-pull", false, false)),
            ("ImagePullBackOff", "ErrImagePull: pull access denied", ("image-pull", true, false)),
            ("InvalidImageName", "invalid reference format", ("image-name", true, true)),
            ("ErrImageNeverPull", "is not present", ("image-not-found", true, false)),
            ("CreateContainerConfigError", "configmap \"c\" not found", ("config", true, false)),
            ("CreateContainerConfigError", "couldn't find key k in ConfigMap pop/c", ("config", true, false)),
            // pop created this one before the pod
            ("CreateContainerConfigError", "secret \"p\" not found", ("config", false, false)),
            ("CreateContainerError", "name is reserved", ("container", false, false)),
            ("CreateContainerError", "no command specified", ("spawn", true, true)),
            ("RunContainerError", "context deadline exceeded", ("container", false, false)),
        ] {
            assert_eq!(waits(reason, message), Some(wanted), "{reason}: {message}");
        }
        assert_eq!(waits("ContainerCreating", ""), None);
        let unscheduled = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]});
        assert_eq!(reason_of(&unscheduled), Some(("unschedulable", false, false)));
    }

    #[test]
    fn f64_fr_k3_events_supply_missing_reasons() {
        let told = |reason, message| of_event(reason, message).map(|reason| (reason.code, reason.is_final));
        for (reason, message, wanted) in [
            (
                "FailedMount",
                "MountVolume.SetUp failed for volume \"c\" : configmap \"c\" not found",
                ("config", true),
            ),
            (
                "FailedMount",
                "MountVolume.SetUp failed for volume \"s\" : secret \"s\" not found",
                ("config", true),
            ),
            ("FailedMount", "references non-existent config key: k", ("config", true)),
            ("FailedMount", "hostPath type check failed: /x is not a directory", ("mount", true)),
            ("FailedMount", "mount.nfs: Connection timed out", ("mount", false)),
            ("Failed", "Error: secret \"s\" not found", ("config", true)),
            ("Failed", "Error: failed to reserve container name", ("container", false)),
            ("Failed", "Failed to pull image \"i\": i/o timeout", ("image-pull", false)),
            ("FailedCreatePodSandBox", "no network", ("pod-sandbox", false)),
        ] {
            assert_eq!(told(reason, message), Some(wanted), "{reason}: {message}");
        }
        assert_eq!(told("Pulled", ""), None);
    }

    #[test]
    fn fr_k8_invalid_image_name_blames_the_handler() {
        let reason = WaitReason::new("image-name", true, "InvalidImageName", "x ").of_handler();
        let failure = reason.failure("its pod cannot start: ");
        assert_eq!((failure.blame, failure.code.as_str()), (Blame::Handler, "image-name"));
        assert_eq!(failure.message, "its pod cannot start: InvalidImageName: x");
    }
}
