//! Starts one program and follows it to its end: as a process, as a container or as a pod.
//!
//! Two callers launch programs through one port, [`Launcher`]: the executor launches operations, a handler its
//! external programs. A launcher knows nothing of agendas and runs: it takes an order and sends
//! [`LaunchEvent`]s.

#[cfg(any(feature = "docker", feature = "kubernetes"))]
mod active_launches;
#[cfg(any(feature = "docker", feature = "kubernetes"))]
mod backoff;
mod bounded;
mod choose;
#[cfg(feature = "docker")]
mod docker;
mod handler_calls;
mod handler_order;
mod handler_program;
#[cfg(feature = "kubernetes")]
mod kube;
mod last_lines;
mod log;
mod mask;
#[cfg(any(feature = "docker", feature = "kubernetes"))]
mod object_name;
mod output;
mod port;
mod private_file;
pub mod process;
mod regular_file;
mod report_lines;
mod secrets;
mod setting;
mod stop_request;
mod transcript;
mod warm;

pub use choose::{UnavailableLauncher, choose};
#[cfg(feature = "docker")]
pub use docker::{DockerLauncher, EndedContainer, EndedContainers, container_body};
pub use handler_calls::{CallError, CallSettings, HandlerCalls};
pub use handler_order::{HandlerProgram, HandlerTask, NOT_WARM};
pub use handler_program::{WriteFile, handler_program, pass_payload};
#[cfg(feature = "kubernetes")]
pub use kube::{KubernetesLauncher, client, pod_manifest};
pub use last_lines::LOG_TAIL_LINES;
pub use log::{LOG_HEAD_LIMIT, Log, LogSummary, log_failure};
pub use mask::{Mask, MaskStream};
pub use port::{
    CAPTURE_LIMIT, DEFAULT_GRACE, Doing, InstanceSocket, LaunchEnd, LaunchEvent, LaunchId, LaunchOrder,
    LaunchUpdate, Launcher, Line, MOUNTED_SOCKET, PreparedLaunch, Program, RunOnce, StdoutUse, Stream,
    WarmOrder, label,
};
pub use private_file::{make_private_folder, write_private};
pub use process::ProcessLauncher;
pub use regular_file::{open_regular_file, read_regular_file};
pub use report_lines::{ReportLines, ReportState};
pub use secrets::Secrets;
pub use setting::{Cluster, Setting};
pub use transcript::Transcript;
pub use warm::WarmLauncher;
