//! The guard: a process that outlives this one for a moment, to end what belongs to its run.

use super::orphans::{EXECUTOR_VARIABLE, LAUNCH_VARIABLE, RUN_VARIABLE, sweep};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// How long a guard may take for its last sweep, in seconds.
const LAST_SWEEP: i64 = 2;

/// A guard of this process.
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
        guard.env_remove(EXECUTOR_VARIABLE).env_remove(RUN_VARIABLE).env_remove(LAUNCH_VARIABLE);
        Ok(Self { process: guard.spawn()? })
    }

    pub(super) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// Whether it can still do its duty: it was neither ended nor stopped by somebody.
    pub(super) fn is_well(&self) -> bool {
        let Some(pid) = Pid::from_raw(self.pid()) else { return false };
        let changes = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
        let looks = WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(pid), changes | looks), Ok(None))
    }

    /// Waits for its end, for a while; true if it has ended.
    fn ends(&self, seconds: i64) -> bool {
        let process = Pid::from_raw(self.pid()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let Some(process) = process else { return false };
        let patience = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)) == Ok(1)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // the end of its input tells it that we are gone; it sweeps and ends
        drop(self.process.stdin.take());
        // one that somebody has stopped does not
        if !self.is_well() || !self.ends(LAST_SWEEP) {
            self.process.kill().ok();
        }
        self.process.wait().ok();
    }
}

/// Stands guard for an executor: waits until it is gone, then ends what it started.
pub fn stand_guard(executor: &str) {
    let mut nothing = Vec::new();
    // an input that cannot be read is as good as ended
    io::stdin().lock().read_to_end(&mut nothing).ok();
    sweep(&format!("{EXECUTOR_VARIABLE}={executor}"), |_| true);
}
