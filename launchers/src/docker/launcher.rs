//! Orders turned into containers: created under a name that is theirs alone, followed, and removed when released.

use super::body::body;
use super::engine::Engine;
use super::failure::{answer, is_away, not_created, not_started, platform};
use super::follow::{Follow, exit_code};
use crate::followed::{Asked, Followed, Refusal, exit_of};
use crate::object_name::object_name;
use crate::output::Output;
use crate::port::{Doing, LaunchEvent, LaunchId, LaunchOrder, Launched, Launcher, label};
use crate::setting::Setting;
use crate::tries::Tries;
use bollard::errors::Error;
use bollard::models::ContainerSummaryStateEnum::{DEAD, EXITED};
use bollard::models::{ContainerInspectResponse, ContainerState, ContainerSummary};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use pop_registry::contract::{Exit, Failure};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{OnceCell, mpsc, watch};

/// Launches programs as containers of a Docker Engine.
///
/// *Guarantees.* A launch is one container, however often it is asked for; one that was launched by an earlier process
/// of the caller is taken over. A container is removed only after its launch was released.
#[derive(Clone)]
pub struct DockerLauncher {
    shared: Arc<Shared>,
}

struct Shared {
    setting: Setting,
    engine: OnceCell<Arc<Engine>>,
    followed: Followed<Name>,
    /// Set at the first launch: what an earlier process left and nobody follows is looked for once.
    swept: OnceCell<()>,
}

/// The name of a container.
type Name = String;

impl DockerLauncher {
    /// A launcher in a setting; the Engine is reached when it is first needed.
    pub fn new(setting: Setting) -> Self {
        let shared = Shared {
            setting,
            engine: OnceCell::new(),
            followed: Followed::default(),
            swept: OnceCell::new(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Launcher for DockerLauncher {
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<Launched>) {
        let (shared, events) = (Arc::clone(&self.shared), events.clone());
        let asked = shared.followed.begin(id);
        let name = object_name(order.program.prefix(), &order.name);
        shared.followed.know(&name);
        if order.again {
            let (shared, events) = (Arc::clone(&shared), events.clone());
            tokio::spawn(async move { shared.sweep_once(&events).await });
        }
        tokio::spawn(async move {
            let is_reaped = order.program.is_reaped();
            // read before there is a mask, so that what they are now is hidden too
            let secrets = shared.setting.secrets.values(&order.program.secrets);
            let mut output = Box::new(Output::new(id, order, &events, &shared.setting.secrets.mask()));
            let launch = Launch {
                id,
                name: &name,
                secrets,
                is_own: AtomicBool::new(false),
                refusal: Refusal::default(),
            };
            let exit = shared.carry_out(&launch, &mut output, asked).await;
            // one that did not end by itself may still run, or begin to
            let is_settled = exit.as_ref().map_or_else(|failure| failure.exit.is_some(), |_| true);
            let is_own = launch.is_own.into_inner();
            if !is_own {
                shared.followed.forget(&name);
            }
            let ended = output.finish(exit.map_err(Box::new)).await;
            shared.followed.end(id, (is_own && (is_reaped || !is_settled)).then_some(name));
            events.send(Launched { id, event: LaunchEvent::Ended(Box::new(ended)) }).await.ok();
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

/// One launch on its way.
struct Launch<'l> {
    id: LaunchId,
    name: &'l str,
    secrets: Result<Vec<(String, String)>, Failure>,
    /// Whether there is a container that is known to be the launch's own.
    is_own: AtomicBool,
    /// Why it has not been started yet.
    refusal: Refusal,
}

impl Shared {
    async fn engine(&self) -> Result<Arc<Engine>, Failure> {
        self.engine
            .get_or_try_init(|| async { Engine::reach(&self.setting).await.map(Arc::new) })
            .await
            .cloned()
    }

    /// Carries a launch out.
    async fn carry_out(
        &self,
        launch: &Launch<'_>,
        output: &mut Output<'_>,
        mut asked: watch::Receiver<Asked>,
    ) -> Result<Exit, Failure> {
        let made = tokio::select! {
            biased;
            made = self.make(launch, &output.order) => made,
            Ok(()) = asked.changed() => Err(launch.refusal.stopped("its container had started")),
        };
        let (engine, found) = made?;
        // from here on it may run: who is asked to stop it follows it all the same
        let mut follow = self.start(engine, found, launch, output).await?;
        output.begin();
        output.say(LaunchEvent::Running).await;
        follow.until_end(output, &mut asked).await
    }

    /// Makes the container, or finds it; none if it was made now.
    async fn make(
        &self,
        launch: &Launch<'_>,
        order: &LaunchOrder,
    ) -> Result<(Arc<Engine>, Option<ContainerState>), Failure> {
        let engine = self.engine().await?;
        let found = match self.find(&engine, launch, order).await? {
            Some(state) => Some(state),
            None => self.create(&engine, launch, order).await?,
        };
        launch.is_own.store(true, Ordering::Relaxed);
        Ok((engine, found))
    }

    /// Has the container run, unless it does already or has.
    async fn start(
        &self,
        engine: Arc<Engine>,
        found: Option<ContainerState>,
        launch: &Launch<'_>,
        output: &mut Output<'_>,
    ) -> Result<Follow, Failure> {
        let has_begun = |state: &ContainerState| state.running == Some(true) || exit_code(state).is_some();
        if found.as_ref().is_some_and(has_begun) {
            // its log is read again from the beginning
            output.begin_anew();
            return Ok(Follow::of_log(engine, launch.name));
        }
        let attached = Follow::attach(Arc::clone(&engine), launch.name).await;
        let follow = attached.unwrap_or_else(|_| Follow::of_log(Arc::clone(&engine), launch.name));
        let mut tries = Tries::for_as_long_as(output.order.pending);
        loop {
            match engine.docker.start_container(launch.name, None).await {
                Ok(()) => return Ok(follow),
                // started meanwhile
                Err(error) if answer(&error).is_some_and(|(status, _)| status == 304) => return Ok(follow),
                Err(error) if is_away(&error) && tries.next(Duration::ZERO).await => {}
                // an Engine that died while it started the container cannot start it any more
                Err(error)
                    if answer(&error).is_some_and(|(_, message)| message.contains("already in use")) =>
                {
                    let message = "the Docker Engine went away while it started the container";
                    return Err(platform("displaced", message));
                }
                Err(error) => return Err(not_started(&error)),
            }
        }
    }

    /// What an earlier process has made of the launch; taking it over needs nothing that a first start needs.
    async fn find(
        &self,
        engine: &Engine,
        launch: &Launch<'_>,
        order: &LaunchOrder,
    ) -> Result<Option<ContainerState>, Failure> {
        if !order.again {
            return Ok(None);
        }
        let mut tries = Tries::for_as_long_as(order.pending);
        loop {
            match engine.docker.inspect_container(launch.name, None).await {
                Ok(found) => return own_state(found, launch.name, order).map(Some),
                Err(error) if is_away(&error) && tries.next(Duration::ZERO).await => {}
                Err(error) if is_away(&error) => return Err(not_created(&error)),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Creates the container. To create one twice is no harm: the second time it is found by its name.
    async fn create(
        &self,
        engine: &Engine,
        launch: &Launch<'_>,
        order: &LaunchOrder,
    ) -> Result<Option<ContainerState>, Failure> {
        let secrets = launch.secrets.clone()?;
        let mut body = body(launch.id, order, &self.setting, &secrets, engine.has_init)?;
        if let (Some(host), Some(processors)) = (&mut body.host_config, engine.processors) {
            host.nano_cpus = host.nano_cpus.map(|nano_cpus| nano_cpus.min(processors * 1_000_000_000));
        }
        let image = body.image.clone().unwrap_or_default();
        let mut tries = Tries::for_as_long_as(order.pending);
        let mut is_pulled = false;
        if order.program.pod.as_ref().is_some_and(|pod| pod.pull_always) {
            engine.pull(&image, order.pending, &launch.refusal).await?;
            is_pulled = true;
        }
        loop {
            let options = CreateContainerOptionsBuilder::default().name(launch.name).build();
            let created = engine.docker.create_container(Some(options), body.clone()).await;
            let Err(error) = created else { return Ok(None) };
            match answer(&error) {
                Some((409, _)) => match engine.docker.inspect_container(launch.name, None).await {
                    Ok(found) => return own_state(found, launch.name, order).map(Some),
                    // it has gone in between
                    Err(_) if tries.next(Duration::ZERO).await => {}
                    Err(error) => return Err(not_created(&error)),
                },
                Some((404, message)) if message.contains("No such image") && !is_pulled => {
                    engine.pull(&image, order.pending, &launch.refusal).await?;
                    is_pulled = true;
                }
                None if is_away(&error) && tries.next(Duration::ZERO).await => {}
                _ => return Err(not_created(&error)),
            }
        }
    }

    /// Sweeps when the first launch is taken over: by then it is known which others are.
    async fn sweep_once(&self, events: &mpsc::Sender<Launched>) {
        self.swept.get_or_init(|| self.sweep(Some(events))).await;
    }

    /// Ends and removes containers of the run that nobody follows: what an earlier process had given up, or lost its
    /// name of, and what handlers left behind.
    async fn sweep(&self, events: Option<&mpsc::Sender<Launched>>) {
        let (Some(run), Ok(engine)) = (&self.setting.run, self.engine().await) else { return };
        let filters = HashMap::from([("label", vec![format!("{}={run}", label::RUN)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = engine.docker.list_containers(Some(options)).await.unwrap_or_default();
        for container in found {
            let (name, id) = (name_of(&container), id_of(&container));
            // a handler that is taken over may still need its programs
            let is_others = events.is_some() && id.is_none_or(LaunchId::is_external);
            if self.followed.knows(&name) || is_others {
                continue;
            }
            let is_over = container.state.is_some_and(|state| matches!(state, EXITED | DEAD));
            let reap = container.labels.as_ref().and_then(|labels| labels.get(label::REAP));
            // what is over and was to stay, stays
            if is_over && reap.is_none_or(|reap| reap != "true") {
                continue;
            }
            if let (Some(events), Some(id)) = (events, id) {
                let state =
                    engine.docker.inspect_container(&name, None).await.ok().and_then(|found| found.state);
                if let Some(code) = state.as_ref().and_then(exit_code) {
                    let event = LaunchEvent::Late(exit_of(code as i32));
                    events.send(Launched { id, event }).await.ok();
                }
            }
            remove(&engine, &name).await;
        }
    }
}

fn name_of(container: &ContainerSummary) -> Name {
    let names = container.names.as_deref().unwrap_or_default();
    names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default()
}

fn id_of(container: &ContainerSummary) -> Option<LaunchId> {
    container.labels.as_ref()?.get(label::LAUNCH_ID)?.parse().ok().map(LaunchId)
}

/// The state of a container that was found under a launch's name, if it is the launch's.
fn own_state(
    found: ContainerInspectResponse,
    name: &str,
    order: &LaunchOrder,
) -> Result<ContainerState, Failure> {
    let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
    if labels.get(label::LAUNCH).is_some_and(|launch| *launch == order.name) {
        return Ok(found.state.unwrap_or_default());
    }
    Err(platform("name-taken", format!("a container of somebody else is called `{name}`")))
}

/// Removes a container with its anonymous volumes; false if that could not be done.
async fn remove(engine: &Engine, name: &str) -> bool {
    let mut tries = Tries::for_as_long_as(Some(Duration::from_secs(20)));
    loop {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match engine.docker.remove_container(name, Some(options)).await {
            Err(Error::DockerResponseServerError { status_code: 404, .. }) | Ok(()) => return true,
            Err(_) if tries.next(Duration::ZERO).await => {}
            Err(_) => return false,
        }
    }
}
