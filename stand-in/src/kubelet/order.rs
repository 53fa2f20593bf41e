//! The interface of backends: the order to start a container, and its outcome.

use rustix::process::Signal;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A container to start.
#[derive(Debug)]
pub(crate) struct ContainerOrder {
    pub(crate) image: String,
    pub(crate) pull_policy: String,
    /// Replaces the image's entry point unless empty.
    pub(crate) command: Vec<String>,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) working_folder: Option<String>,
    pub(crate) mounts: Vec<Mount>,
    /// `uid` or `uid:gid`; replaces the image's user.
    pub(crate) user: Option<String>,
    pub(crate) is_privileged: bool,
    /// Whether the pod shares its process namespace; then its program is not process 1 and gets every signal.
    pub(crate) shares_processes: bool,
    /// CPU limit in thousandths.
    pub(crate) cpu: Option<i128>,
    /// Memory limit in thousandths of a byte.
    pub(crate) memory: Option<i128>,
    /// Id of the pod's sandbox.
    pub(crate) sandbox: String,
    /// The container's own folder.
    pub(crate) folder: PathBuf,
}

/// The environment that the containers of a pod share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sandbox {
    pub(crate) ip: String,
    pub(crate) id: String,
}

/// A volume mounted in a container.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) target: String,
    pub(crate) is_read_only: bool,
}

/// Why a container did not start.
#[derive(Debug)]
pub(crate) enum StartFailure {
    /// The container waits with this reason, and the start is retried.
    Waiting { reason: &'static str, message: String },
    /// The program cannot run.
    Broken { message: String },
}

/// How a container ended.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    pub(crate) code: i64,
    pub(crate) is_out_of_memory: bool,
    /// Content of the termination message file.
    pub(crate) message: String,
}

/// A running container.
#[derive(Debug)]
pub(crate) struct RunningContainer {
    pub(crate) id: String,
    pub(crate) image_id: String,
    pub(crate) stopper: Stopper,
    pub(crate) exit: oneshot::Receiver<Exit>,
}

pub(crate) type StartResult = Result<(String, String, Stopper), StartFailure>;

/// The handle to stop a container.
pub(crate) type Stopper = Arc<dyn Stop>;

/// A container that receives signals.
pub(crate) trait Stop: Debug + Send + Sync {
    /// Sends a signal, unless the container has ended.
    fn signal(&self, signal: Signal);
}
