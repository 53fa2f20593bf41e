//! Follows one child to its end: reads output, handles stop requests and time. docs/processes.md lists what it
//! waits for.

use super::AsyncDescriptor;
use super::control::{Control, KILLED};
use super::descendants::Descendants;
use super::failure::{lost, not_stopped, refused};
use super::pipes::{Pipes, read, read_rest};
use super::termination::Termination;
use crate::output::Output;
use crate::port::{LaunchEnd, LaunchOrder, Stream};
use crate::stop_request::StopRequest;
use crate::transcript::Transcript;
use pop_contract::{Exit, Failure, Usage};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The output of a child that ends within this time is read once, at its end. Only the pipes of a longer child are
/// registered with the event loop.
const SHORT: Duration = Duration::from_millis(3);

/// A started child and the read ends of its pipes.
pub(super) struct Follow {
    pub(super) control: std::sync::Arc<Control>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// The end of a program, the number of processes that it left behind, and what it used.
pub(super) struct Ending {
    pub(super) exit: Result<Exit, Failure>,
    pub(super) left: usize,
    pub(super) usage: Option<Usage>,
}

impl Ending {
    /// The end of a program that cannot be followed or collected.
    fn failed(failure: Failure) -> Self {
        Self { exit: Err(failure), left: 0, usage: None }
    }
}

impl Follow {
    /// Blocks the thread until the program has ended, at most as long as a short program takes. Whether it has ended.
    pub(super) fn ends_soon(&self) -> bool {
        self.control.child.ends_within(SHORT)
    }

    /// Reads the output of an ended program and collects its end. `None` if its pipes are still open, it may have left
    /// processes behind, or a stop was requested: then [`until_end`](Self::until_end) is to follow.
    pub(super) fn try_end(
        &self,
        order: &LaunchOrder,
        transcript: &mut Transcript,
        descendants: &impl Descendants,
    ) -> Option<Ending> {
        let is_stdout_open = read_rest(transcript, &self.stdout, Stream::Stdout);
        let is_stderr_open = read_rest(transcript, &self.stderr, Stream::Stderr);
        let is_clean = !is_stdout_open
            && !is_stderr_open
            && self.control.stop_request() == StopRequest::None
            && !descendants.may_have_left(&order.name, &self.control.child);
        is_clean.then(|| self.collect(order, descendants, 0, None))
    }

    /// Follows the child until it has ended, its output is read, and all its descendants are gone. `was_waited_for`: the
    /// program was found not to be short.
    pub(super) async fn until_end(
        &self,
        mut output: Box<Output<'_>>,
        descendants: &impl Descendants,
        was_waited_for: bool,
    ) -> LaunchEnd {
        let ending = self.watch(&mut output, descendants, was_waited_for).await;
        let Ending { exit, left, usage } = ending.unwrap_or_else(Ending::failed);
        output.usage = usage;
        LaunchEnd { left, ..output.finish(exit.map_err(Box::new)).await }
    }

    async fn watch(
        &self,
        output: &mut Output<'_>,
        descendants: &impl Descendants,
        was_waited_for: bool,
    ) -> Result<Ending, Failure> {
        let Self { control, stdout, stderr } = self;
        let child = AsyncDescriptor::new(control.child.as_fd()).map_err(|error| lost(&error))?;
        let is_short = !was_waited_for
            && tokio::select! {
                biased;
                ready = child.readable() => { ready.map_err(|error| lost(&error))?.retain_ready(); true }
                () = control.notify.notified() => { control.notify.notify_one(); false }
                () = sleep_until(Instant::now() + SHORT) => false,
            };
        if is_short {
            let ending = self.try_end(&output.order, &mut output.transcript, descendants);
            output.say_all().await;
            if let Some(ending) = ending {
                return Ok(ending);
            }
        }
        descendants.on_long_run();
        control.child.take_back();
        let mut pipes = Pipes::watch(stdout, stderr).map_err(|error| lost(&error))?;
        let mut termination = Termination::new(control, output);
        if !is_short {
            self.until_exit(&child, output, &mut pipes, descendants, &mut termination).await?;
        }
        // a pipe without another writer has ended by now
        pipes.read_rest(output).await;
        let refusal = if pipes.are_open()
            || descendants.may_have_left(&output.order.name, &control.child)
            || termination.is_stop_requested()
        {
            control.is_lingering.store(true, Ordering::Release);
            descendants.on_linger();
            termination.until_no_process_is_left(output, &mut pipes, descendants).await
        } else {
            None
        };
        Ok(self.collect(&output.order, descendants, termination.left(), refusal))
    }

    /// Follows the program itself to its end.
    async fn until_exit(
        &self,
        child: &AsyncDescriptor<BorrowedFd<'_>>,
        output: &mut Output<'_>,
        pipes: &mut Pipes<'_>,
        descendants: &impl Descendants,
        termination: &mut Termination<'_>,
    ) -> Result<(), Failure> {
        let control = &self.control;
        let mut gone_by: Option<Instant> = None;
        loop {
            let due = output.due();
            let wake = due.into_iter().chain(gone_by).min();
            tokio::select! {
                biased;
                ready = child.readable() => {
                    ready.map_err(|error| lost(&error))?.retain_ready();
                    return Ok(());
                }
                () = control.notify.notified() => {
                    output.postpone(termination.take_pauses());
                    if termination.signal_program(descendants).map_err(|error| not_stopped(&output.order.program, &error))? {
                        gone_by = Some(Instant::now() + KILLED);
                    }
                }
                (stream, ready) = pipes.ready() => {
                    let is_open = read(output, ready.map_err(|error| lost(&error))?, stream).await;
                    pipes.is_open[stream as usize] = is_open;
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    // after the loop was suspended the timer fires first: events that arrived meanwhile take precedence
                    if control.child.has_ended() {
                        return Ok(());
                    }
                    pipes.read_rest(output).await;
                    if gone_by.is_some_and(|by| by <= Instant::now()) {
                        let why = io::Error::other("it does not end after SIGKILL");
                        return Err(not_stopped(&output.order.program, &why));
                    }
                    output.on_time().await;
                }
            }
        }
    }

    /// Reaps the program and builds the end of the launch.
    fn collect(
        &self,
        order: &LaunchOrder,
        descendants: &impl Descendants,
        left: usize,
        refusal: Option<Failure>,
    ) -> Ending {
        let ended = match descendants.collect(&self.control.child) {
            Ok(ended) => ended,
            Err(error) => return Ending::failed(lost(&error)),
        };
        let (exit, usage) = match ended.exit {
            Ok(super::Exit::Code(code)) => (Ok(Exit::Code(code)), usage_of(&ended.usage)),
            Ok(super::Exit::Signal { number, .. }) => (Ok(Exit::Signal(number)), usage_of(&ended.usage)),
            // the program was never executed
            Err(error) => (Err(refused(&order.program, error)), None),
        };
        let exit = exit.and_then(|exit| match refusal {
            Some(failure) => Err(Failure { exit: Some(exit), ..failure }),
            None => Ok(exit),
        });
        Ending { exit, left, usage }
    }
}

/// What the kernel counted for a process.
fn usage_of(counted: &super::Usage) -> Option<Usage> {
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let usage = Usage {
        user_us: us(counted.user),
        sys_us: us(counted.system),
        mem_kib: counted.peak_memory_kib().unwrap_or_default(),
        read_kib: counted.blocks_read.div_ceil(2),
        write_kib: counted.blocks_written.div_ceil(2),
        major_faults: counted.major_faults,
        preempted: counted.preempted,
    };
    usage.known()
}
