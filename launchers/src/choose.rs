//! Selects the launcher for a launch type.

use crate::port::{Doing, LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher};
use crate::process::ProcessLauncher;
use crate::setting::Setting;
use crate::warm::WarmLauncher;
use pop_contract::{Blame, Failure, LaunchType};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The launcher for a launch type. It connects to Engine or cluster only at the first launch.
pub fn choose(launch_type: LaunchType, setting: Setting) -> Arc<dyn Launcher> {
    match launch_type {
        LaunchType::Local => {
            let secrets = setting.secrets.clone();
            Arc::new(WarmLauncher::new(Arc::new(ProcessLauncher::of(setting)), secrets))
        }
        #[cfg(feature = "docker")]
        LaunchType::Docker => {
            let secrets = setting.secrets.clone();
            Arc::new(WarmLauncher::of_containers(Arc::new(crate::DockerLauncher::new(setting)), secrets))
        }
        #[cfg(feature = "kubernetes")]
        LaunchType::Kubernetes => Arc::new(crate::KubernetesLauncher::new(setting)),
        #[cfg(not(all(feature = "docker", feature = "kubernetes")))]
        other => Arc::new(UnavailableLauncher(other)),
    }
}

/// Replaces a launcher that is not built into this program: every launch fails with that reason.
pub struct UnavailableLauncher(pub LaunchType);

impl UnavailableLauncher {
    fn failure(&self) -> Failure {
        let message = format!(
            "cannot launch by {0}: this program was built without the {0} client; build it with feature `{0}`",
            self.0
        );
        Failure::new(Blame::Platform, "not-supported", message)
    }
}

impl Launcher for UnavailableLauncher {
    fn launch(&self, id: LaunchId, _: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
        let (ended, events) = (LaunchEnd::failed(self.failure()), events.clone());
        tokio::spawn(async move {
            events.send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(ended)) }).await
        });
    }

    fn stop(&self, _: LaunchId, _: bool) {}

    fn reach(&self) -> Doing<'_, Result<(), Failure>> {
        Box::pin(async { Err(self.failure()) })
    }
}
