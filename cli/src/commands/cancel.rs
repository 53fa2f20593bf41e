//! `pop cancel`: sends the executor of a run the signal of Ctrl-C.

use super::run_watch::RunWatch;
use super::saved_run::read_folder;
use crate::args::CancelArgs;
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_agenda::{CancelReason, RunEvent};
use pop_executor::{ExecutorProcess, RunFolder, read_journal};
use rustix::process::Signal;

pub(crate) fn cancel(args: &CancelArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    let run = folder.run().to_owned();
    let Some(executor) = folder.executor() else { return not_running(folder) };
    if executor.is_stopped() {
        let pid = executor.pid();
        ui::say(&format!("warning: the executor is suspended and acts when `kill -CONT {pid}` continues it"));
    }
    let asked = match (Phase::of(&folder)?, args.kill) {
        (Phase::Killing, _) => {
            ui::say(&format!("run {run} is being killed already"));
            return Ok(0);
        }
        (Phase::Stopping, false) => {
            ui::say(&format!(
                "run {run} is stopping already; `pop cancel {run} --kill` kills its operations"
            ));
            return Ok(0);
        }
        (phase, false) => {
            send_and_await(&folder, &executor, phase)?;
            "stop"
        }
        (phase, true) => {
            send_and_await(&folder, &executor, phase)?;
            // the first of two signals; sent at once they might arrive as one
            if phase == Phase::Running && folder.is_held() && Phase::of(&folder)? == Phase::Stopping {
                send_and_await(&folder, &executor, Phase::Stopping)?;
            }
            // a suspended executor has received only the first signal
            if phase == Phase::Running && executor.is_stopped() { "stop" } else { "kill" }
        }
    };
    let pid = executor.pid();
    ui::say(&format!(
        "asked process {pid} to {asked} the operations of run {run}; `pop wait {run}` waits for the end"
    ));
    Ok(0)
}

/// What the executor does with running operations, according to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It lets them run; after a failure, too.
    Running,
    /// It waits until they stop.
    Stopping,
    /// It has killed them. Another signal would end pop before it records their ends.
    Killing,
}

impl Phase {
    fn of(folder: &RunFolder) -> Result<Self, CommandError> {
        let mut phase = Self::Running;
        for recorded in read_journal(&folder.journal())?.events {
            match recorded.event {
                RunEvent::RunResumed { .. } => phase = Self::Running,
                RunEvent::CancelRaised { force: true, .. } => phase = Self::Killing,
                RunEvent::CancelRaised { reason, .. } if reason != CancelReason::Failure => {
                    phase = Self::Stopping;
                }
                _ => {}
            }
        }
        Ok(phase)
    }
}

/// Sends the signal, and waits until the executor has recorded it or ended. So the next command knows how many signals the
/// executor has received. A suspended executor records nothing until it is continued; that is not awaited.
fn send_and_await(folder: &RunFolder, executor: &ExecutorProcess, phase: Phase) -> Result<(), CommandError> {
    let watch = RunWatch::new(folder)?;
    send(executor, folder.run())?;
    while folder.is_held() && !executor.is_stopped() && Phase::of(folder)? == phase {
        watch.wait()?;
    }
    Ok(())
}

/// Sends SIGINT, or SIGTERM to an executor that was started to ignore SIGINT.
fn send(executor: &ExecutorProcess, run: &str) -> Result<(), CommandError> {
    let signal = if executor.ignores(Signal::INT) { Signal::TERM } else { Signal::INT };
    match executor.signal(signal) {
        // it has just ended
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(()),
        sent => sent.map_err(|error| {
            let message =
                format!("cannot signal process {}, the executor of run {run}: {error}", executor.pid());
            CommandError::new(Kind::Internal, message).hint("cancel the run as the user who started it")
        }),
    }
}

/// Says why there is nothing to cancel. An error if the executor runs on another host.
fn not_running(folder: RunFolder) -> Result<u8, CommandError> {
    let remote = folder.remote_executor();
    let saved = read_folder(folder)?;
    let run = saved.folder.run();
    match (saved.history.ended, remote) {
        (Some((_, outcome)), _) => ui::say(&format!("run {run} has ended already: {}", outcome.word())),
        (None, Some(owner)) => {
            let message = format!("run {run} cannot be cancelled from here: its executor is or was {owner}");
            return Err(CommandError::new(Kind::Journal, message).hint("run `pop cancel` on that host"));
        }
        (None, None) => {
            let rest = if saved.may_have_left_programs() {
                "; its containers or pods may still run, and a resumed run adopts them"
            } else {
                ""
            };
            ui::say(&format!(
                "run {run} is not running: its executor died; `pop resume {run}` continues it{rest}"
            ));
        }
    }
    Ok(0)
}
