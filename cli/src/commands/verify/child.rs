//! Runs `pop run` as a child: prefixes its messages with the launcher, and forwards signals to it.

use super::super::signals::hear_signals;
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_agenda::CancelReason;
use pop_field_retriever::LaunchType;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Runs children one at a time, and forwards every signal of this process to the current one.
pub(super) struct Children(Arc<Mutex<CurrentChild>>);

#[derive(Default)]
struct CurrentChild {
    /// Process id of the running child; not reused while it is set, because the child has not been reaped.
    pid: Option<Pid>,
    /// Reason of the first signal.
    cancelled: Option<CancelReason>,
}

impl Children {
    /// Starts to listen for signals.
    pub(super) fn listen() -> std::io::Result<Self> {
        let (sender, mut cancels) = mpsc::unbounded_channel();
        hear_signals(sender)?;
        let now = Arc::new(Mutex::new(CurrentChild::default()));
        let forwarded = Arc::clone(&now);
        std::thread::Builder::new().name("forward-signals".to_owned()).spawn(move || {
            while let Some(reason) = cancels.blocking_recv() {
                let mut now = lock(&forwarded);
                now.cancelled.get_or_insert(reason);
                let signal = if reason == CancelReason::Interrupted { Signal::INT } else { Signal::TERM };
                if let Some(pid) = now.pid {
                    // the child may have ended
                    kill_process(pid, signal).ok();
                }
            }
        })?;
        Ok(Self(now))
    }

    /// Runs a child to its end and returns its exit code.
    pub(super) fn run(&self, mut command: Command, on: LaunchType) -> Result<u8, CommandError> {
        // in a group of its own, the child gets Ctrl-C only from here, once
        command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = {
            let mut now = lock(&self.0);
            if let Some(reason) = now.cancelled {
                return Ok(exit_code(reason));
            }
            let child = command.spawn()?;
            now.pid = Some(Pid::from_child(&child));
            child
        };
        if let Some(stderr) = child.stderr.take() {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line)? > 0 {
                ui::say(format!("{on}: {}", String::from_utf8_lossy(&line)).trim_end());
                line.clear();
            }
        }
        // without reaping it, so that its pid is not reused
        waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            .map_err(std::io::Error::from)?;
        let cancelled = {
            let mut now = lock(&self.0);
            now.pid = None;
            now.cancelled
        };
        let status = child.wait()?;
        if let Some(reason) = cancelled {
            return Ok(exit_code(reason));
        }
        status.code().map(|code| code as u8).ok_or_else(|| {
            CommandError::new(Kind::Internal, format!("`pop run` under {on} ended abnormally: {status}"))
        })
    }
}

fn lock(now: &Mutex<CurrentChild>) -> MutexGuard<'_, CurrentChild> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

fn exit_code(reason: CancelReason) -> u8 {
    if reason == CancelReason::Interrupted { 130 } else { 143 }
}
