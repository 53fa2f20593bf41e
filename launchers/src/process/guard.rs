//! The guard: a small process that survives this one for a moment, to kill the processes that this one started.

use super::orphans::{EXECUTOR_VARIABLE, LAUNCH_VARIABLE, RUN_VARIABLE, sweep};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// Seconds that a guard gets for its last sweep.
const LAST_SWEEP: i64 = 2;

/// A guard of this process.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
}

impl Guard {
    /// Starts a guard: this program again, with arguments that make it call [`stand_guard`].
    pub(super) fn start(command: &[String]) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut guard = Command::new(program);
        // its own group: signals to a terminal's foreground group do not reach it
        guard.args(args).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // this process may itself belong to a run; the guard must not
        guard.env_remove(EXECUTOR_VARIABLE).env_remove(RUN_VARIABLE).env_remove(LAUNCH_VARIABLE);
        Ok(Self { process: guard.spawn()? })
    }

    pub(super) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// Whether the guard works: it has neither ended nor been stopped.
    pub(super) fn is_well(&self) -> bool {
        let Some(pid) = Pid::from_raw(self.pid()) else { return false };
        let changes = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
        let looks = WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(pid), changes | looks), Ok(None))
    }

    /// Waits for the end of the guard, up to this time; true if it has ended.
    fn ends(&self, seconds: i64) -> bool {
        let process = Pid::from_raw(self.pid()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let Some(process) = process else { return false };
        let patience = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)) == Ok(1)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // at the end of its input the guard kills the processes that are left, and ends
        drop(self.process.stdin.take());
        // a stopped guard does not end by itself
        if !self.is_well() || !self.ends(LAST_SWEEP) {
            self.process.kill().ok();
        }
        self.process.wait().ok();
    }
}

/// Runs as the guard of an executor: waits until the executor is gone, then kills the processes that it started.
pub fn stand_guard(executor: &str) {
    let mut nothing = Vec::new();
    // an unreadable input counts as ended
    io::stdin().lock().read_to_end(&mut nothing).ok();
    sweep(&format!("{EXECUTOR_VARIABLE}={executor}"), |_| true);
}
