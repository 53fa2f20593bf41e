//! The Docker Engine: reached once, asked with a deadline, and given images when it lacks them.

use super::credentials;
use super::failure::{is_away, not_pulled, platform, unreachable};
use crate::followed::Refusal;
use crate::setting::Setting;
use crate::tries::Tries;
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use pop_registry::contract::Failure;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the Engine may take to answer.
const CALL: Duration = Duration::from_mins(1);
/// How long a registry that cannot be reached is asked again.
const UNREACHABLE: Duration = Duration::from_secs(15);
/// How long a pull may tell nothing.
const STALLED: Duration = Duration::from_mins(2);
/// How long a program that knows credentials may take.
const FINDING: Duration = Duration::from_secs(30);
/// Where it listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "unix:///var/run/docker.sock";

/// The Engine that containers are made by.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) docker: Docker,
    /// Whether it can put a small init before programs, which hands signals on and reaps.
    pub(super) has_init: bool,
    /// How many processors it has; it refuses to promise more.
    pub(super) processors: Option<i64>,
    config_folder: Option<PathBuf>,
}

impl Engine {
    /// Reaches the Engine.
    pub(super) async fn reach(setting: &Setting) -> Result<Self, Failure> {
        let host = setting.surrounding("DOCKER_HOST").unwrap_or(SOCKET);
        let docker = Docker::connect_with_host(host)
            .map_err(|error| platform("engine", format!("`{host}` cannot be a Docker Engine: {error}")))?;
        let docker = docker.with_timeout(CALL).negotiate_version().await.map_err(|error| {
            let mut failure = unreachable(&error);
            failure.message = format!("{} (asked at {host})", failure.message);
            failure
        })?;
        let info = docker.info().await.map_err(|error| unreachable(&error))?;
        let config_folder =
            credentials::config_folder(setting.surrounding("DOCKER_CONFIG"), setting.surrounding("HOME"));
        Ok(Self {
            docker,
            has_init: info.init_binary.is_some_and(|binary| !binary.is_empty()),
            processors: info.ncpu.filter(|count| *count > 0),
            config_folder,
        })
    }

    /// Pulls an image; what may be otherwise in a while is tried again until `patience` is over, and stands in
    /// `refusal` meanwhile.
    pub(super) async fn pull(
        &self,
        image: &str,
        patience: Option<Duration>,
        refusal: &Refusal,
    ) -> Result<(), Failure> {
        let found = {
            let (folder, image) = (self.config_folder.clone(), image.to_owned());
            let (found, finding) = tokio::sync::oneshot::channel();
            // a thread of its own: one that a helper program holds up for ever must hold nobody else up
            std::thread::spawn(move || {
                found.send(folder.and_then(|folder| credentials::find(&folder, &image)))
            });
            timeout(FINDING, finding).await.ok().and_then(Result::ok).flatten()
        };
        let has_credentials = found.is_some();
        let patience = patience.unwrap_or_default();
        let mut tries = Tries::for_as_long_as(Some(patience));
        let hopeful = Instant::now() + patience.min(UNREACHABLE);
        loop {
            let Some(error) = self.pull_once(image, found.clone()).await else { return Ok(()) };
            let failure = not_pulled(image, &error, has_credentials);
            refusal.note(&failure);
            let may_change = match failure.code.as_str() {
                // the registry itself asks for patience
                "image-rate-limited" => true,
                "image-pull" | "storage" => Instant::now() < hopeful,
                _ => is_away(&error),
            };
            if !may_change || !tries.next(Duration::ZERO).await {
                return Err(failure);
            }
        }
    }
    /// Pulls an image, once; what went wrong if something did.
    async fn pull_once(&self, image: &str, credentials: Option<DockerCredentials>) -> Option<Error> {
        // a name without a tag means the latest; otherwise the Engine would pull every tag
        let name = image.rsplit('/').next().unwrap_or(image);
        let tag = if name.contains([':', '@']) { "" } else { "latest" };
        let options = CreateImageOptionsBuilder::default().from_image(image).tag(tag).build();
        let mut told = Box::pin(self.docker.create_image(Some(options), None, credentials));
        loop {
            match timeout(STALLED, told.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return Some(error),
                Err(_) => return Some(Error::RequestTimeoutError),
            }
        }
    }
}
