//! What the Engine refuses or cannot do, as the failure that users see.

use bollard::errors::Error;
use pop_registry::contract::{Blame, Failure};

/// A failure that this machine or its Engine has to answer for.
pub(super) fn platform(code: &str, message: impl Into<String>) -> Failure {
    Failure::new(Blame::Platform, code, message.into())
}

/// What the Engine answered, if it did.
pub(super) fn answer(error: &Error) -> Option<(u16, &str)> {
    match error {
        Error::DockerResponseServerError { status_code, message } => Some((*status_code, message)),
        _ => None,
    }
}

/// Whether the Engine could not be asked, or did not answer in time: it may do so later.
pub(super) fn is_away(error: &Error) -> bool {
    answer(error).is_none() && !matches!(error, Error::DockerStreamError { .. })
}

/// A container that could not be made.
pub(super) fn not_created(error: &Error) -> Failure {
    let Some((status, message)) = answer(error) else { return unreachable(error) };
    if is_no_room(message) {
        return platform("storage", format!("no room for the container: {message}"));
    }
    match status {
        400 if message.contains("bind source path") || message.contains("invalid mount") => {
            platform("mount", format!("the container cannot have its folders: {message}"))
        }
        400 if message.contains("invalid reference") => {
            Failure::new(Blame::Handler, "image-name", format!("its image has no valid name: {message}"))
        }
        _ => platform("container", format!("the container could not be created: {message}")),
    }
}

/// A container that could not be started: mostly for what is in its image.
pub(super) fn not_started(error: &Error) -> Failure {
    let Some((_, message)) = answer(error) else { return unreachable(error) };
    let is_of_program = ["executable file not found", "no such file or directory", "permission denied"]
        .iter()
        .any(|why| message.contains(why));
    if is_no_room(message) {
        platform("storage", format!("no room to start the container: {message}"))
    } else if message.contains("mount") && !message.contains("exec:") {
        platform("mount", format!("the container cannot have its folders: {message}"))
    } else if is_of_program {
        Failure::new(Blame::Handler, "spawn", format!("its program could not be started: {message}"))
    } else {
        platform("container", format!("the container could not be started: {message}"))
    }
}

/// An image that could not be had; what the registry said decides who can mend it.
pub(super) fn not_pulled(image: &str, error: &Error, has_credentials: bool) -> Failure {
    let message = match error {
        Error::DockerStreamError { error } => error.as_str(),
        other => match answer(other) {
            Some((_, message)) => message,
            None => return unreachable(other),
        },
    };
    let said = message.to_lowercase();
    let holds = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let failed = |code: &str, why: &str| platform(code, format!("image `{image}` {why}: {message}"));
    if holds(&["toomanyrequests", "too many requests", "rate limit", "429"]) {
        failed("image-rate-limited", "is not given out for now, too much was asked for")
    } else if holds(&["no space left"]) {
        failed("storage", "does not fit on the Engine's disk")
    } else if holds(&["no matching manifest", "does not match the specified platform"]) {
        failed("image-platform", "is not there for this machine's platform")
    } else if holds(&["digest", "mismatched"]) && holds(&["mismatch", "verif", "unexpected"]) {
        failed("image-digest", "is not what its digest says")
    } else if holds(&["unauthorized", "authentication required", "denied", "no basic auth"]) {
        let why = if has_credentials {
            "is refused with the credentials of the Docker configuration"
        } else {
            "is refused, or not there; the Docker configuration has no credentials for its registry (`docker login`)"
        };
        failed("image-denied", why)
    } else if holds(&["manifest unknown", "not found", "does not exist"]) {
        failed("image-not-found", "is not in its registry")
    } else if holds(&["invalid reference"]) {
        Failure::new(Blame::Handler, "image-name", format!("`{image}` is no valid name of an image"))
    } else {
        failed("image-pull", "could not be pulled")
    }
}

/// An Engine that does not answer.
pub(super) fn unreachable(error: &Error) -> Failure {
    let why = match error {
        Error::RequestTimeoutError => "it did not answer in time".to_owned(),
        other => root(other),
    };
    platform("engine", format!("the Docker Engine cannot be reached: {why}"))
}

fn is_no_room(message: &str) -> bool {
    message.contains("no space left on device")
}

/// The innermost cause: what lies above it says only that there is one.
fn root(error: &Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f52_f57_each_way_not_to_have_an_image_has_a_name() {
        let code = |message: &str| {
            not_pulled("i", &Error::DockerStreamError { error: message.to_owned() }, false).code
        };
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
    fn f56_what_is_not_in_the_image_is_the_handlers_fault() {
        let error = |message: &str| Error::DockerResponseServerError {
            status_code: 400,
            message: message.to_owned(),
        };
        let failure = not_started(&error(
            "OCI runtime create failed: starting container process caused: exec: \"nothing\": executable file not found in $PATH: unknown",
        ));
        assert_eq!((failure.code.as_str(), failure.blame), ("spawn", Blame::Handler));
        assert_eq!(not_started(&error("error while creating mount source path")).code, "mount");
    }
}
