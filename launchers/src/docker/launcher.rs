//! The Docker launcher: creates each launch's container under its own name, follows it, removes it when released.

use super::container::Container;
use super::engine::Engine;
use super::launch::Launch;
use super::sweep::{remove, sweep};
use crate::active_launches::{ActiveLaunches, PendingReason};
use crate::object_name::object_name;
use crate::output::Output;
use crate::port::{Doing, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher};
use crate::setting::Setting;
use crate::stop_request::StopRequest;
use pop_contract::{Exit, Failure};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use tokio::sync::{OnceCell, mpsc, watch};

/// Launches programs as containers of a Docker Engine.
///
/// *Guarantees.* A launch is one container, even if it is requested repeatedly. The launcher follows a container that
/// an earlier process of the caller launched. It removes a container only after its launch was released.
#[derive(Clone)]
pub struct DockerLauncher {
    shared: Arc<Shared>,
}

struct Shared {
    setting: Setting,
    engine: OnceCell<Arc<Engine>>,
    followed: ActiveLaunches<Name>,
    /// Set at the first launch: containers that no launch follows are searched for once.
    swept: OnceCell<()>,
}

/// The name of a container.
type Name = String;

impl DockerLauncher {
    /// A launcher with this setting. It connects to the Engine at the first launch.
    pub fn new(setting: Setting) -> Self {
        let shared = Shared {
            setting,
            engine: OnceCell::new(),
            followed: ActiveLaunches::default(),
            swept: OnceCell::new(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Launcher for DockerLauncher {
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
        let (shared, events) = (Arc::clone(&self.shared), events.clone());
        let stop = shared.followed.begin(id);
        let name = object_name(order.program.prefix(), &order.name);
        shared.followed.know(&name);
        if order.again {
            let (shared, events) = (Arc::clone(&shared), events.clone());
            tokio::spawn(async move { shared.sweep_once(&events).await });
        }
        tokio::spawn(async move {
            let is_reaped = order.program.is_reaped();
            // read before the mask is built, so that it also hides the current values
            let secrets = shared.setting.secrets.values(&order.program.secrets);
            let mut output = Box::new(Output::new(id, order, &events, &shared.setting.secrets.mask()));
            let launch = Launch {
                id,
                name: &name,
                setting: &shared.setting,
                secrets,
                is_own: AtomicBool::new(false),
                container: Mutex::default(),
                refusal: PendingReason::default(),
            };
            let Some(exit) = shared.carry_out(&launch, &mut output, stop).await.transpose() else {
                shared.followed.forget(&name);
                shared.followed.end(id, None);
                events.send(LaunchUpdate { id, event: LaunchEvent::Lost }).await.ok();
                return;
            };
            // a container that did not end by itself may still run, or start later
            let is_settled = exit.as_ref().map_or_else(|failure| failure.exit.is_some(), |_| true);
            let is_own = launch.is_own.into_inner();
            if !is_own {
                shared.followed.forget(&name);
            }
            let ended = output.finish(exit.map_err(Box::new)).await;
            shared.followed.end(id, (is_own && (is_reaped || !is_settled)).then_some(name));
            events.send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(ended)) }).await.ok();
        });
    }

    fn stop(&self, id: LaunchId, force: bool) {
        self.shared.followed.ask(id, force);
    }

    fn release(&self, id: LaunchId) {
        if let Some(name) = self.shared.followed.release(id) {
            let shared = Arc::clone(&self.shared);
            self.shared.followed.leave(async move {
                let is_gone = match shared.engine().await {
                    Ok(engine) => remove(&engine, &name).await,
                    Err(_) => false,
                };
                if !is_gone {
                    shared.followed.forget(&name);
                }
            });
        }
    }

    fn reach(&self) -> Doing<'_, Result<(), Failure>> {
        Box::pin(async { self.shared.engine().await.map(drop) })
    }

    fn close(&self) -> Doing<'_, ()> {
        Box::pin(async {
            self.shared.followed.close().await;
            if self.shared.setting.run.is_some() && self.shared.engine.initialized() {
                let shared = Arc::clone(&self.shared);
                self.shared.followed.leave(async move { shared.sweep(None).await });
                self.shared.followed.close().await;
            }
        })
    }
}

impl Shared {
    async fn engine(&self) -> Result<Arc<Engine>, Failure> {
        self.engine
            .get_or_try_init(|| async { Engine::reach(&self.setting).await.map(Arc::new) })
            .await
            .cloned()
    }

    /// Carries out a launch; `None` if an instance may have served it for an earlier process.
    async fn carry_out(
        &self,
        launch: &Launch<'_>,
        output: &mut Output<'_>,
        mut stop: watch::Receiver<StopRequest>,
    ) -> Result<Option<Exit>, Failure> {
        let made = tokio::select! {
            biased;
            made = self.make(launch, &output.order) => made,
            Ok(()) = stop.changed() => Err(launch.refusal.stopped("its container had started")),
        };
        let Some((engine, found)) = made? else { return Ok(None) };
        let has_begun = found.as_ref().is_some_and(Container::has_begun);
        // from here on the container may run: a stopped launch is still followed to its end
        let mut follow = launch.start(&engine, found, &output.order).await?;
        if has_begun {
            // the container's log is read again from the beginning
            output.begin_anew();
        }
        output.begin();
        output.say(LaunchEvent::Running).await;
        follow.until_end(output, &mut stop).await.map(Some)
    }

    async fn make(
        &self,
        launch: &Launch<'_>,
        order: &LaunchOrder,
    ) -> Result<Option<(Arc<Engine>, Option<Container>)>, Failure> {
        let engine = self.engine().await?;
        if order.again && order.warm.is_some() && !launch.was_run_once(&engine, order).await? {
            return Ok(None);
        }
        let found = launch.make(&engine, order).await?;
        Ok(Some((engine, found)))
    }

    /// Sweeps when the launcher follows the first launch of an earlier process: by then it knows the containers of the
    /// others.
    async fn sweep_once(&self, events: &mpsc::Sender<LaunchUpdate>) {
        self.swept.get_or_init(|| self.sweep(Some(events))).await;
    }

    async fn sweep(&self, events: Option<&mpsc::Sender<LaunchUpdate>>) {
        if let (Some(run), Ok(engine)) = (&self.setting.run, self.engine().await) {
            sweep(&engine, run, &self.followed, events).await;
        }
    }
}
