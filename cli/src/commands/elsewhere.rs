//! Progress delivery: annotations of pop's own pod, and the agenda progress service.

use crate::error::{CommandError, Kind};
use crate::ui;
use pop_agenda::{EventRecord, Identity, RunEvent, RunOutcome, Sink};
use pop_executor::cluster;
use pop_field_retriever::names::launch_data::SERVICE_TOKEN;
use pop_field_retriever::names::property;
use pop_field_retriever::{FieldName, LaunchDataWrapper, LaunchType, TypedFields as _};
use pop_reporters::run::{FollowedRun, ProgressDelivery, ProgressIds, ProgressSource, ServiceAddress};
use pop_reporters::status::{ConnectFuture, OwnPod};
use std::sync::{Arc, Mutex};

/// Address of the agenda progress service, if it is set. An invalid address is an error before the run starts.
pub(super) fn service(launch: &dyn LaunchDataWrapper) -> Result<Option<ServiceAddress>, CommandError> {
    let found = launch.field(&FieldName::of_property(property::AGENDA_PROGRESS_URL));
    let Some(found) = found.filter(|found| !found.value.trim().is_empty()) else { return Ok(None) };
    let address = ServiceAddress::parse(&found.value).map_err(|error| {
        CommandError::new(Kind::Registry, format!("`{}`: {error}", property::AGENDA_PROGRESS_URL))
    });
    let token = launch.field(&SERVICE_TOKEN).map(|found| found.value);
    address.map(|address| Some(address.with_token(token)))
}

/// Whether pop deletes its own pod at the end.
fn reaps_itself(launch: &dyn LaunchDataWrapper) -> Result<bool, CommandError> {
    let found = launch.find_or(&FieldName::of_property(property::EXECUTOR_REAP_SELF), false);
    found.map(|found| found.value).map_err(|error| CommandError::new(Kind::Registry, error.to_string()))
}

/// Checks the settings of progress delivery before the run starts.
pub(super) fn check(launch: &dyn LaunchDataWrapper) -> Result<(), CommandError> {
    reaps_itself(launch)?;
    service(launch).map(drop)
}

/// Name of the pod that this process runs in, if it was launched as a pod.
fn own_pod(launch: &dyn LaunchDataWrapper) -> Option<String> {
    let name = launch.pod_name().map(|found| found.value).filter(|name| !name.is_empty());
    name.filter(|_| launch.launch_type().value == LaunchType::Kubernetes)
}

/// Connects to the cluster of pop's own pod.
fn connect(
    launch: &dyn LaunchDataWrapper,
) -> Result<impl Fn() -> ConnectFuture + Send + 'static, CommandError> {
    let cluster = cluster(launch)?;
    Ok(move || -> ConnectFuture {
        let cluster = cluster.clone();
        Box::pin(async move { pop_launchers::client(&cluster).await.map_err(|failure| failure.message) })
    })
}

/// Sinks of progress delivery; usually none. Another sink, which gets each event earlier, updates the `followed` run.
pub(super) fn sinks(
    launch: &dyn LaunchDataWrapper,
    identity: &Identity,
    run: &str,
    followed: &Arc<Mutex<FollowedRun>>,
) -> Result<Vec<Box<dyn Sink>>, CommandError> {
    let ids = ProgressIds {
        progress: launch.progress_id().map(|found| found.value).or_else(|| identity.progress_id.clone()),
        agenda: identity.id.clone().unwrap_or_else(|| run.to_owned()),
    };
    let source = || ProgressSource { run: Arc::clone(followed), ids: ids.clone() };
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    if let Some(pod) = own_pod(launch) {
        sinks.push(Box::new(ProgressDelivery::own_pod(source(), pod, connect(launch)?, ui::say)?));
    }
    match service(launch)? {
        Some(address) if ids.progress.is_some() => {
            sinks.push(Box::new(ProgressDelivery::service(source(), &address, ui::say)?));
        }
        Some(_) => ui::say("warning: progress is not sent: set PROGRESS_ID or the agenda's `progressId`"),
        None => {}
    }
    Ok(sinks)
}

/// Sends the end of a run once more that had ended already: its executor may have died before it could.
pub(super) fn report_end(
    launch: &dyn LaunchDataWrapper,
    run: &str,
    followed: FollowedRun,
) -> Result<(), CommandError> {
    let Some((at, outcome)) = followed.history.ended else { return Ok(()) };
    let plan = Arc::clone(&followed.plan);
    let end = EventRecord { at, event: RunEvent::RunEnded { outcome } };
    for mut sink in sinks(launch, &plan.identity, run, &Arc::new(Mutex::new(followed)))? {
        // its drop sends the end and waits for the answer
        sink.on_event(&plan, &end);
    }
    Ok(())
}

/// Deletes pop's own pod after the run, if `executor.reap.self` is true. After a signal it does not, because the sender
/// of the signal deletes the pod.
pub(super) async fn reap(launch: &dyn LaunchDataWrapper, outcome: RunOutcome) -> Result<(), CommandError> {
    let is_stopped = matches!(outcome, RunOutcome::Interrupted | RunOutcome::Terminated);
    if let Some(pod) = own_pod(launch).filter(|_| !is_stopped)
        && reaps_itself(launch)?
        && let Err(error) = OwnPod::new(pod, connect(launch)?).delete().await
    {
        ui::say(&format!("warning: {error}"));
    }
    Ok(())
}
