//! The Docker Engine: connects once, remembers its properties, and pulls missing images.

use super::address::{Address, config_folder};
use super::api::Api;
use super::body::UserMapping;
use super::connection::Connector;
use super::credentials::{self, Credentials};
use super::error::ApiError;
use super::failure::{not_pulled, unreachable};
use crate::active_launches::PendingReason;
use crate::backoff::Backoff;
use crate::setting::Setting;
use pop_contract::Failure;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Time that requests to an unreachable registry are retried.
const UNREACHABLE: Duration = Duration::from_secs(15);
/// Longest time without progress during a pull.
const STALLED: Duration = Duration::from_mins(2);
/// Time limit of a credential helper.
const FINDING: Duration = Duration::from_secs(30);
/// The Engine that creates the containers.
pub(super) struct Engine {
    pub(super) api: Api,
    /// How users in containers map to users of the Engine's machine.
    pub(super) users: UserMapping,
    /// Number of processors of the Engine's machine; the Engine rejects higher limits.
    pub(super) processors: Option<u64>,
    /// Whether paths of this machine are also paths for the Engine.
    pub(super) is_local: bool,
    /// Set to false when the Engine fails to run an init. The Engine's description of itself does not have this fact.
    has_init: AtomicBool,
    config_folder: Option<PathBuf>,
}

impl Engine {
    /// Connects to the Engine.
    pub(super) async fn reach(setting: &Setting) -> Result<Self, Failure> {
        let address = Address::find(setting)?;
        let (is_local, asked) = (address.is_local(), address.to_string());
        let connector = Connector::new(address)?;
        let version = setting.surrounding("DOCKER_API_VERSION");
        let failed = |error: ApiError| {
            let mut failure = unreachable(&error);
            failure.message = format!("{} (address: {asked})", failure.message);
            failure
        };
        let api = Api::reach(connector, version).await.map_err(&failed)?;
        let info = api.info().await.map_err(&failed)?;
        Ok(Self {
            users: user_mapping(&info, api.is_podman),
            processors: info["NCPU"].as_u64().filter(|count| *count > 0),
            api,
            is_local,
            has_init: AtomicBool::new(true),
            config_folder: config_folder(setting),
        })
    }

    /// Whether the Engine runs a small init before programs, which forwards signals and reaps zombies.
    pub(super) fn has_init(&self) -> bool {
        self.has_init.load(Ordering::Relaxed)
    }

    /// Records that the Engine has no init; true if that was not known yet.
    pub(super) fn lacks_init(&self) -> bool {
        self.has_init.swap(false, Ordering::Relaxed)
    }

    /// Pulls an image. Retries temporary failures until `patience` is over; meanwhile `refusal` holds the last
    /// one.
    pub(super) async fn pull(
        &self,
        image: &str,
        patience: Option<Duration>,
        refusal: &PendingReason,
    ) -> Result<(), Failure> {
        let found = {
            let (folder, image) = (self.config_folder.clone(), image.to_owned());
            let (found, finding) = tokio::sync::oneshot::channel();
            // its own thread: a hanging helper program must not block other launches
            std::thread::spawn(move || {
                found.send(folder.and_then(|folder| credentials::find(&folder, &image)))
            });
            timeout(FINDING, finding).await.ok().and_then(Result::ok).flatten()
        };
        let has_credentials = found.is_some();
        let patience = patience.unwrap_or_default();
        let mut tries = Backoff::new(Some(patience));
        let hopeful = Instant::now() + patience.min(UNREACHABLE);
        loop {
            let Some(error) = self.pull_once(image, found.clone()).await else { return Ok(()) };
            let failure = not_pulled(image, &error, has_credentials);
            refusal.note(&failure);
            let may_change = match failure.code.as_str() {
                // a rate limit is temporary by definition
                "image-rate-limited" => true,
                "image-pull" | "storage" => Instant::now() < hopeful,
                _ => error.is_away(),
            };
            if !may_change || !tries.next(Duration::ZERO).await {
                return Err(failure);
            }
        }
    }

    /// Pulls an image once; returns the error of a failed pull.
    async fn pull_once(&self, image: &str, credentials: Option<Credentials>) -> Option<ApiError> {
        let pull = self.api.pull(image, credentials.as_ref().map(Credentials::header));
        // an Engine may answer only after the registry has
        let mut lines = match timeout(STALLED, pull).await {
            Ok(Ok(lines)) => lines,
            Ok(Err(error)) => return Some(error),
            Err(_) => return Some(ApiError::Late),
        };
        loop {
            match timeout(STALLED, lines.next()).await {
                Ok(Ok(None)) => return None,
                Ok(Ok(Some(news))) => {
                    if let Some(error) = news["error"].as_str() {
                        return Some(ApiError::PullFailed(error.to_owned()));
                    }
                }
                Ok(Err(error)) => return Some(error),
                Err(_) => return Some(ApiError::Late),
            }
        }
    }
}

/// How an Engine maps users, according to its description of itself.
fn user_mapping(info: &Value, is_podman: bool) -> UserMapping {
    let options = info["SecurityOptions"].as_array().into_iter().flatten();
    let is_rootless = info["Rootless"] == true
        || options
            .filter_map(Value::as_str)
            .any(|option| option.split(',').any(|part| part == "name=rootless"));
    match (is_rootless, is_podman) {
        (false, _) => UserMapping::Same,
        (true, true) => UserMapping::KeepId,
        (true, false) => UserMapping::RootIsCaller,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fr_e4_rootless_engine_is_recognised_by_either_sign() {
        for (info, is_podman, wanted) in [
            (json!({"SecurityOptions": ["name=seccomp,profile=default"]}), false, UserMapping::Same),
            (json!({"SecurityOptions": null}), false, UserMapping::Same),
            (json!({"SecurityOptions": ["name=seccomp", "name=rootless"]}), false, UserMapping::RootIsCaller),
            (json!({"Rootless": false}), true, UserMapping::Same),
            (
                json!({"Rootless": true, "SecurityOptions": ["name=seccomp,profile=default"]}),
                true,
                UserMapping::KeepId,
            ),
        ] {
            assert_eq!(user_mapping(&info, is_podman), wanted, "{info}");
        }
    }
}
