//! What programs leave behind: descendants that outlive their program, found by session or by what they inherited.
//!
//! Three nets, each for what slips through the one before. A program leads a session of its own. What has left the
//! session (`setsid`) is adopted by this process, a child subreaper, and is told from others by the variable
//! `POP_LAUNCH` that it inherited. When this process itself is killed, its [guard](super::guard) outlives it and ends
//! everything that inherited its `POP_EXECUTOR`: this process's alone, for the run may go on under another.
//!
//! *Caveat.* A program that leaves its session and clears its environment slips through the second net until the run
//! ends, and through the third for good.

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

/// The variable by which what a launch started is known, however far it went.
pub const LAUNCH_VARIABLE: &str = "POP_LAUNCH";
/// The variable by which everything that one executor started is known.
pub const EXECUTOR_VARIABLE: &str = "POP_EXECUTOR";
/// The variable by which everything of a run is known.
pub(super) const RUN_VARIABLE: &str = "POP_RUN_ID";
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

    /// Whether the kernel tells who was adopted.
    pub(super) fn are_known(&self) -> bool {
        self.children.is_some()
    }

    /// Orphans that live. Those that have ended are collected.
    pub(super) fn living(&self, is_known: impl Fn(i32) -> bool) -> Vec<Pid> {
        let unknown = self.list().into_iter().filter(|pid| !is_known(*pid)).filter_map(Pid::from_raw);
        let lives = |pid: &Pid| {
            matches!(waitid(WaitId::Pid(*pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(None))
        };
        unknown.filter(lives).collect()
    }

    /// Ends every orphan.
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

/// Ends every process that belongs to a run, wherever it went, whoever started it. Nobody may be executing the run.
pub fn end_run(run: &str) {
    sweep(&format!("{RUN_VARIABLE}={run}"), |_| true);
}

/// Ends what dead executors of a run have left behind, and gives the process numbers of executors that live.
///
/// What an executor started bears its identity. A process without one is not pop's to end, whatever run it names.
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

/// Ends the processes that inherited a variable with this value and are meant. An ancestor of this process never is.
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

/// Every other process that inherited a variable with this value; none where the system does not tell.
fn inheritors(wanted: &str) -> Vec<Pid> {
    let own = getpid();
    processes().filter(|pid| *pid != own && inherited(*pid, wanted)).collect()
}

/// A process that outlives the program whose launch it belongs to.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) pid: Pid,
    /// Its pidfd: this process for ever.
    pub(super) process: OwnedFd,
}

impl Leftover {
    /// A living process; none if it has ended.
    pub(super) fn open(pid: Pid) -> Option<Self> {
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let mut watched = [PollFd::new(&process, PollFlags::IN)];
        let lives = poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0);
        lives.then_some(Self { pid, process })
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), Errno> {
        pidfd_send_signal(&self.process, signal)
    }

    /// Its number and name.
    pub(super) fn describe(&self) -> String {
        format!("{} `{}`", self.pid.as_raw_nonzero(), name(self.pid))
    }
}

/// Those among `pids` that belong to a launch: to the session of its program, or by the variable that they inherited.
pub(super) fn of_launch(pids: impl IntoIterator<Item = Pid>, launch: &str, program: Pid) -> Vec<Leftover> {
    let wanted = format!("{LAUNCH_VARIABLE}={launch}");
    let is_its = |pid: &Pid| {
        *pid != program && (session(*pid) == Some(program) || !launch.is_empty() && inherited(*pid, &wanted))
    };
    pids.into_iter().filter(is_its).filter_map(Leftover::open).collect()
}

/// The members of a program's session that are not in its group.
pub(super) fn others_of_session(program: Pid) -> Vec<Leftover> {
    let is_other = |pid: &Pid| session(*pid) == Some(program) && group(*pid) != Some(program);
    processes().filter(is_other).filter_map(Leftover::open).collect()
}

/// Every process that the system tells of.
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
