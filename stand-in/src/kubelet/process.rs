//! Containers as local processes, each in its own process group.

use super::order::{ContainerOrder, Exit, RunningContainer, StartFailure, Stop};
use crate::log::ContainerLog;
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// Default `PATH` of containers, as in most images.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts processes and tracks those that run.
#[derive(Debug)]
pub(crate) struct ProcessEngine {
    images: Option<Vec<String>>,
    running: Arc<Mutex<Vec<Group>>>,
}

/// A process and its descendants.
#[derive(Debug, Clone)]
struct Group {
    leader: Pid,
    /// Whether the leader acts as process 1 of a PID namespace.
    is_init: bool,
    /// Whether the leader got a signal from outside.
    is_signalled: Arc<AtomicBool>,
}

impl Stop for Group {
    /// Signals the leader, as in a container; SIGKILL goes to the whole group.
    fn signal(&self, signal: Signal) {
        if signal != Signal::KILL && self.is_init && !has_handler(self.leader, signal) {
            return;
        }
        self.is_signalled.store(true, Ordering::Relaxed);
        // the process may have ended meanwhile
        if signal == Signal::KILL {
            kill_process_group(self.leader, signal).ok();
        } else {
            kill_process(self.leader, signal).ok();
        }
    }
}

/// Whether a process handles a signal. The kernel drops every other signal to process 1 of a PID namespace.
fn has_handler(process: Pid, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
    caught >> (signal.as_raw() - 1) & 1 == 1
}

/// Signals that process 1 of a PID namespace cannot send to itself.
const IGNORED_BY_INIT: [Signal; 7] =
    [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

impl ProcessEngine {
    pub(crate) fn new(images: Option<Vec<String>>) -> Self {
        Self { images, running: Arc::default() }
    }

    pub(crate) fn has(&self, image: &str) -> bool {
        self.images.as_ref().is_none_or(|images| images.iter().any(|known| known == image))
    }

    pub(crate) fn start(
        &self,
        order: ContainerOrder,
        log: Arc<ContainerLog>,
    ) -> Result<RunningContainer, StartFailure> {
        let broken = |why: String| StartFailure::Broken {
            message: format!(
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
                 failed: unable to start container process: {why}: unknown"
            ),
        };
        let root = place_mounts(&order).map_err(|why| broken(why.to_string()))?;
        let mut argv = order.command.iter().chain(&order.arguments);
        if order.working_folder.as_deref().is_some_and(|folder| !folder.starts_with('/')) {
            return Err(broken("cwd must be an absolute path".to_owned()));
        }
        let Some(program) = argv.next() else {
            return Err(broken("no command specified".to_owned()));
        };
        let mut command = Command::new(program);
        command
            .args(argv)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/")
            .envs(order.variables.iter().cloned());
        command.env("POP_STAND_IN_ROOT", &root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command.current_dir(working_folder(&order, &root));
        let mut child = command.spawn().map_err(|why| {
            let why = match why.kind() {
                io::ErrorKind::NotFound => format!("exec: {program:?}: executable file not found in $PATH"),
                io::ErrorKind::PermissionDenied => format!("exec: {program:?}: permission denied"),
                _ => format!("exec: {program:?}: {why}"),
            };
            broken(why)
        })?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let leader = pid.ok_or_else(|| broken("the process ended at once".to_owned()))?;
        let group = Group { leader, is_init: !order.shares_processes, is_signalled: Arc::default() };
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(group.clone());
        let stopper = Arc::new(group.clone());
        let outputs = [
            child.stdout.take().map(|output| tokio::spawn(read(output, Arc::clone(&log)))),
            child.stderr.take().map(|output| tokio::spawn(read(output, Arc::clone(&log)))),
        ];
        let (ended, exit) = oneshot::channel();
        let running = Arc::clone(&self.running);
        let message = order.folder.join("termination-log");
        tokio::spawn(async move {
            let code = wait(&mut child, &group).await;
            // the end of process 1 ends all processes of a container
            group.signal(Signal::KILL);
            let is_other = |other: &Group| other.leader != group.leader;
            running.lock().unwrap_or_else(PoisonError::into_inner).retain(is_other);
            for output in outputs.into_iter().flatten() {
                output.await.ok();
            }
            log.close();
            let message = fs::read_to_string(message).unwrap_or_default();
            // the worker of the pod may have ended
            ended.send(Exit { code, is_out_of_memory: false, message }).ok();
        });
        let id = format!("process://{}", uuid::Uuid::new_v4().simple());
        Ok(RunningContainer { id, image_id: order.image, stopper, exit })
    }

    /// Kills all running processes.
    pub(crate) fn end(&self) {
        for group in self.running.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            group.signal(Signal::KILL);
        }
    }
}

async fn wait(child: &mut Child, group: &Group) -> i64 {
    match child.wait().await {
        // a real process 1 ignores its own signal; assume that it then ended normally
        Ok(status) if group.is_init && is_own_signal(status, group) => 0,
        Ok(status) => {
            let signalled = status.signal().map_or(255, |signal| 128 + signal);
            status.code().unwrap_or(signalled).into()
        }
        Err(_) => 255,
    }
}

fn is_own_signal(status: std::process::ExitStatus, group: &Group) -> bool {
    let signal = status.signal();
    let is_ignored = IGNORED_BY_INIT.iter().any(|ignored| signal == Some(ignored.as_raw()));
    is_ignored && !group.is_signalled.load(Ordering::Relaxed)
}

/// The working folder of a container. Container runtimes create a missing one; here it is created below the root.
fn working_folder(order: &ContainerOrder, root: &Path) -> PathBuf {
    let Some(folder) = &order.working_folder else { return "/".into() };
    let folder = Path::new(folder);
    if folder.exists() {
        return folder.to_owned();
    }
    let created = root.join(folder.strip_prefix("/").unwrap_or(folder));
    // the following start reports a folder that cannot be created
    fs::create_dir_all(&created).ok();
    created
}

/// Links the mounts below a root folder, because their real paths belong to this machine.
fn place_mounts(order: &ContainerOrder) -> io::Result<PathBuf> {
    let root = order.folder.join("root");
    fs::create_dir_all(&root)?;
    for mount in &order.mounts {
        let target = root.join(mount.target.trim_matches('/'));
        fs::create_dir_all(target.parent().unwrap_or(Path::new("/")))?;
        if !target.is_symlink() {
            symlink(&mount.source, target)?;
        }
    }
    Ok(root)
}

async fn read(output: impl AsyncRead + Unpin, log: Arc<ContainerLog>) {
    let mut reader = BufReader::with_capacity(64 * 1024, output);
    loop {
        let Ok(bytes) = reader.fill_buf().await else { return };
        if bytes.is_empty() {
            return;
        }
        let time = Timestamp::now();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            log.append(time, line);
        }
        let read = bytes.len();
        reader.consume(read);
    }
}
