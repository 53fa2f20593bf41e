//! What a backend is given to start a container, and what it gives back.

use rustix::process::Signal;
use std::fmt::Debug;
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
    /// Its program is not the first process of a namespace, so it hears every signal.
    pub(crate) shares_processes: bool,
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
pub(crate) type Stopper = Arc<dyn Stop>;

/// Something that signals can be sent to.
pub(crate) trait Stop: Debug + Send + Sync {
    /// Sends a signal; a container that has ended meanwhile needs none.
    fn signal(&self, signal: Signal);
}
