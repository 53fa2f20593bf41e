//! `pop reap`: deletes old pods or containers of pop, or old agendas of a service.

use super::go::event_loop;
use super::machine::now;
use super::pull::{number, text};
use crate::args::{ReapArgs, StrictArg};
use crate::error::{CommandError, Kind};
use crate::launch_data::launch_data;
use crate::ui;
use pop_contract::{Failure, LaunchType};
use pop_executor::cluster;
use pop_field_retriever::names::{environment, property};
use pop_field_retriever::{DefaultLaunchData, LaunchDataWrapper as _};
use pop_launchers::{EndedContainers, Setting};
use pop_puller::{ReapSettings, Reaped, ServiceClient, reap_containers, reap_pods};
use std::time::Duration;

/// Namespace of POP's deployments.
const NAMESPACE: &str = "pop";
/// Exit code if something could not be deleted.
const FAILED: u8 = 1;

pub(crate) fn reap(args: &ReapArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.launch, StrictArg::default())?;
    let minutes =
        |given: Option<u64>, name, default| given.map_or_else(|| number(&launch, name, default), Ok);
    let age = minutes(args.age, property::POD_REAP_AGE_MINUTES, 1_440)?;
    let limit = minutes(args.max_minutes, property::REAPER_RUN_MAX_MINUTES, 5)?;
    let runtime = event_loop()?;
    if let Some(address) = &args.service {
        return runtime.block_on(reap_agendas(address, age, Duration::from_secs(limit * 60), args.dry_run));
    }
    let batch = args.batch.map_or_else(|| number(&launch, property::POD_REAP_BATCH_SIZE, 50_u32), Ok)?;
    let settings = ReapSettings {
        age: age.saturating_mul(60_000),
        batch: batch as usize,
        limit: Duration::from_secs(limit.saturating_mul(60)),
        is_dry: args.dry_run,
    };
    let (kind, reaped) = match launch.external_launch_type().value {
        LaunchType::Docker => ("container", runtime.block_on(containers(&settings))?),
        LaunchType::Local | LaunchType::Kubernetes => {
            ("pod", runtime.block_on(pods(args, &launch, &settings))?)
        }
    };
    let verb = if args.dry_run { "would delete" } else { "deleted" };
    for name in &reaped.names {
        ui::print(&format!("{verb} {kind} {name}\n"));
    }
    for (name, why) in &reaped.failed {
        ui::say(&format!("error: cannot delete {kind} {name}: {why}"));
    }
    if reaped.is_cut {
        ui::say(&format!("stopped after {limit} minutes; the next call deletes the rest"));
    }
    Ok(if reaped.failed.is_empty() { 0 } else { FAILED })
}

async fn pods(
    args: &ReapArgs,
    launch: &DefaultLaunchData,
    settings: &ReapSettings,
) -> Result<Reaped, CommandError> {
    let unreachable = |message: String| {
        CommandError::new(Kind::Unreachable, message)
            .hint("check `kubectl cluster-info`; set KUBECONFIG or `pop.kubernetes.masterUrl` to the cluster")
    };
    let namespace = args.namespace.clone().or_else(|| text(launch, property::KUBERNETES_NAMESPACE));
    let namespace = namespace.unwrap_or_else(|| NAMESPACE.to_owned());
    let client = pop_launchers::client(&cluster(launch)?).await;
    let (client, _) = client.map_err(|failure| unreachable(failure.message))?;
    reap_pods(&client, &namespace, settings, now(), millis)
        .await
        .map_err(|error| unreachable(format!("cannot list the pods of namespace `{namespace}`: {error}")))
}

async fn containers(settings: &ReapSettings) -> Result<Reaped, CommandError> {
    let unreachable = |failure: Failure| {
        CommandError::new(Kind::Unreachable, failure.message)
            .hint("check `docker info`; DOCKER_HOST is the address of the Engine")
    };
    let setting = Setting { surroundings: std::env::vars_os().collect(), ..Setting::default() };
    let containers = EndedContainers::reach(&setting).await.map_err(unreachable)?;
    reap_containers(&containers, settings, now(), millis).await.map_err(unreachable)
}

/// Deletes agendas of a service, as many at a time as it permits.
async fn reap_agendas(address: &str, age: u64, limit: Duration, is_dry: bool) -> Result<u8, CommandError> {
    let token = std::env::var(environment::SERVICE_TOKEN).ok().filter(|token| !token.is_empty());
    let failed = |error: pop_puller::ClientError| CommandError::new(Kind::Unreachable, error.to_string());
    let client = ServiceClient::new(address, token.as_deref()).map_err(failed)?;
    let until = tokio::time::Instant::now() + limit;
    let verb = if is_dry { "would delete" } else { "deleted" };
    loop {
        let ids = client.reap(age, is_dry).await.map_err(failed)?;
        for id in &ids {
            ui::print(&format!("{verb} agenda {id}\n"));
        }
        if ids.is_empty() || is_dry || tokio::time::Instant::now() >= until {
            return Ok(0);
        }
    }
}

/// A time (RFC 3339) in milliseconds since 1970.
fn millis(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}
