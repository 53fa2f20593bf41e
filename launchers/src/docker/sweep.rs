//! Finds containers of a run that no launch follows, and kills and removes them.

use super::container::Container;
use super::engine::Engine;
use crate::active_launches::{ActiveLaunches, exit_of};
use crate::backoff::Backoff;
use crate::port::{LaunchEvent, LaunchId, LaunchUpdate, label};
use std::time::Duration;
use tokio::sync::mpsc;

/// Time that the removal of a container is retried.
const REMOVAL: Duration = Duration::from_secs(20);

/// Kills and removes containers of a run that no launch follows: those that an earlier pop process gave up or did not
/// record, and those that handlers left behind. The ends of containers that an earlier pop process launched go to
/// `events`.
pub(super) async fn sweep(
    engine: &Engine,
    run: &str,
    followed: &ActiveLaunches<String>,
    events: Option<&mpsc::Sender<LaunchUpdate>>,
) {
    let found = engine.api.list(&format!("{}={run}", label::RUN)).await.unwrap_or_default();
    for listed in found {
        let (name, id) = (listed.name(), listed.launch_id());
        // a later launch may follow this handler, which needs its programs
        let is_others = events.is_some() && id.is_none_or(LaunchId::is_external);
        if followed.knows(name) || is_others {
            continue;
        }
        let container = engine.api.inspect(name).await.ok().flatten();
        let code = container.as_ref().and_then(Container::exit_code);
        // keep an ended container that the registry says not to remove
        if code.is_some() && listed.label(label::REAP) != Some("true") {
            continue;
        }
        if let (Some(events), Some(id), Some(code)) = (events, id, code) {
            let event = LaunchEvent::Late(exit_of(code as i32));
            events.send(LaunchUpdate { id, event }).await.ok();
        }
        remove(engine, name).await;
    }
}

/// Removes a container with its anonymous volumes; false if that failed.
pub(super) async fn remove(engine: &Engine, name: &str) -> bool {
    let mut tries = Backoff::new(Some(REMOVAL));
    while engine.api.remove(name).await.is_err() {
        if !tries.next(Duration::ZERO).await {
            return false;
        }
    }
    true
}
