//! Containers as processes of this machine, each with a process group of its own.

use super::order::{Exit, NotStarted, Order, Running, Stop};
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

/// Where programs are found if a container says nothing else; as in most images.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts processes and knows which of them still run.
#[derive(Debug)]
pub(crate) struct ProcessEngine {
    images: Option<Vec<String>>,
    running: Arc<Mutex<Vec<Group>>>,
}

/// A process with all that it starts.
#[derive(Debug, Clone)]
struct Group {
    leader: Pid,
    /// Whether the leader is what a PID namespace calls process 1.
    is_init: bool,
    /// Whether a signal was sent to the leader from outside.
    is_signalled: Arc<AtomicBool>,
}

impl Stop for Group {
    /// Signals the leader, as in a container; being killed is for all.
    fn signal(&self, signal: Signal) {
        if signal != Signal::KILL && self.is_init && !has_handler(self.leader, signal) {
            return;
        }
        self.is_signalled.store(true, Ordering::Relaxed);
        // it may have ended meanwhile
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

    pub(crate) fn start(&self, order: Order, log: Arc<ContainerLog>) -> Result<Running, NotStarted> {
        let broken = |why: String| NotStarted::Broken {
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
        let leader = pid.ok_or_else(|| broken("it ended at once".to_owned()))?;
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
            // as with the first process of a container, all others end with it
            group.signal(Signal::KILL);
            let is_other = |other: &Group| other.leader != group.leader;
            running.lock().unwrap_or_else(PoisonError::into_inner).retain(is_other);
            for output in outputs.into_iter().flatten() {
                output.await.ok();
            }
            log.close();
            let message = fs::read_to_string(message).unwrap_or_default();
            // a pod whose worker is gone needs no exit
            ended.send(Exit { code, is_out_of_memory: false, message }).ok();
        });
        let id = format!("process://{}", uuid::Uuid::new_v4().simple());
        Ok(Running { id, image_id: order.image, stopper, exit })
    }

    /// Kills what still runs.
    pub(crate) fn end(&self) {
        for group in self.running.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            group.signal(Signal::KILL);
        }
    }
}

async fn wait(child: &mut Child, group: &Group) -> i64 {
    match child.wait().await {
        // process 1 would not have felt its own signal: the best guess is that nothing came after it
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

/// Where a container starts. A container runtime makes a working folder that is not there; here it is made below the root.
fn working_folder(order: &Order, root: &Path) -> PathBuf {
    let Some(wanted) = &order.working_folder else { return "/".into() };
    let wanted = Path::new(wanted);
    if wanted.exists() {
        return wanted.to_owned();
    }
    let made = root.join(wanted.strip_prefix("/").unwrap_or(wanted));
    // what cannot be made is told by the start that follows
    fs::create_dir_all(&made).ok();
    made
}

/// Makes the mounts visible below a folder: their places would otherwise be those of the machine.
fn place_mounts(order: &Order) -> io::Result<PathBuf> {
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
