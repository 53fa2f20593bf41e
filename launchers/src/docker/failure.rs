//! Maps errors of the Engine to failures that users see.

use super::error::ApiError;
use pop_contract::{Blame, Failure};

/// A failure caused by this machine or its Engine.
pub(super) fn platform(code: &str, message: impl Into<String>) -> Failure {
    Failure::new(Blame::Platform, code, message.into())
}

/// A container that could not be created.
pub(super) fn not_created(error: &ApiError) -> Failure {
    let Some(message) = error.message() else { return unreachable(error) };
    if is_no_room(message) {
        platform("storage", format!("no disk space for the container: {message}"))
    } else if message.contains("bind source path") || message.contains("invalid mount") {
        platform("mount", format!("cannot mount the folders of the container: {message}"))
    } else if message.contains("invalid reference") {
        Failure::new(Blame::Handler, "image-name", format!("its image name is invalid: {message}"))
    } else {
        platform("container", format!("the container could not be created: {message}"))
    }
}

/// A container that could not be started, mostly because of its image.
pub(super) fn not_started(error: &ApiError) -> Failure {
    let Some(message) = error.message() else { return unreachable(error) };
    let said = message.to_lowercase();
    let holds = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // runc: `exec: "x": executable file not found`, `chdir to cwd`; crun: `executable file `x` not found`,
    // `open executable`
    let is_of_program = holds(&["exec:", "exec ", "executable", "cwd"])
        && holds(&["not found", "no such file", "permission denied", "is a directory", "format error"]);
    if is_no_room(message) {
        platform("storage", format!("no disk space to start the container: {message}"))
    } else if is_of_program {
        Failure::new(Blame::Handler, "spawn", format!("its program could not be started: {message}"))
    } else if said.contains("mount") {
        platform("mount", format!("cannot mount the folders of the container: {message}"))
    } else {
        platform("container", format!("the container could not be started: {message}"))
    }
}

/// Whether the Engine rejected a container because it has no init.
pub(super) fn is_without_init(error: &ApiError) -> bool {
    // dockerd names its init program; Podman names the purpose
    let names = ["docker-init", "container-init", "catatonit", "init binary"];
    error.message().is_some_and(|message| names.iter().any(|name| message.contains(name)))
}

/// An image that could not be pulled. The registry's answer decides the code.
pub(super) fn not_pulled(image: &str, error: &ApiError, has_credentials: bool) -> Failure {
    let Some(message) = error.message() else { return unreachable(error) };
    let said = message.to_lowercase();
    let holds = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let failed = |code: &str, why: &str| platform(code, format!("image `{image}` {why}: {message}"));
    if holds(&["toomanyrequests", "too many requests", "rate limit", "429"]) {
        failed("image-rate-limited", "is rate-limited by its registry")
    } else if holds(&["no space left"]) {
        failed("storage", "does not fit on the Engine's disk")
    } else if holds(&["no matching manifest", "does not match the specified platform"]) {
        failed("image-platform", "does not exist for this machine's platform")
    } else if holds(&["digest", "mismatched"]) && holds(&["mismatch", "verif", "unexpected"]) {
        failed("image-digest", "does not match its digest")
    } else if holds(&["unauthorized", "authentication required", "denied", "no basic auth"]) {
        let why = if has_credentials {
            "is refused with the credentials of the Docker configuration"
        } else {
            "is refused, or does not exist; the Docker configuration has no credentials for its registry (`docker login`)"
        };
        failed("image-denied", why)
    } else if holds(&["manifest unknown", "not found", "does not exist"]) {
        failed("image-not-found", "is not in its registry")
    } else if holds(&["invalid reference"]) {
        Failure::new(Blame::Handler, "image-name", format!("`{image}` is not a valid image name"))
    } else {
        failed("image-pull", "could not be pulled")
    }
}

/// An Engine that does not answer.
pub(super) fn unreachable(error: &ApiError) -> Failure {
    let why = match error {
        ApiError::Late => "it did not answer in time",
        ApiError::Away(why) => why,
        ApiError::Refused { message, .. } | ApiError::PullFailed(message) => message,
    };
    platform("engine", format!("the Docker Engine cannot be reached: {why}"))
}

fn is_no_room(message: &str) -> bool {
    message.contains("no space left on device")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f52_f57_each_pull_failure_has_a_code() {
        let code = |message: &str| not_pulled("i", &ApiError::PullFailed(message.to_owned()), false).code;
        for (message, wanted) in [
            ("toomanyrequests: You have reached your pull rate limit", "image-rate-limited"),
            ("manifest for i:1 not found: manifest unknown: manifest unknown", "image-not-found"),
            ("no matching manifest for linux/amd64 in the manifest list entries", "image-platform"),
            ("unauthorized: authentication required", "image-denied"),
            (
                "pull access denied for i, repository does not exist or may require 'docker login'",
                "image-denied",
            ),
            ("mismatched image rootfs and manifest layers: unexpected digest", "image-digest"),
            ("write /var/lib/docker/tmp/x: no space left on device", "storage"),
            ("received unexpected HTTP status: 502 Bad Gateway", "image-pull"),
        ] {
            assert_eq!(code(message), wanted, "{message}");
        }
    }

    #[test]
    fn f56_missing_program_in_the_image_blames_the_handler() {
        for (message, code, blame) in [
            (
                "OCI runtime create failed: starting container process caused: exec: \"nothing\": executable file not found in $PATH: unknown",
                "spawn",
                Blame::Handler,
            ),
            (
                "runc create failed: unable to start container process: exec: \"/x\": permission denied: unknown",
                "spawn",
                Blame::Handler,
            ),
            (
                "crun: executable file `/nothing` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
                "spawn",
                Blame::Handler,
            ),
            ("crun: open executable: Permission denied: OCI permission denied", "spawn", Blame::Handler),
            (
                "chdir to cwd (\"/x\") set in config.json failed: permission denied: unknown",
                "spawn",
                Blame::Handler,
            ),
            (
                "crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
                "container",
                Blame::Platform,
            ),
            ("error while creating mount source path", "mount", Blame::Platform),
            (
                "crun: mount `/x` to `/y`: No such file or directory: OCI runtime attempted to invoke a command that was not found",
                "mount",
                Blame::Platform,
            ),
            ("write /x: no space left on device", "storage", Blame::Platform),
        ] {
            let failure = not_started(&ApiError::Refused { status: 500, message: message.to_owned() });
            assert_eq!((failure.code.as_str(), failure.blame), (code, blame), "{message}");
        }
    }
}
