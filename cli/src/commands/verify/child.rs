//! One `pop run` after the other as a child: its words are passed on under a name, and signals are passed on to it.

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

/// Children that hear of every signal that comes here.
pub(super) struct Children(Arc<Mutex<Now>>);

#[derive(Default)]
struct Now {
    /// The child that runs; its number is its own for as long as it stands here.
    child: Option<Pid>,
    /// What we were asked for; the first counts.
    asked: Option<CancelReason>,
}

impl Children {
    /// Listens to signals from now on.
    pub(super) fn hear() -> std::io::Result<Self> {
        let (sender, mut cancels) = mpsc::unbounded_channel();
        hear_signals(sender)?;
        let now = Arc::new(Mutex::new(Now::default()));
        let passed = Arc::clone(&now);
        std::thread::Builder::new().name("pass-on".to_owned()).spawn(move || {
            while let Some(reason) = cancels.blocking_recv() {
                let mut now = lock(&passed);
                now.asked.get_or_insert(reason);
                let signal = if reason == CancelReason::Interrupted { Signal::INT } else { Signal::TERM };
                if let Some(child) = now.child {
                    // one that has ended needs no signal
                    kill_process(child, signal).ok();
                }
            }
        })?;
        Ok(Self(now))
    }

    /// Runs a child to its end and gives its exit code.
    pub(super) fn run(&self, mut command: Command, on: LaunchType) -> Result<u8, CommandError> {
        // in a group of its own it hears of a Ctrl-C from us alone, once
        command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = {
            let mut now = lock(&self.0);
            if let Some(reason) = now.asked {
                return Ok(exit_code(reason));
            }
            let child = command.spawn()?;
            now.child = Some(Pid::from_child(&child));
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
        // its number is not given to another before it is waited for
        waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            .map_err(std::io::Error::from)?;
        let asked = {
            let mut now = lock(&self.0);
            now.child = None;
            now.asked
        };
        let status = child.wait()?;
        if let Some(reason) = asked {
            return Ok(exit_code(reason));
        }
        status.code().map(|code| code as u8).ok_or_else(|| {
            CommandError::new(Kind::Internal, format!("`pop run` under {on} was ended: {status}"))
        })
    }
}

fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

fn exit_code(reason: CancelReason) -> u8 {
    if reason == CancelReason::Interrupted { 130 } else { 143 }
}
