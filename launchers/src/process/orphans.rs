//! What programs leave behind: descendants that left their group, found by what they inherited, and ended.
//!
//! Three nets, each for what slips through the one before. The process group is killed when its program ends. What
//! has left the group (`setsid`, double fork) is adopted by this process, a child subreaper, and is told from others
//! by the variable `POP_LAUNCH` that it inherited. When this process itself is killed, its [`Guard`] outlives it and
//! ends everything that inherited its `POP_EXECUTOR`: this process's alone, for the run may go on under another. *Caveat.* A program that leaves its group and clears its
//! environment slips through the second net until the run ends, and through the third for good.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitid,
};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The variable by which what a launch started is known, however far it went.
pub const LAUNCH_VARIABLE: &str = "POP_LAUNCH";
/// The variable by which everything that one executor started is known.
pub const EXECUTOR_VARIABLE: &str = "POP_EXECUTOR";
/// The variable by which everything of a run is known.
const RUN_VARIABLE: &str = "POP_RUN_ID";
/// How often a run is swept for what forks while it is swept.
const ROUNDS: usize = 100;

/// Orphans of launches, adopted by this process.
#[derive(Debug)]
pub(super) struct Orphans {
    /// The list of this process's children; none where the kernel does not tell.
    children: Option<OwnedFd>,
}

impl Orphans {
    /// From now on orphans come to this process instead of to the system's first.
    pub(super) fn adopt() -> io::Result<Self> {
        let own = getpid();
        set_child_subreaper(Some(own))?;
        let list = format!("/proc/self/task/{own}/children");
        Ok(Self { children: open(list, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok() })
    }

    /// Collects orphans that have ended, and ends those of one launch; of every launch if none is named.
    pub(super) fn clear(&self, launch: Option<&str>, is_known: impl Fn(i32) -> bool) {
        let unknown: Vec<i32> = self.list().into_iter().filter(|pid| !is_known(*pid)).collect();
        if unknown.is_empty() {
            return;
        }
        let wanted = launch.map(|name| format!("{LAUNCH_VARIABLE}={name}"));
        for pid in unknown {
            let Some(pid) = Pid::from_raw(pid) else { continue };
            let is_over =
                !matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(None));
            if !is_over && wanted.as_ref().is_none_or(|wanted| inherited(pid, wanted)) {
                end(pid, wanted.as_deref());
            }
        }
    }

    fn list(&self) -> Vec<i32> {
        let Some(children) = &self.children else { return Vec::new() };
        let mut few = [0; 256];
        match rustix::io::pread(children, &mut few, 0) {
            Ok(count) if count < few.len() => return numbers(&few[..count]),
            Ok(_) => {}
            Err(_) => return Vec::new(),
        }
        // after a storm of orphans the list is long
        let mut many = vec![0; 64 * 1024];
        let mut length = 0;
        while let Ok(count @ 1..) = rustix::io::pread(children, &mut many[length..], length as u64) {
            length += count;
            if length == many.len() {
                many.resize(2 * length, 0);
            }
        }
        numbers(&many[..length])
    }
}

/// The numbers in a list with spaces between them.
fn numbers(text: &[u8]) -> Vec<i32> {
    let words = text.split(|byte| *byte == b' ').filter_map(|word| std::str::from_utf8(word).ok());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Whether a process inherited a variable with this value.
fn inherited(pid: Pid, variable: &str) -> bool {
    let environment = fs::read(Path::new("/proc").join(pid.to_string()).join("environ"));
    environment.is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes()))
}

/// Kills a process, if it is still the one that was meant.
fn end(pid: Pid, variable: Option<&str>) {
    // the descriptor means one process for ever; looked at again through it, the number cannot be another's
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if variable.is_none_or(|variable| inherited(pid, variable)) {
        // it can only fail because the process is gone
        pidfd_send_signal(&process, Signal::KILL).ok();
    }
}

/// The processes that inherited the variable of a launch: what a launch that is over has left behind. Each is told as a
/// descriptor that becomes readable when the process ends, which one that is being killed does in a moment.
pub fn left_by(launch: &str) -> Vec<OwnedFd> {
    let wanted = format!("{LAUNCH_VARIABLE}={launch}");
    let opened = inheritors(&wanted).into_iter().filter_map(|pid| {
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // looked at again through the descriptor, the number cannot be another's
        inherited(pid, &wanted).then_some(process)
    });
    opened.collect()
}

/// Ends every process that belongs to a run, wherever it went. Nobody may be executing the run.
pub fn sweep_run(run: &str) {
    sweep(&format!("{RUN_VARIABLE}={run}"));
}

/// Ends every process that inherited a variable with this value.
fn sweep(wanted: &str) {
    for _ in 0..ROUNDS {
        let found = inheritors(wanted);
        if found.is_empty() {
            return;
        }
        for pid in found {
            end(pid, Some(wanted));
        }
    }
}

/// Every other process that inherited a variable with this value; none where the system does not tell.
fn inheritors(wanted: &str) -> Vec<Pid> {
    let own = getpid();
    let processes = fs::read_dir("/proc").into_iter().flatten();
    let pids = processes.filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?));
    pids.filter(|pid| *pid != own && inherited(*pid, wanted)).collect()
}

/// A process that outlives this one for a moment, to end what belongs to its run.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
}

impl Guard {
    /// Starts a guard: this program again, with the arguments that make it [`stand_guard`].
    pub(super) fn start(command: &[String]) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut guard = Command::new(program);
        // a group of its own: what is sent to a terminal's foreground does not reach it
        guard.args(args).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // nor does it belong to a run that this process itself is part of
        Ok(Self {
            process: guard
                .env_remove(EXECUTOR_VARIABLE)
                .env_remove(RUN_VARIABLE)
                .env_remove(LAUNCH_VARIABLE)
                .spawn()?,
        })
    }

    pub(super) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // the end of its input tells it that we are gone; it sweeps and ends
        drop(self.process.stdin.take());
        self.process.wait().ok();
    }
}

/// Stands guard for an executor: waits until it is gone, then ends what it started.
pub fn stand_guard(executor: &str) {
    let mut nothing = Vec::new();
    // an input that cannot be read is as good as ended
    io::stdin().lock().read_to_end(&mut nothing).ok();
    sweep(&format!("{EXECUTOR_VARIABLE}={executor}"));
}
