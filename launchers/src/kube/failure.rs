//! Maps errors of a cluster to failures that users see. Pure.

use super::limits::LARGEST_OBJECT;
use kube::Error;
use kube::core::Status;
use pop_contract::{Blame, Failure};
use std::time::Duration;

/// A failure caused by the cluster.
pub(super) fn platform(code: &str, message: impl Into<String>) -> Failure {
    Failure::new(Blame::Platform, code, message.into())
}

/// The API server's answer, if there was one.
pub(super) fn answer(error: &Error) -> Option<&Status> {
    match error {
        Error::Api(status) => Some(status),
        _ => None,
    }
}

/// Whether the API server says that the object does not exist.
pub(super) fn is_not_found(error: &Error) -> bool {
    answer(error).is_some_and(|status| status.code == 404)
}

/// Whether a retry may succeed, and the shortest wait before it.
pub(super) fn may_change(error: &Error) -> Option<Duration> {
    let Some(status) = answer(error) else {
        // the server was unreachable, or its answer was cut off
        let is_lasting =
            matches!(error, Error::BuildRequest(_) | Error::SerdeError(_) | Error::InferConfig(_));
        return (!is_lasting).then_some(Duration::ZERO);
    };
    if is_too_large(status) {
        return None;
    }
    let is_quota = status.code == 403 && status.message.contains("exceeded quota");
    let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    let asked = Duration::from_secs(u64::from(asked));
    (is_quota || matches!(status.code, 408 | 429 | 500..=599)).then_some(asked)
}

/// Whether the server cannot store the object. Its storage error looks temporary but is not.
fn is_too_large(status: &Status) -> bool {
    let is_unstorable = status.code == 500
        && ["request is too large", "larger than max"].iter().any(|words| status.message.contains(words));
    status.code == 413 || is_unstorable
}

/// The failure of a rejected request.
pub(super) fn refused(doing: &str, error: &Error) -> Failure {
    let Some(status) = answer(error) else {
        return platform("cluster", format!("the cluster cannot be reached to {doing}: {}", root(error)));
    };
    let message = &status.message;
    let said = |code: &str, why: &str| platform(code, format!("{why}: {message}"));
    let holds = |word: &str| message.contains(word);
    match status.code {
        _ if is_too_large(status) => Failure::new(
            Blame::Handler,
            "pod-invalid",
            format!(
                "the object is too large for the cluster (the usual limit is {LARGEST_OBJECT} bytes): {message}"
            ),
        ),
        403 if holds("exceeded quota") => said("quota", "the namespace's quota is exhausted"),
        403 if holds("violates PodSecurity") => said("pod-security", "the namespace forbids such pods"),
        403 if holds("is being terminated") => said("namespace", "the namespace is being deleted"),
        403 if holds("service account") && holds("not found") => {
            said("service-account", "the pod's service account does not exist")
        }
        403 if holds("LimitRange") || holds("maximum") || holds("minimum") => {
            said("limit-range", "the namespace's limits forbid such a pod")
        }
        403 if holds("cannot ") => {
            let why =
                format!("the service account of pop lacks a Role that lets it {doing} (deploy/ has one)");
            said("forbidden", &why)
        }
        400 | 403 if holds("admission webhook") => said("admission", "an admission webhook rejected the pod"),
        500 if holds("failed calling webhook") => said("webhook", "an admission webhook does not answer"),
        404 if holds("namespaces") => said("namespace", "the namespace does not exist"),
        401 => said("unauthorized", "the cluster does not accept the credentials of pop"),
        403 => said("forbidden", &format!("the cluster does not allow pop to {doing}")),
        422 if doing == "create secrets" => said("secret", "the cluster rejected the secrets of the pod"),
        422 | 400 => {
            Failure::new(Blame::Handler, "pod-invalid", format!("the cluster rejected the pod: {message}"))
        }
        429 => said("cluster-busy", "the cluster is too busy"),
        code => said("cluster", &format!("the cluster could not {doing} (status {code})")),
    }
}

/// The innermost cause: the outer errors only say that the request failed.
fn root(error: &Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
