//! What runs containers: one interface over the backends.

use super::docker::{self, DockerEngine};
use super::process::{self, ProcessEngine};
use crate::log::ContainerLog;
use crate::{Backend, Config};
use rustix::process::Signal;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A container that is to be started.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) image: String,
    pub(crate) pull_policy: String,
    /// Instead of the image's entry point.
    pub(crate) command: Vec<String>,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) working_folder: Option<String>,
    pub(crate) mounts: Vec<Mount>,
    /// `uid` or `uid:gid`, instead of the image's.
    pub(crate) user: Option<String>,
    pub(crate) is_privileged: bool,
    /// In thousandths.
    pub(crate) cpu: Option<i128>,
    /// In thousandths of a byte.
    pub(crate) memory: Option<i128>,
    /// What the containers of its pod share.
    pub(crate) sandbox: String,
    /// A folder of its own.
    pub(crate) folder: PathBuf,
}

/// What the containers of a pod share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sandbox {
    pub(crate) ip: String,
    pub(crate) id: String,
}

/// A volume at its place in a container.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) target: String,
    pub(crate) is_read_only: bool,
}

/// Why a container is not started.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// It waits, with this reason, and is tried again.
    Waiting { reason: &'static str, message: String },
    /// Its program cannot be run.
    Broken { message: String },
}

/// How a container ended.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    pub(crate) code: i64,
    pub(crate) is_out_of_memory: bool,
    /// What it left at the path of its termination message.
    pub(crate) message: String,
}

/// A container that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) id: String,
    pub(crate) image_id: String,
    pub(crate) stopper: Stopper,
    pub(crate) exit: oneshot::Receiver<Exit>,
}

pub(crate) type Started = Result<(String, String, Stopper), NotStarted>;

/// The way to end a container.
#[derive(Debug, Clone)]
pub(crate) enum Stopper {
    Process(process::Group),
    Docker(docker::Handle),
}

impl Stopper {
    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        match self {
            Self::Process(group) => group.signal(signal),
            Self::Docker(handle) => handle.signal(signal),
        }
    }
}

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

    /// The address under which containers reach the server.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Process(_) => "127.0.0.1",
            Self::Docker(engine) => &engine.host,
        }
    }

    /// Makes what the containers of a pod share.
    pub(crate) async fn open_pod(&self, name: &str) -> Result<Sandbox, String> {
        match self {
            Self::Process(_) => Ok(Sandbox { ip: "127.0.0.1".to_owned(), id: String::new() }),
            Self::Docker(engine) => engine.open_pod(name).await,
        }
    }

    /// Removes what the containers of a pod shared.
    pub(crate) async fn close_pod(&self, sandbox: &Sandbox) {
        match self {
            Self::Docker(engine) if !sandbox.id.is_empty() => engine.remove(&sandbox.id).await,
            _ => {}
        }
    }

    /// Starts a container.
    pub(crate) async fn start(&self, order: Order, log: Arc<ContainerLog>) -> Result<Running, NotStarted> {
        match self {
            Self::Process(engine) => engine.start(order, log),
            Self::Docker(engine) => engine.start(order, log).await,
        }
    }

    /// Sees to an image: it is there, or the reason why not.
    pub(crate) async fn look_up(&self, order: &Order) -> Result<(), NotStarted> {
        if !is_image_name(&order.image) {
            let message = format!(
                "Failed to apply default image tag {:?}: couldn't parse image name {:?}: invalid reference format",
                order.image, order.image
            );
            return Err(NotStarted::Waiting { reason: "InvalidImageName", message });
        }
        let is_there = match self {
            Self::Process(engine) => engine.has(&order.image),
            Self::Docker(engine) => engine.find(&order.image).await.is_some(),
        };
        if is_there {
            return Ok(());
        }
        let image = &order.image;
        if order.pull_policy == "Never" {
            let message = format!("Container image {image:?} is not present with pull policy of Never");
            return Err(NotStarted::Waiting { reason: "ErrImageNeverPull", message });
        }
        let message = format!(
            "failed to pull and unpack image {image:?}: failed to resolve reference {image:?}: pull access denied, \
             repository does not exist or may require authorization"
        );
        Err(NotStarted::Waiting { reason: "ErrImagePull", message })
    }

    /// Ends everything that was started.
    pub(crate) async fn end(&self) {
        match self {
            Self::Process(engine) => engine.end(),
            Self::Docker(engine) => engine.end().await,
        }
    }
}

/// Whether a name is a reference to an image: `host:5000/path/name:tag@sha256:…`.
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
    fn image_names_are_checked_before_anything_is_pulled() {
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
