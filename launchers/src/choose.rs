//! The launcher for a launch type.

use crate::port::Launcher;
use crate::process::ProcessLauncher;
use crate::setting::Setting;
use pop_registry::contract::LaunchType;
use std::sync::Arc;

/// The launcher for a launch type. Nothing is reached yet: who launches nothing needs no Engine and no cluster.
pub fn choose(launch_type: LaunchType, setting: Setting) -> Arc<dyn Launcher> {
    match launch_type {
        LaunchType::Local => Arc::new(ProcessLauncher::of(setting)),
        #[cfg(feature = "docker")]
        LaunchType::Docker => Arc::new(crate::DockerLauncher::new(setting)),
        #[cfg(feature = "kubernetes")]
        LaunchType::Kubernetes => Arc::new(crate::KubernetesLauncher::new(setting)),
        #[cfg(not(all(feature = "docker", feature = "kubernetes")))]
        other => Arc::new(missing::Missing(other)),
    }
}

#[cfg(not(all(feature = "docker", feature = "kubernetes")))]
mod missing {
    use crate::port::{Doing, Ended, LaunchEvent, LaunchId, LaunchOrder, Launched, Launcher};
    use pop_registry::contract::{Blame, Failure, LaunchType};
    use tokio::sync::mpsc;

    /// A launcher that this program was built without.
    pub(super) struct Missing(pub(super) LaunchType);

    impl Missing {
        fn failure(&self) -> Failure {
            let message = format!("this program was built without its {} launcher", self.0);
            Failure::new(Blame::Platform, "not-supported", message)
        }
    }

    impl Launcher for Missing {
        fn launch(&self, id: LaunchId, _: LaunchOrder, events: &mpsc::Sender<Launched>) {
            let (ended, events) = (Ended::failed(self.failure()), events.clone());
            tokio::spawn(async move {
                events.send(Launched { id, event: LaunchEvent::Ended(Box::new(ended)) }).await
            });
        }

        fn stop(&self, _: LaunchId, _: bool) {}

        fn reach(&self) -> Doing<'_, Result<(), Failure>> {
            Box::pin(async { Err(self.failure()) })
        }
    }
}
