//! The launcher for a launch type.

use crate::port::{Ended, LaunchEvent, LaunchId, LaunchOrder, Launched, Launcher};
use crate::process::ProcessLauncher;
use pop_registry::contract::{Blame, Failure, LaunchType};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The launcher for a launch type. Processes are given `variables` and start in `folder`. Given a guard's command,
/// it holds on to what its programs leave behind ([`ProcessLauncher::holding_on`]).
///
/// A launcher that this version does not have fails each launch and says so: who launches nothing is not held up.
pub fn choose(
    launch_type: LaunchType,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    folder: PathBuf,
    guard_command: Option<Vec<String>>,
) -> Arc<dyn Launcher> {
    match (launch_type, guard_command) {
        (LaunchType::Local, None) => Arc::new(ProcessLauncher::new(variables, folder)),
        (LaunchType::Local, Some(command)) => {
            Arc::new(ProcessLauncher::new(variables, folder).holding_on(command))
        }
        (LaunchType::Docker | LaunchType::Kubernetes, _) => Arc::new(Missing(launch_type)),
    }
}

/// A launcher that this version does not have.
struct Missing(LaunchType);

impl Launcher for Missing {
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<Launched>) {
        let program = order.program.argv.first().cloned().unwrap_or_default();
        let message = format!("`{program}` cannot be launched: this version has no {} launcher", self.0);
        let ended = Ended::failed(Failure::new(Blame::Platform, "not-supported", message));
        let events = events.clone();
        tokio::spawn(async move {
            events.send(Launched { id, event: LaunchEvent::Ended(Box::new(ended)) }).await
        });
    }

    fn stop(&self, _: LaunchId, _: bool) {}
}
