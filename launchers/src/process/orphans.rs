//! Processes that outlive the program that started them, found by session or by inherited variables.
//!
//! Three mechanisms; each catches what the previous one misses. A program leads its own session. A process that has
//! left the session (`setsid`) is adopted by this process, a child subreaper, and recognised by the variable
//! `POP_LAUNCH` that it inherited. If this process is killed, its [guard](super::guard) survives and kills all
//! processes that inherited this process's `POP_EXECUTOR`. The guard does not kill other executors, because the run may
//! continue under one of them.
//!
//! *Caveat.* A process that leaves its session and clears its environment escapes the second mechanism until
//! the run ends, and the third for good.

use super::identity::{executor, group, name, parent, session};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitid,
};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// Variable that marks every process of one launch.
pub const LAUNCH_VARIABLE: &str = "POP_LAUNCH";
/// Variable that marks every process started by one executor.
pub const EXECUTOR_VARIABLE: &str = "POP_EXECUTOR";
/// Variable that marks every process of one run.
pub(super) const RUN_VARIABLE: &str = "POP_RUN_ID";
/// Most sweeps over a run, for processes that fork during a sweep.
const ROUNDS: usize = 100;

/// Orphans of launches that this process has adopted.
#[derive(Debug)]
pub(super) struct Orphans {
    /// `/proc/self/task/.../children`; `None` if the kernel does not provide it.
    children: Option<OwnedFd>,
}

impl Orphans {
    /// Makes this process a child subreaper: it adopts orphans instead of init.
    pub(super) fn adopt() -> io::Result<Self> {
        let own = getpid();
        set_child_subreaper(Some(own))?;
        let list = format!("/proc/self/task/{own}/children");
        Ok(Self { children: open(list, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok() })
    }

    /// Whether the kernel lists the adopted processes.
    pub(super) fn are_known(&self) -> bool {
        self.children.is_some()
    }

    /// Living orphans. Reaps those that have ended.
    pub(super) fn living(&self, is_known: impl Fn(i32) -> bool) -> Vec<Pid> {
        let unknown = self.list().into_iter().filter(|pid| !is_known(*pid)).filter_map(Pid::from_raw);
        let lives = |pid: &Pid| {
            matches!(waitid(WaitId::Pid(*pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(None))
        };
        unknown.filter(lives).collect()
    }

    /// Kills every orphan.
    pub(super) fn clear(&self, is_known: impl Fn(i32) -> bool) {
        for pid in self.living(is_known) {
            end(pid, None);
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
        // a burst of orphans makes the list long
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

/// The numbers in a list separated by spaces.
fn numbers(text: &[u8]) -> Vec<i32> {
    let words = text.split(|byte| *byte == b' ').filter_map(|word| std::str::from_utf8(word).ok());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Whether a process inherited a variable with this value.
fn inherited(pid: Pid, variable: &str) -> bool {
    let environment = fs::read(Path::new("/proc").join(pid.to_string()).join("environ"));
    environment.is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes()))
}

/// Kills a process if it is still the intended one, and not another one with the same pid.
fn end(pid: Pid, variable: Option<&str>) {
    // the pidfd pins the process; the variable is checked again through it, in case the pid was reused
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if variable.is_none_or(|variable| inherited(pid, variable)) {
        // fails only if the process is gone
        pidfd_send_signal(&process, Signal::KILL).ok();
    }
}

/// The living processes that inherited the variable of a launch. Each is returned as a pidfd, which becomes
/// readable when the process ends.
pub fn left_by(launch: &str) -> Vec<OwnedFd> {
    let wanted = format!("{LAUNCH_VARIABLE}={launch}");
    let opened = inheritors(&wanted).into_iter().filter_map(|pid| {
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // checked again after the pidfd was opened, in case the pid was reused
        inherited(pid, &wanted).then_some(process)
    });
    opened.collect()
}

/// Kills every process of a run, whichever executor started it. No executor may be working on the run.
pub fn end_run(run: &str) {
    sweep(&format!("{RUN_VARIABLE}={run}"), |_| true);
}

/// Kills the processes that dead executors of a run have left behind, and returns the pids of living executors.
///
/// A process without the identity of an executor does not belong to pop and is not killed, whatever run it names.
pub fn sweep_run(run: &str) -> Vec<i32> {
    let mut living = BTreeSet::new();
    sweep(&format!("{RUN_VARIABLE}={run}"), |pid| {
        match variable(pid, EXECUTOR_VARIABLE).as_deref().and_then(executor) {
            Some(Some(executor)) => {
                living.insert(executor.as_raw_nonzero().get());
                false
            }
            Some(None) => true,
            None => false,
        }
    });
    living.remove(&getpid().as_raw_nonzero().get());
    living.into_iter().collect()
}

/// Kills the processes that inherited a variable with this value and match. Never kills an ancestor of this
/// process.
pub(super) fn sweep(wanted: &str, mut is_meant: impl FnMut(Pid) -> bool) {
    let ancestors: Vec<Pid> = std::iter::successors(Some(getpid()), |pid| parent(*pid)).collect();
    for _ in 0..ROUNDS {
        let mut found = inheritors(wanted);
        found.retain(|pid| !ancestors.contains(pid) && is_meant(*pid));
        if found.is_empty() {
            return;
        }
        for pid in found {
            end(pid, Some(wanted));
        }
    }
}

/// Every other process that inherited a variable with this value; empty if the system does not list processes.
fn inheritors(wanted: &str) -> Vec<Pid> {
    let own = getpid();
    processes().filter(|pid| *pid != own && inherited(*pid, wanted)).collect()
}

/// A process that outlives the program of its launch.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) pid: Pid,
    /// The pidfd, which always means this process.
    pub(super) process: OwnedFd,
}

impl Leftover {
    /// Opens a living process; `None` if it has ended.
    pub(super) fn open(pid: Pid) -> Option<Self> {
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let mut watched = [PollFd::new(&process, PollFlags::IN)];
        let lives = poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0);
        lives.then_some(Self { pid, process })
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), Errno> {
        pidfd_send_signal(&self.process, signal)
    }

    /// The pid and name for messages.
    pub(super) fn describe(&self) -> String {
        format!("{} `{}`", self.pid.as_raw_nonzero(), name(self.pid))
    }
}

/// Those among `pids` that belong to a launch: to the session of its program, or by the inherited variable.
pub(super) fn of_launch(pids: impl IntoIterator<Item = Pid>, launch: &str, program: Pid) -> Vec<Leftover> {
    let wanted = format!("{LAUNCH_VARIABLE}={launch}");
    let is_its = |pid: &Pid| {
        *pid != program && (session(*pid) == Some(program) || !launch.is_empty() && inherited(*pid, &wanted))
    };
    pids.into_iter().filter(is_its).filter_map(Leftover::open).collect()
}

/// The members of a program's session outside its process group.
pub(super) fn others_of_session(program: Pid) -> Vec<Leftover> {
    let is_other = |pid: &Pid| session(*pid) == Some(program) && group(*pid) != Some(program);
    processes().filter(is_other).filter_map(Leftover::open).collect()
}

/// Every process that `/proc` lists.
pub(super) fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
}

/// The value of a variable that a process inherited.
fn variable(pid: Pid, name: &str) -> Option<String> {
    let environment = fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).ok()?;
    let mut entries = environment.split(|byte| *byte == 0);
    let value = entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(value.to_vec()).ok()
}
