//! The launcher and reporter of a handler, for the clients that the handler was built with.
//!
//! The Docker and Kubernetes clients are features, off by default: they make a program several times larger and its
//! build several times longer. This module refers to a client only if its feature is on, so that the linker leaves out
//! the others, even if another package of the same build switches them on in `pop-launchers`.

use pop_contract::LaunchType;
use pop_field_retriever::{Found, LaunchDataWrapper, Origin};
use pop_launchers::{Cluster, Launcher, ProcessLauncher, Setting};
#[cfg(feature = "kubernetes")]
use pop_reporters::status::{AnnotationReporter, PodAnnotations};
use pop_reporters::status::{LogReporter, StatusReporter};
use std::sync::Arc;
use tracing::warn;

/// Returns the launcher for external programs. A launch by a missing client fails with the client's name.
pub(crate) fn external_launcher(launch_type: LaunchType, setting: Setting) -> Arc<dyn Launcher> {
    match launch_type {
        LaunchType::Local => Arc::new(ProcessLauncher::of(setting)),
        #[cfg(feature = "docker")]
        LaunchType::Docker => Arc::new(pop_launchers::DockerLauncher::new(setting)),
        #[cfg(feature = "kubernetes")]
        LaunchType::Kubernetes => Arc::new(pop_launchers::KubernetesLauncher::new(setting)),
        #[cfg(not(all(feature = "docker", feature = "kubernetes")))]
        other => Arc::new(pop_launchers::UnavailableLauncher(other)),
    }
}

/// Returns the reporter for this launch: report lines, and in a pod also annotations of the pod.
pub(crate) fn reporter(
    launch: &dyn LaunchDataWrapper,
    cluster: &Cluster,
) -> std::io::Result<Box<dyn StatusReporter>> {
    let lines = LogReporter::new(std::io::stdout(), std::io::stderr());
    let channel =
        report_channel(&launch.launch_type(), cluster.own_pod.as_deref(), cfg!(feature = "kubernetes"));
    match channel {
        ReportChannel::Lines => {}
        ReportChannel::LinesInsteadOfAnnotations => warn!(
            "launchType is kubernetes, but this handler was built without the Kubernetes client: it reports by lines \
             instead of annotations; build it with feature `kubernetes` of pop-handler-base for both"
        ),
        #[cfg(feature = "kubernetes")]
        ReportChannel::Annotations(pod) => return with_annotations(lines, pod, cluster.clone()),
        #[cfg(not(feature = "kubernetes"))]
        ReportChannel::Annotations(_) => {}
    }
    Ok(Box::new(lines))
}

#[cfg(feature = "kubernetes")]
fn with_annotations(
    lines: LogReporter<std::io::Stdout, std::io::Stderr>,
    pod: &str,
    cluster: Cluster,
) -> std::io::Result<Box<dyn StatusReporter>> {
    let connect = move || -> pop_reporters::status::ConnectFuture {
        let cluster = cluster.clone();
        Box::pin(async move { pop_launchers::client(&cluster).await.map_err(|failure| failure.message) })
    };
    let annotations = PodAnnotations::of(pod.to_owned(), connect)?;
    Ok(Box::new(AnnotationReporter::new(lines, annotations, |message| warn!("{message}"))))
}

/// How a handler delivers its reports.
#[derive(Debug, PartialEq)]
enum ReportChannel<'p> {
    /// Lines of standard output.
    Lines,
    /// Lines only, because the Kubernetes client for the requested annotations is missing.
    LinesInsteadOfAnnotations,
    /// Lines, and annotations of the pod with this name.
    Annotations(&'p str),
}

/// Selects the channel of the reports. `kubernetes` is also the default launch type, so a handler that is started by
/// hand, outside of a pod, does not try to write annotations.
fn report_channel<'p>(
    launch_type: &Found<LaunchType>,
    own_pod: Option<&'p str>,
    has_client: bool,
) -> ReportChannel<'p> {
    match (launch_type.value, own_pod) {
        (LaunchType::Kubernetes, Some(pod)) if has_client => ReportChannel::Annotations(pod),
        (LaunchType::Kubernetes, pod)
            if !has_client && (pod.is_some() || launch_type.origin != Origin::Default) =>
        {
            ReportChannel::LinesInsteadOfAnnotations
        }
        _ => ReportChannel::Lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_gets_annotations_if_the_handler_has_the_client() {
        let argument = || Origin::Argument { name: "launchType".into() };
        for (launch_type, origin, own_pod, with_client, without_client) in [
            (LaunchType::Local, argument(), None, ReportChannel::Lines, ReportChannel::Lines),
            (LaunchType::Docker, argument(), Some("p"), ReportChannel::Lines, ReportChannel::Lines),
            (LaunchType::Kubernetes, Origin::Default, None, ReportChannel::Lines, ReportChannel::Lines),
            (
                LaunchType::Kubernetes,
                argument(),
                None,
                ReportChannel::Lines,
                ReportChannel::LinesInsteadOfAnnotations,
            ),
            (
                LaunchType::Kubernetes,
                argument(),
                Some("p"),
                ReportChannel::Annotations("p"),
                ReportChannel::LinesInsteadOfAnnotations,
            ),
            (
                LaunchType::Kubernetes,
                Origin::Default,
                Some("p"),
                ReportChannel::Annotations("p"),
                ReportChannel::LinesInsteadOfAnnotations,
            ),
        ] {
            let launch_type = Found::new(launch_type, origin);
            assert_eq!(
                report_channel(&launch_type, own_pod, true),
                with_client,
                "{launch_type:?} {own_pod:?}"
            );
            assert_eq!(
                report_channel(&launch_type, own_pod, false),
                without_client,
                "{launch_type:?} {own_pod:?}"
            );
        }
    }
}
