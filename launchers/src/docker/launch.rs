//! Brings one launch to a running container: finds or creates it under the launch's name, then starts it once.

use super::body::{EngineFacts, body};
use super::container::Container;
use super::engine::Engine;
use super::error::ApiError;
use super::failure::{is_without_init, not_created, not_started, platform};
use super::follow::Follow;
use super::mounts::check_host_paths;
use super::sweep::remove;
use crate::active_launches::PendingReason;
use crate::backoff::Backoff;
use crate::port::{LaunchId, LaunchOrder, label};
use crate::setting::Setting;
use pop_contract::Failure;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One launch until its container runs.
pub(super) struct Launch<'l> {
    pub(super) id: LaunchId,
    /// Name of the container.
    pub(super) name: &'l str,
    pub(super) setting: &'l Setting,
    pub(super) secrets: Result<Vec<(String, String)>, Failure>,
    /// Whether a container of this launch exists.
    pub(super) is_own: AtomicBool,
    /// The Engine's id of the container.
    pub(super) container: Mutex<Option<String>>,
    /// Reason why the container has not been started yet.
    pub(super) refusal: PendingReason,
}

impl Launch<'_> {
    /// Whether the program of a warm order, which an earlier process launched, was run once in a container. If not, an
    /// instance may have served the order; instances end with their launcher.
    pub(super) async fn was_run_once(&self, engine: &Engine, order: &LaunchOrder) -> Result<bool, Failure> {
        match self.find(engine, order).await? {
            Some(container) if container.has_begun() => Ok(true),
            Some(_) => {
                remove(engine, self.name).await;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Creates the container, or finds it; `None` if it was created now.
    pub(super) async fn make(
        &self,
        engine: &Engine,
        order: &LaunchOrder,
    ) -> Result<Option<Container>, Failure> {
        let found = match self.find(engine, order).await? {
            Some(container) => Some(container),
            None => self.create(engine, order).await?,
        };
        if let Some(container) = &found {
            self.know(container);
        }
        self.is_own.store(true, Ordering::Relaxed);
        Ok(found)
    }

    /// Starts the container, unless it was started before.
    pub(super) async fn start(
        &self,
        engine: &Arc<Engine>,
        found: Option<Container>,
        order: &LaunchOrder,
    ) -> Result<Follow, Failure> {
        if found.as_ref().is_some_and(Container::has_begun) {
            let mut follow = Follow::of_log(Arc::clone(engine), self.name, true);
            follow.count(self.container_id(), order);
            follow.started();
            return Ok(follow);
        }
        let mut tries = Backoff::new(order.pending);
        loop {
            let attached = Follow::attach(Arc::clone(engine), self.name).await;
            let mut follow =
                attached.unwrap_or_else(|_| Follow::of_log(Arc::clone(engine), self.name, false));
            follow.count(self.container_id(), order);
            let started = engine.api.start(self.name).await;
            follow.started();
            let Err(error) = started else { return Ok(follow) };
            if error.is_away() {
                // a start whose answer was lost may have worked; another start would run an ended container again
                if self.has_begun(engine).await {
                    return Ok(follow);
                }
                if !tries.next(Duration::ZERO).await {
                    return Err(not_started(&error));
                }
            } else if is_without_init(&error) && engine.lacks_init() {
                engine.api.remove(self.name).await.map_err(|error| not_started(&error))?;
                self.create(engine, order).await?;
            } else if error.message().is_some_and(|message| message.contains("already in use")) {
                // a container whose start was interrupted by the Engine's end cannot be started any more
                let message = "the Docker Engine went away while it started the container";
                return Err(platform("displaced", message));
            } else {
                return Err(not_started(&error));
            }
        }
    }

    /// Remembers the Engine's id of the container.
    fn know(&self, container: &Container) {
        let id = container.id().map(str::to_owned);
        *self.container.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    /// The Engine's id of the container, if it is known.
    fn container_id(&self) -> Option<String> {
        self.container.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn has_begun(&self, engine: &Engine) -> bool {
        let found = engine.api.inspect(self.name).await;
        found.is_ok_and(|found| found.is_some_and(|container| container.has_begun()))
    }

    /// The container that an earlier process created. It needs none of the checks of a first start.
    async fn find(&self, engine: &Engine, order: &LaunchOrder) -> Result<Option<Container>, Failure> {
        if !order.again {
            return Ok(None);
        }
        let mut tries = Backoff::new(order.pending);
        loop {
            match self.own(engine, order).await {
                Err(error) if error.is_away() && tries.next(Duration::ZERO).await => {}
                Err(error) => return Err(not_created(&error)),
                Ok(found) => return found.transpose(),
            }
        }
    }

    /// The container with the launch's name, if it exists; a failure if pop did not create it.
    async fn own(
        &self,
        engine: &Engine,
        order: &LaunchOrder,
    ) -> Result<Option<Result<Container, Failure>>, ApiError> {
        let found = engine.api.inspect(self.name).await?;
        Ok(found.map(|container| {
            if container.label(label::LAUNCH) == Some(&order.name) {
                return Ok(container);
            }
            Err(platform("name-taken", format!("another container has the name `{}`", self.name)))
        }))
    }

    /// Creates the container. If an earlier request has created it already, finds it by name.
    async fn create(&self, engine: &Engine, order: &LaunchOrder) -> Result<Option<Container>, Failure> {
        if engine.is_local {
            check_host_paths(&order.program, self.setting)?;
        } else if order.socket.is_some() {
            return Err(platform(
                "mount",
                "the Docker Engine runs on another machine and cannot mount a socket of this one",
            ));
        }
        let mut body = self.body(engine, order)?;
        let image = body["Image"].as_str().unwrap_or_default().to_owned();
        let mut tries = Backoff::new(order.pending);
        let mut is_pulled = false;
        if order.program.pod.as_ref().is_some_and(|pod| pod.pull_always) {
            engine.pull(&image, order.pending, &self.refusal).await?;
            is_pulled = true;
        }
        let mut may_have_gone = true;
        loop {
            let error = match engine.api.create(self.name, &body).await {
                Ok(created) => {
                    self.know(&created);
                    return Ok(None);
                }
                Err(error) => error,
            };
            match error.status() {
                None if tries.next(Duration::ZERO).await => {}
                None => return Err(not_created(&error)),
                // only the image can be missing, whatever the answer calls it
                Some(404) if !is_pulled => {
                    engine.pull(&image, order.pending, &self.refusal).await?;
                    is_pulled = true;
                }
                Some(_) if is_without_init(&error) && engine.lacks_init() => {
                    body = self.body(engine, order)?;
                }
                // Engines report a name conflict with different statuses
                Some(status) => match self.own(engine, order).await {
                    Ok(Some(found)) => return found.map(Some),
                    // the other container of that name may have been removed in between
                    Ok(None) if may_have_gone && matches!(status, 409 | 500) => may_have_gone = false,
                    Err(error) if error.is_away() && tries.next(Duration::ZERO).await => {}
                    Ok(None) | Err(_) => return Err(not_created(&error)),
                },
            }
        }
    }

    fn body(&self, engine: &Engine, order: &LaunchOrder) -> Result<Value, Failure> {
        let secrets = self.secrets.clone()?;
        let has_init = engine.has_init();
        let surroundings =
            EngineFacts { setting: self.setting, secrets: &secrets, has_init, users: engine.users };
        let mut body = body(self.id, order, &surroundings)?;
        let cpu = body.pointer_mut("/HostConfig/NanoCpus");
        if let (Some(cpu), Some(processors)) = (cpu, engine.processors) {
            let most = processors * 1_000_000_000;
            *cpu = cpu.as_u64().map_or(most, |wanted| wanted.min(most)).into();
        }
        Ok(body)
    }
}
