//! Containers that pop has launched and that have ended, for clean-up outside of a run.

use super::container::Container;
use super::engine::Engine;
use super::error::ApiError;
use super::failure::{platform, unreachable};
use crate::port::label;
use crate::setting::Setting;
use pop_contract::Failure;

/// The containers of an Engine that pop has launched and that do not run any more.
///
/// They are left if the registry says to keep them, or if pop was killed and its run was never resumed.
#[derive(Clone)]
pub struct EndedContainers {
    engine: std::sync::Arc<Engine>,
}

/// A container that does not run any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedContainer {
    /// Its name.
    pub name: String,
    /// When its program ended, or when it was created if it was never started; RFC 3339, by the clock of the Engine.
    pub ended: String,
}

impl EndedContainers {
    /// Connects to the Engine that the setting's variables name (`DOCKER_HOST`).
    pub async fn reach(setting: &Setting) -> Result<Self, Failure> {
        Ok(Self { engine: Engine::reach(setting).await?.into() })
    }

    /// All of them.
    pub async fn list(&self) -> Result<Vec<EndedContainer>, Failure> {
        let listed = self.engine.api.list(label::LAUNCH_ID).await.map_err(|error| unreachable(&error))?;
        let mut ended = Vec::new();
        for name in listed.iter().map(Container::name) {
            // it may have been removed since
            let found = self.engine.api.inspect(name).await.map_err(|error| unreachable(&error))?;
            let time = found.as_ref().and_then(Container::ended_at).map(str::to_owned);
            ended.extend(time.map(|ended| EndedContainer { name: name.to_owned(), ended }));
        }
        Ok(ended)
    }

    /// Removes a container with its anonymous volumes. Fails if it runs again.
    pub async fn remove(&self, name: &str) -> Result<(), Failure> {
        self.engine.api.remove_ended(name).await.map_err(|error| match error {
            ApiError::Refused { message, .. } => platform("container", message),
            error => unreachable(&error),
        })
    }
}
