//! `pop reap`: deletes old pods of pop, or old agendas of a service.

use super::go::event_loop;
use super::machine::now;
use super::pull::{number, text};
use crate::args::{ReapArgs, StrictArg};
use crate::error::{CommandError, Kind};
use crate::launch_data::launch_data;
use crate::ui;
use pop_executor::cluster;
use pop_field_retriever::names::{environment, property};
use pop_puller::{ReapSettings, ServiceClient, reap_pods};
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
    let cluster = cluster(&launch)?;
    let settings = ReapSettings {
        namespace: args
            .namespace
            .clone()
            .or_else(|| text(&launch, property::KUBERNETES_NAMESPACE))
            .unwrap_or_else(|| NAMESPACE.to_owned()),
        age: age.saturating_mul(60_000),
        batch: batch as usize,
        limit: Duration::from_secs(limit.saturating_mul(60)),
        is_dry: args.dry_run,
    };
    let unreachable = |message: String| {
        CommandError::new(Kind::Unreachable, message)
            .hint("check `kubectl cluster-info`; set KUBECONFIG or `pop.kubernetes.masterUrl` to the cluster")
    };
    let reaped = runtime.block_on(async {
        let client = pop_launchers::client(&cluster).await;
        let (client, _) = client.map_err(|failure| unreachable(failure.message))?;
        let reaped = reap_pods(&client, &settings, now(), millis).await;
        reaped.map_err(|error| {
            unreachable(format!("cannot list the pods of namespace `{}`: {error}", settings.namespace))
        })
    })?;
    let verb = if args.dry_run { "would delete" } else { "deleted" };
    for pod in &reaped.pods {
        ui::print(&format!(
            "{verb} pod {pod}
"
        ));
    }
    for (pod, why) in &reaped.failed {
        ui::say(&format!("error: cannot delete pod {pod}: {why}"));
    }
    if reaped.is_cut {
        ui::say(&format!("stopped after {limit} minutes; the next call deletes the rest"));
    }
    Ok(if reaped.failed.is_empty() { 0 } else { FAILED })
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

/// A time of Kubernetes in milliseconds since 1970.
fn millis(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}
