//! The engine that runs containers: one interface over the backends.

use super::docker::DockerEngine;
use super::order::{ContainerOrder, RunningContainer, Sandbox, StartFailure};
use super::process::ProcessEngine;
use crate::config::{Backend, Config};
use crate::log::ContainerLog;
use std::sync::Arc;

/// One of the backends.
#[derive(Debug)]
pub(crate) enum Engine {
    Process(ProcessEngine),
    Docker(DockerEngine),
}

impl Engine {
    pub(crate) async fn open(config: &Config) -> Result<Arc<Self>, bollard::errors::Error> {
        Ok(Arc::new(match config.backend {
            Backend::Process => Self::Process(ProcessEngine::new(config.images.clone())),
            Backend::Docker => Self::Docker(DockerEngine::open().await?),
        }))
    }

    /// The address of the server for containers.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Process(_) => "127.0.0.1",
            Self::Docker(engine) => &engine.host,
        }
    }

    /// Creates the sandbox of a pod.
    pub(crate) async fn open_pod(&self, name: &str) -> Result<Sandbox, String> {
        match self {
            Self::Process(_) => Ok(Sandbox { ip: "127.0.0.1".to_owned(), id: String::new() }),
            Self::Docker(engine) => engine.open_pod(name).await,
        }
    }

    /// Removes the sandbox of a pod.
    pub(crate) async fn close_pod(&self, sandbox: &Sandbox) {
        match self {
            Self::Docker(engine) if !sandbox.id.is_empty() => engine.remove(&sandbox.id).await,
            _ => {}
        }
    }

    /// Starts a container.
    pub(crate) async fn start(
        &self,
        order: ContainerOrder,
        log: Arc<ContainerLog>,
    ) -> Result<RunningContainer, StartFailure> {
        match self {
            Self::Process(engine) => engine.start(order, log),
            Self::Docker(engine) => engine.start(order, log).await,
        }
    }

    /// Checks that an image exists, or returns the reason why it does not.
    pub(crate) async fn check_image(
        &self,
        order: &ContainerOrder,
        unreachable: &[String],
    ) -> Result<(), StartFailure> {
        if !is_image_name(&order.image) {
            let message = format!(
                "Failed to apply default image tag {:?}: couldn't parse image name {:?}: invalid reference format",
                order.image, order.image
            );
            return Err(StartFailure::Waiting { reason: "InvalidImageName", message });
        }
        let is_unreachable = unreachable.contains(&order.image);
        let is_there = match self {
            _ if is_unreachable => false,
            Self::Process(engine) => engine.has(&order.image),
            Self::Docker(engine) => engine.find(&order.image).await.is_some(),
        };
        if is_there {
            return Ok(());
        }
        let image = &order.image;
        if order.pull_policy == "Never" {
            let message = format!("Container image {image:?} is not present with pull policy of Never");
            return Err(StartFailure::Waiting { reason: "ErrImageNeverPull", message });
        }
        let why = if is_unreachable {
            "failed to do request: dial tcp 192.0.2.1:443: i/o timeout"
        } else {
            "pull access denied, repository does not exist or may require authorization"
        };
        let message = format!(
            "failed to pull and unpack image {image:?}: failed to resolve reference {image:?}: {why}"
        );
        Err(StartFailure::Waiting { reason: "ErrImagePull", message })
    }

    /// Ends everything that it started.
    pub(crate) async fn end(&self) {
        match self {
            Self::Process(engine) => engine.end(),
            Self::Docker(engine) => engine.end().await,
        }
    }
}

/// Whether a text is a valid image reference: `host:5000/path/name:tag@sha256:…`.
fn is_image_name(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let is_digest = digest.is_none_or(|digest| {
        digest
            .split_once(':')
            .is_some_and(|(_, hex)| hex.len() >= 32 && hex.bytes().all(|it| it.is_ascii_hexdigit()))
    });
    let last = name.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match name[last..].split_once(':') {
        Some((own, tag)) => (&name[..last + own.len()], Some(tag)),
        None => (name, None),
    };
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let is_tag = tag.is_none_or(|tag| !tag.is_empty() && tag.len() <= 128 && tag.bytes().all(is_word));
    let mut parts = path.split('/').peekable();
    let first = parts.peek().copied().unwrap_or_default();
    if path.contains('/') && (first.contains(['.', ':']) || first == "localhost") {
        parts.next();
    }
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| is_word(byte) && !byte.is_ascii_uppercase())
            && part.starts_with(|sign: char| sign.is_ascii_alphanumeric())
            && part.ends_with(|sign: char| sign.is_ascii_alphanumeric())
    };
    is_digest && is_tag && parts.all(is_part)
}

#[cfg(test)]
mod tests {
    use super::is_image_name;

    #[test]
    fn image_names_are_checked_before_a_pull() {
        for (name, expected) in [
            ("busybox", true),
            ("library/busybox:1.36", true),
            ("localhost:5000/a/b_c:latest", true),
            ("Registry.example.com/a:V1", true),
            ("Busybox", false),
            ("busybox:", false),
            ("a//b", false),
            ("a b", false),
            ("a@sha256:00", false),
        ] {
            assert_eq!(is_image_name(name), expected, "{name}");
        }
    }
}
