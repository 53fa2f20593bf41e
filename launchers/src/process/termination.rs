//! Stops all processes that a program started. It defines which processes the launcher waits for, how long, and in
//! which order it stops them.
//!
//! This is the state machine of docs/processes.md. Every wait is for an event: a pidfd, a pipe, a stop request,
//! or the one deadline.

use super::control::{Control, KILLED};
use super::descendants::Descendants;
use super::orphans::Leftover;
use super::pipes::{Pipes, read};
use super::{AsyncDescriptor, Signal, identity};
use crate::output::Output;
use crate::port::DEFAULT_GRACE;
use crate::stop_request::StopRequest;
use pop_contract::{Blame, Failure};
use rustix::io::Errno;
use rustix::process::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// State of the processes that a program left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The launcher waits for them to end by themselves.
    Wait,
    /// They have received SIGTERM.
    Terminate,
    /// They have received SIGKILL.
    Kill,
}

/// The state of a launch's end.
pub(super) struct Termination<'c> {
    control: &'c Control,
    program: String,
    grace: Duration,
    /// Time of the stop request.
    stop_requested_at: Option<Instant>,
    /// The signal that the program has received so far.
    sent: StopRequest,
    /// Names of processes that had to be stopped although no stop was requested.
    left: BTreeMap<i32, String>,
    /// Whether an output was still open when no known process was left.
    is_held: bool,
    /// Processes outside the group that have received SIGTERM.
    terminated: BTreeSet<i32>,
    /// Processes that the kernel does not let us signal.
    refused: BTreeMap<i32, (String, Errno)>,
}

impl<'c> Termination<'c> {
    pub(super) fn new(control: &'c Control, output: &Output<'_>) -> Self {
        Self {
            control,
            program: output.order.program.argv.first().cloned().unwrap_or_default(),
            grace: output.order.grace.unwrap_or(DEFAULT_GRACE),
            stop_requested_at: None,
            sent: StopRequest::None,
            left: BTreeMap::new(),
            is_held: false,
            terminated: BTreeSet::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Whether a stop was requested.
    pub(super) fn is_stop_requested(&self) -> bool {
        self.control.stop_request() > StopRequest::None
    }

    /// Number of processes that were left behind and had to be stopped.
    pub(super) fn left(&self) -> usize {
        self.left.len() + usize::from(self.is_held && self.left.is_empty())
    }

    pub(super) fn take_pauses(&mut self) -> Duration {
        let pause = self.control.take_pauses();
        self.stop_requested_at = self.stop_requested_at.map(|at| at + pause);
        pause
    }

    /// Sends the requested signal to the program and its session; true if that was SIGKILL.
    pub(super) fn signal_program(&mut self, descendants: &impl Descendants) -> io::Result<bool> {
        let request = self.control.stop_request();
        if request <= self.sent {
            return Ok(false);
        }
        self.sent = request;
        self.stop_requested_at.get_or_insert_with(Instant::now);
        let child = &self.control.child;
        if request == StopRequest::Kill {
            // members may deny the signal; only the program's own result counts
            child.signal_group(Signal::KILL).ok();
            return match child.signal(Signal::KILL) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
                _ => Ok(true),
            };
        }
        // a denied SIGTERM is not an error; a denied SIGKILL is
        child.signal_group(Signal::TERM).ok();
        for process in descendants.others_of_session(child) {
            self.terminated.insert(process.pid.as_raw_nonzero().get());
            process.signal(Signal::TERM).ok();
        }
        Ok(false)
    }

    /// Waits until all processes of the ended program are gone and its outputs are closed, and stops those that
    /// exceed the grace. If the kernel denies a signal, the launch fails.
    pub(super) async fn until_no_process_is_left(
        &mut self,
        output: &mut Output<'_>,
        pipes: &mut Pipes<'_>,
        descendants: &impl Descendants,
    ) -> Option<Failure> {
        let leader = Pid::from_raw(self.control.pid());
        let mut stage = Stage::Wait;
        let mut deadline = Instant::now() + self.grace;
        let mut leftovers = descendants.leftovers(&output.order.name, &self.control.child);
        loop {
            let wanted = match self.control.stop_request() {
                StopRequest::None => stage,
                StopRequest::Terminate => Stage::Terminate,
                StopRequest::Kill => Stage::Kill,
            };
            // a daemon that closed its outputs will not end by itself
            let waits =
                pipes.are_open() || leftovers.iter().any(|process| identity::session(process.pid) == leader);
            let is_late = deadline <= Instant::now();
            let next = match stage {
                Stage::Wait if is_late || !waits => Stage::Terminate,
                Stage::Terminate if is_late => Stage::Kill,
                _ => stage,
            };
            let next = next.max(wanted);
            if leftovers.is_empty() && (!pipes.are_open() || next > Stage::Wait) {
                break;
            }
            if next > stage {
                stage = next;
                let since =
                    self.stop_requested_at.filter(|_| stage == Stage::Terminate).unwrap_or_else(Instant::now);
                deadline = since + if stage == Stage::Kill { KILLED } else { self.grace };
                self.stop(stage, &leftovers, output);
            } else if stage == Stage::Kill && is_late {
                break;
            }
            leftovers.retain(|process| !self.refused.contains_key(&process.pid.as_raw_nonzero().get()));
            if leftovers.is_empty() && stage == Stage::Kill {
                break;
            }
            let first =
                leftovers.first().and_then(|process| AsyncDescriptor::new(process.process.as_fd()).ok());
            tokio::select! {
                biased;
                () = self.control.notify.notified() => {
                    let pause = self.take_pauses();
                    deadline += pause;
                    output.postpone(pause);
                    if self.control.stop_request() > StopRequest::None {
                        self.stop_requested_at.get_or_insert_with(Instant::now);
                    }
                    continue;
                }
                (stream, ready) = pipes.ready() => {
                    let is_open = match ready { Ok(ready) => read(output, ready, stream).await, Err(_) => false };
                    pipes.is_open[stream as usize] = is_open;
                    if is_open {
                        continue;
                    }
                }
                () = ended(first.as_ref()), if first.is_some() => {}
                () = sleep_until(deadline) => {}
            }
            drop(first);
            leftovers = descendants.leftovers(&output.order.name, &self.control.child);
            if stage > Stage::Wait {
                self.signal(stage, &leftovers);
            }
        }
        pipes.read_rest(output).await;
        self.is_held = pipes.are_open() && !self.is_stop_requested();
        if self.is_held && self.left.is_empty() {
            output.note(&format!(
                "`{}` has ended; a process that left its session still holds its output",
                self.program
            ));
        }
        self.refusal(output)
    }

    /// Begins to stop the remaining processes, and writes a line about it to the log.
    fn stop(&mut self, stage: Stage, leftovers: &[Leftover], output: &mut Output<'_>) {
        let names: Vec<String> = leftovers.iter().map(Leftover::describe).collect();
        let names = names.join(", ");
        if stage == Stage::Kill {
            output.note(&format!("SIGKILL to processes that did not end after SIGTERM: {names}"));
        } else if !self.is_stop_requested() {
            output.note(&format!(
                "`{}` has ended, but processes that it started have not: {names}; SIGTERM",
                self.program
            ));
        }
        // the group's number stays ours until the program's end is collected
        let signal = if stage == Stage::Kill { Signal::KILL } else { Signal::TERM };
        if self.sent < StopRequest::Terminate || stage == Stage::Kill {
            self.control.child.signal_group(signal).ok();
        }
        self.sent = if stage == Stage::Kill { StopRequest::Kill } else { StopRequest::Terminate };
        self.signal(stage, leftovers);
    }

    /// Signals processes outside the group, and for SIGKILL all of them.
    fn signal(&mut self, stage: Stage, leftovers: &[Leftover]) {
        let group = Pid::from_raw(self.control.pid());
        for process in leftovers {
            let number = process.pid.as_raw_nonzero().get();
            if !self.is_stop_requested() {
                self.left.entry(number).or_insert_with(|| identity::name(process.pid));
            }
            let is_in_group = identity::group(process.pid) == group;
            if stage == Stage::Terminate && (is_in_group || !self.terminated.insert(number)) {
                continue;
            }
            let signal = if stage == Stage::Kill { Signal::KILL } else { Signal::TERM };
            match process.signal(signal) {
                Err(error) if error != Errno::SRCH && stage == Stage::Kill => {
                    self.refused.insert(number, (process.describe(), error));
                }
                _ => {}
            }
        }
    }

    /// The failure of a launch with a process that cannot be stopped.
    fn refusal(&self, output: &mut Output<'_>) -> Option<Failure> {
        let (process, error) = self.refused.values().next()?;
        let message =
            format!("process {process}, which `{}` started, cannot be stopped: {error}", self.program);
        output.note(&message);
        Some(Failure::new(Blame::Platform, "not-stopped", message))
    }
}

/// Waits for the end of a process.
async fn ended(process: Option<&AsyncDescriptor<std::os::fd::BorrowedFd<'_>>>) {
    match process {
        Some(process) => drop(process.readable().await),
        None => std::future::pending().await,
    }
}
