//! Orders turned into containers: created under a name that is theirs alone, followed, and removed when released.

use super::body::body;
use super::engine::Engine;
use super::failure::{answer, is_away, not_created, not_started, platform};
use super::follow::{Follow, exit_code};
use crate::followed::{Asked, Followed};
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
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// What this process has launched or taken over.
    known: Mutex<HashSet<Name>>,
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
            known: Mutex::default(),
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
        shared.know(&name);
        if order.again {
            let (shared, events) = (Arc::clone(&shared), events.clone());
            tokio::spawn(async move { shared.sweep_once(&events).await });
        }
        tokio::spawn(async move {
            let is_reaped = order.program.is_reaped();
            let mut output = Box::new(Output::new(id, order, &events, &shared.setting.secrets.mask()));
            let (exit, exists) = shared.carry_out(id, &name, &mut output, asked).await;
            let ended = output.finish(exit.map_err(Box::new)).await;
            shared.followed.end(id, (exists && is_reaped).then_some(name));
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
                if let Ok(engine) = shared.engine().await {
                    remove(&engine, &name).await;
                }
            });
        }
    }

    fn reach(&self) -> Doing<'_, Result<(), Failure>> {
        Box::pin(async { self.shared.engine().await.map(drop) })
    }

    fn close(&self) -> Doing<'_, ()> {
        Box::pin(async {
            if self.shared.setting.run.is_some() && self.shared.engine.initialized() {
                let shared = Arc::clone(&self.shared);
                self.shared.followed.leave(async move { shared.sweep(None).await });
            }
            self.shared.followed.close().await;
        })
    }
}

/// The code of a failure: the container that has the name is not the launch's.
const NAME_TAKEN: &str = "name-taken";

/// What a container was found to be when it was to be created.
enum Found {
    /// It did not exist, and was created.
    Created,
    /// It is the launch's own, made earlier.
    Own(ContainerState),
}

impl Shared {
    async fn engine(&self) -> Result<Arc<Engine>, Failure> {
        self.engine
            .get_or_try_init(|| async { Engine::reach(&self.setting).await.map(Arc::new) })
            .await
            .cloned()
    }

    fn know(&self, name: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    fn knows(&self, name: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// Carries a launch out; says also whether there is a container to be removed.
    async fn carry_out(
        &self,
        id: LaunchId,
        name: &str,
        output: &mut Output<'_>,
        mut asked: watch::Receiver<Asked>,
    ) -> (Result<Exit, Failure>, bool) {
        let engine = match self.engine().await {
            Ok(engine) => engine,
            Err(failure) => return (Err(failure), false),
        };
        let refusal = Mutex::new(None);
        let started = tokio::select! {
            biased;
            started = self.start(id, &engine, name, output, &refusal) => started,
            Ok(()) = asked.changed() => {
                // whatever of it has come into being goes with the release, or is found at the end
                self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                let refused = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
                let stopped = || platform("cancelled", "was stopped before its container had started");
                return (Err(refused.unwrap_or_else(stopped)), true);
            }
        };
        let mut follow = match started {
            Ok(follow) => follow,
            Err(failure) => {
                let is_own = failure.code != NAME_TAKEN;
                return (Err(failure), is_own);
            }
        };
        output.say(LaunchEvent::Running).await;
        (follow.until_end(output, &mut asked).await, true)
    }

    /// Has the container run, unless it does already or has.
    async fn start(
        &self,
        id: LaunchId,
        engine: &Arc<Engine>,
        name: &str,
        output: &mut Output<'_>,
        refusal: &Mutex<Option<Failure>>,
    ) -> Result<Follow, Failure> {
        let order = &output.order;
        if order.again {
            // its log is read again from the beginning
            output.begin_anew();
        }
        let order = &output.order;
        match self.create(id, engine, name, order, refusal).await? {
            Found::Own(state) if state.running == Some(true) || exit_code(&state).is_some() => {
                return Ok(Follow::of_log(Arc::clone(engine), name));
            }
            Found::Created | Found::Own(_) => {}
        }
        let attached = Follow::attach(Arc::clone(engine), name).await;
        let follow = attached.unwrap_or_else(|_| Follow::of_log(Arc::clone(engine), name));
        let mut tries = Tries::for_as_long_as(order.pending);
        loop {
            match engine.docker.start_container(name, None).await {
                Ok(()) => return Ok(follow),
                // started meanwhile
                Err(error) if answer(&error).is_some_and(|(status, _)| status == 304) => return Ok(follow),
                Err(error) if is_away(&error) && tries.next(Duration::ZERO).await => {}
                Err(error) => return Err(not_started(&error)),
            }
        }
    }

    /// Creates the container. To create one twice is no harm: the second time it is found by its name.
    async fn create(
        &self,
        id: LaunchId,
        engine: &Engine,
        name: &str,
        order: &LaunchOrder,
        refusal: &Mutex<Option<Failure>>,
    ) -> Result<Found, Failure> {
        let secrets = self.setting.secrets.values(&order.program.secrets)?;
        let mut body = body(id, order, &self.setting, &secrets, engine.has_init)?;
        if let (Some(host), Some(processors)) = (&mut body.host_config, engine.processors) {
            host.nano_cpus = host.nano_cpus.map(|nano_cpus| nano_cpus.min(processors * 1_000_000_000));
        }
        let image = body.image.clone().unwrap_or_default();
        let mut tries = Tries::for_as_long_as(order.pending);
        let mut is_pulled = false;
        let pulls_always = order.program.pod.as_ref().is_some_and(|pod| pod.pull_always);
        if pulls_always && !order.again {
            engine.pull(&image, order.pending, refusal).await?;
            is_pulled = true;
        }
        loop {
            let options = CreateContainerOptionsBuilder::default().name(name).build();
            let created = engine.docker.create_container(Some(options), body.clone()).await;
            let Err(error) = created else { return Ok(Found::Created) };
            match answer(&error) {
                Some((409, _)) => match engine.docker.inspect_container(name, None).await {
                    Ok(found) if is_own(&found, &order.name) => {
                        return Ok(Found::Own(found.state.unwrap_or_default()));
                    }
                    Ok(_) => {
                        let message = format!("a container of somebody else is called `{name}`");
                        return Err(platform(NAME_TAKEN, message));
                    }
                    // it has gone in between
                    Err(_) if tries.next(Duration::ZERO).await => {}
                    Err(error) => return Err(not_created(&error)),
                },
                Some((404, message)) if message.contains("No such image") && !is_pulled => {
                    engine.pull(&image, order.pending, refusal).await?;
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
        for container in found.into_iter().filter(|container| !self.knows(&name_of(container))) {
            let name = name_of(&container);
            if let (Some(events), Some(id)) = (events, id_of(&container)) {
                let state =
                    engine.docker.inspect_container(&name, None).await.ok().and_then(|found| found.state);
                if let Some(code) = state.as_ref().and_then(exit_code) {
                    let event = LaunchEvent::Late(Exit::Code(code as i32));
                    events.send(Launched { id, event }).await.ok();
                }
            }
            let is_over = container.state.is_some_and(|state| matches!(state, EXITED | DEAD));
            let is_reaped = container.labels.as_ref().and_then(|labels| labels.get(label::REAP));
            // what is over and was to stay, stays
            if !is_over || is_reaped.is_some_and(|reap| reap == "true") {
                remove(&engine, &name).await;
            }
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

fn is_own(found: &ContainerInspectResponse, launch: &str) -> bool {
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    labels.and_then(|labels| labels.get(label::LAUNCH)).is_some_and(|label| label == launch)
}

/// Removes a container with its anonymous volumes; one that is gone already is no matter.
async fn remove(engine: &Engine, name: &str) {
    let mut tries = Tries::for_as_long_as(Some(Duration::from_secs(20)));
    loop {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match engine.docker.remove_container(name, Some(options)).await {
            Err(Error::DockerResponseServerError { status_code: 404, .. }) | Ok(()) => return,
            Err(_) if tries.next(Duration::ZERO).await => {}
            Err(_) => return,
        }
    }
}
