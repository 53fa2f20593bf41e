//! Limits that apply to every cluster, checked before the cluster is contacted. Pure.

use k8s_openapi::api::core::v1::{Container, Pod};
use pop_contract::{Blame, Failure};
use pop_registry::ARGUMENT_LIMIT;

/// Longest argument, and longest variable with its name and `=`, that Linux passes to a program, in bytes.
const LONGEST_TEXT: usize = ARGUMENT_LIMIT - 1;
/// Largest object that a cluster stores by default, in bytes.
pub(super) const LARGEST_OBJECT: usize = 3 * 512 * 1024;

/// Checks that the cluster can store a pod, and that Linux can pass its arguments and variables.
pub(super) fn check_size(pod: &Pod) -> Result<(), Failure> {
    let containers = || pod.spec.iter().flat_map(|spec| &spec.containers);
    containers().try_for_each(check_texts)?;
    // only a lower bound: the size in the server's own format is not known here
    let size: usize = containers().flat_map(texts).map(|(_, length)| length).sum();
    if size > LARGEST_OBJECT {
        let message = format!(
            "its arguments and variables have {size} bytes; a cluster stores at most {LARGEST_OBJECT} bytes per pod"
        );
        return Err(Failure::new(Blame::Handler, "pod-invalid", message));
    }
    Ok(())
}

fn check_texts(container: &Container) -> Result<(), Failure> {
    match texts(container).find(|(_, length)| *length > LONGEST_TEXT) {
        None => Ok(()),
        Some((what, length)) => {
            let message = format!(
                "its program could not be started: {what} has {length} bytes; Linux allows at most {LONGEST_TEXT}"
            );
            Err(Failure::new(Blame::Handler, "spawn", message))
        }
    }
}

/// The names and lengths of a container's arguments and variables, as the program gets them.
fn texts(container: &Container) -> impl Iterator<Item = (String, usize)> {
    // the kubelet turns `$$` into `$`
    let length = |text: &str| text.len() - text.matches("$$").count();
    let command = container.command.iter().flatten().chain(container.args.iter().flatten());
    let arguments = command.enumerate().map(move |(at, text)| (format!("argument {at}"), length(text)));
    let variables = container.env.iter().flatten().map(move |variable| {
        let value = variable.value.as_deref().unwrap_or_default();
        (format!("variable `{}`", variable.name), variable.name.len() + 1 + length(value))
    });
    arguments.chain(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(command: &[&str], value: &str) -> Option<(String, String)> {
        let container =
            json!({"name": "handler", "command": command, "env": [{"name": "A", "value": value}]});
        let pod =
            serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [container]}})).unwrap();
        check_size(&pod).err().map(|failure| (failure.code, failure.message))
    }

    #[test]
    fn fr_k7_oversized_argument_or_variable_blames_the_handler() {
        let long = "x".repeat(LONGEST_TEXT);
        assert_eq!(code(&["echo", &long], &long[2..]), None);
        let (is, message) = code(&["echo", &format!("{long}x")], "").unwrap();
        assert_eq!(is, "spawn");
        assert!(message.contains("argument 1 has 131072 bytes") && message.contains("131071"), "{message}");
        let (is, message) = code(&["true"], &long[1..]).unwrap();
        assert!(is == "spawn" && message.contains("variable `A` has 131072 bytes"), "{message}");
        // a manifest escapes `$` as `$$`
        assert_eq!(code(&[&"$$".repeat(LONGEST_TEXT)], ""), None);
    }

    #[test]
    fn fr_k7_oversized_pod_blames_the_handler() {
        let text = "x".repeat(131_000);
        let (is, message) = code(&[text.as_str(); 13], "").unwrap();
        assert!(is == "pod-invalid" && message.contains("1572864"), "{message}");
        assert_eq!(code(&[text.as_str(); 11], ""), None);
    }
}
