//! Follows one child to its end: reads output, handles stop requests and time. docs/processes.md lists what it
//! waits for.

use super::ends::Linger;
use super::failure::{lost, not_stopped, refused};
use super::launcher::Surroundings;
use super::{Child, Watched};
use crate::Mask;
use crate::output::Output;
use crate::port::{LaunchEnd, LaunchId, LaunchOrder, LaunchUpdate, Stream};
use pop_contract::{Exit, Failure};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::unix::AsyncFdReadyGuard;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

/// Output of a child that ends within this time is read once, at its end; only a longer child gets pipe events.
const SHORT: Duration = Duration::from_millis(3);
/// Time that the kernel gets to end a process after SIGKILL.
pub(super) const KILLED: Duration = Duration::from_secs(10);
/// Bytes per read.
const PIECE_BYTES: usize = 64 * 1024;
/// Most bytes read from a stream after its program has ended; a pipe holds less.
const AFTER_END: usize = 1024 * 1024;

/// A running child and the requests to stop it.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) child: Watched<Child>,
    asked: AtomicU8,
    /// Pauses that the follower has not taken into account yet, in nanoseconds.
    paused: AtomicU64,
    /// Whether the program has ended and the launch waits for processes that it left behind.
    pub(super) is_lingering: AtomicBool,
    pub(super) notify: Notify,
}

/// How urgently a launch must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Nothing,
    Terminate,
    Kill,
}

impl Control {
    pub(super) fn of(child: Watched<Child>) -> Self {
        Self {
            child,
            asked: AtomicU8::new(Asked::Nothing as u8),
            paused: AtomicU64::new(0),
            is_lingering: AtomicBool::new(false),
            notify: Notify::new(),
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.get().pid().cast_signed()
    }

    pub(super) fn ask(&self, force: bool) {
        let asked = if force { Asked::Kill } else { Asked::Terminate };
        self.asked.fetch_max(asked as u8, Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// The most urgent stop request so far.
    pub(super) fn asked(&self) -> Asked {
        match self.asked.load(Ordering::Acquire) {
            0 => Asked::Nothing,
            1 => Asked::Terminate,
            _ => Asked::Kill,
        }
    }

    /// Adds a time in which the program could not run.
    pub(super) fn was_paused(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.paused.fetch_add(pause, Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// The pauses since the last call.
    pub(super) fn take_pauses(&self) -> Duration {
        Duration::from_nanos(self.paused.swap(0, Ordering::AcqRel))
    }
}

/// A started child and our ends of its pipes.
pub(super) struct Follow {
    pub(super) control: std::sync::Arc<Control>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// The end of a program, and the number of processes that it left behind.
pub(super) struct Ending {
    pub(super) exit: Result<Exit, Failure>,
    pub(super) left: usize,
}

impl Follow {
    /// Follows the child until it has ended, its output is read, and all its descendants are gone.
    pub(super) async fn until_end(
        &self,
        id: LaunchId,
        order: LaunchOrder,
        events: &mpsc::Sender<LaunchUpdate>,
        mask: Mask,
        surroundings: &impl Surroundings,
    ) -> LaunchEnd {
        // boxed: far larger than the rest of this future, which is moved when its task is spawned
        let mut output = Box::new(Output::new(id, order, events, &mask));
        output.begin();
        let Ending { exit, left } = match self.watch(&mut output, surroundings).await {
            Ok(ending) => ending,
            Err(failure) => Ending { exit: Err(failure), left: 0 },
        };
        LaunchEnd { left, ..output.finish(exit.map_err(Box::new)).await }
    }

    async fn watch(
        &self,
        output: &mut Output<'_>,
        surroundings: &impl Surroundings,
    ) -> Result<Ending, Failure> {
        let Self { control, stdout, stderr } = self;
        let child = control.child.get();
        let is_short = tokio::select! {
            biased;
            ready = control.child.readable() => { ready.map_err(|error| lost(&error))?.retain_ready(); true }
            () = control.notify.notified() => { control.notify.notify_one(); false }
            () = sleep_until(Instant::now() + SHORT) => false,
        };
        if is_short {
            let is_open = [
                read_rest(output, stdout, Stream::Stdout).await,
                read_rest(output, stderr, Stream::Stderr).await,
            ];
            if is_open == [false, false] && !surroundings.may_have_left(&output.order.name, child) {
                return self.collect(output, 0, None);
            }
        }
        surroundings.at_length();
        child.take_back();
        let mut pipes = Pipes::watch(stdout, stderr).map_err(|error| lost(&error))?;
        let mut linger = Linger::new(control, output);
        if !is_short {
            self.until_exit(output, &mut pipes, surroundings, &mut linger).await?;
            // a pipe without another writer is at its end by now
            pipes.read_rest(output).await;
        }
        let refusal = if pipes.are_open()
            || surroundings.may_have_left(&output.order.name, child)
            || linger.was_asked()
        {
            control.is_lingering.store(true, Ordering::Release);
            surroundings.on_linger();
            linger.until_nobody_is_left(output, &mut pipes, surroundings).await
        } else {
            None
        };
        self.collect(output, linger.left(), refusal)
    }

    /// Follows the program itself to its end.
    async fn until_exit(
        &self,
        output: &mut Output<'_>,
        pipes: &mut Pipes<'_>,
        surroundings: &impl Surroundings,
        linger: &mut Linger<'_>,
    ) -> Result<(), Failure> {
        let control = &self.control;
        let mut gone_by: Option<Instant> = None;
        loop {
            let due = output.due();
            let wake = due.into_iter().chain(gone_by).min();
            tokio::select! {
                biased;
                ready = control.child.readable() => {
                    ready.map_err(|error| lost(&error))?.retain_ready();
                    return Ok(());
                }
                () = control.notify.notified() => {
                    output.postpone(linger.take_pauses());
                    if linger.signal_program(surroundings).map_err(|error| not_stopped(&output.order.program, &error))? {
                        gone_by = Some(Instant::now() + KILLED);
                    }
                }
                (stream, ready) = pipes.ready() => {
                    let is_open = read(output, ready.map_err(|error| lost(&error))?, stream).await;
                    pipes.is_open[stream as usize] = is_open;
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    // after a stall of the loop the timer fires first: events that came meanwhile take precedence
                    if control.child.get().has_ended() {
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

    /// Reaps the program and builds its end.
    fn collect(&self, output: &Output<'_>, left: usize, refusal: Option<Failure>) -> Result<Ending, Failure> {
        let ended = self.control.child.get().wait().map_err(|error| lost(&error))?;
        let exit = match ended.exit {
            Ok(super::Exit::Code(code)) => Ok(Exit::Code(code)),
            Ok(super::Exit::Signal { number, .. }) => Ok(Exit::Signal(number)),
            Err(error) => Err(refused(&output.order.program, error)),
        };
        let exit = exit.and_then(|exit| match refusal {
            Some(failure) => Err(Failure { exit: Some(exit), ..failure }),
            None => Ok(exit),
        });
        Ok(Ending { exit, left })
    }
}

/// Our ends of both pipes, registered with the event loop.
pub(super) struct Pipes<'p> {
    streams: [Watched<BorrowedFd<'p>>; 2],
    pub(super) is_open: [bool; 2],
}

impl<'p> Pipes<'p> {
    fn watch(stdout: &'p OwnedFd, stderr: &'p OwnedFd) -> io::Result<Self> {
        let streams = [Watched::new(stdout.as_fd())?, Watched::new(stderr.as_fd())?];
        Ok(Self { streams, is_open: [true, true] })
    }

    /// Whether another process holds the write end of one.
    pub(super) fn are_open(&self) -> bool {
        self.is_open.contains(&true)
    }

    /// Waits until a pipe is readable or at its end.
    pub(super) async fn ready(&self) -> (Stream, io::Result<AsyncFdReadyGuard<'_, BorrowedFd<'p>>>) {
        tokio::select! {
            biased;
            ready = self.streams[0].readable(), if self.is_open[0] => (Stream::Stdout, ready),
            ready = self.streams[1].readable(), if self.is_open[1] => (Stream::Stderr, ready),
            else => std::future::pending().await,
        }
    }

    /// Reads what the pipes hold, without waiting.
    pub(super) async fn read_rest(&mut self, output: &mut Output<'_>) {
        for (at, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            if self.is_open[at] {
                self.is_open[at] = read_rest(output, self.streams[at].get(), stream).await;
            }
        }
    }
}

thread_local! {
    /// Each read is consumed before the next: one buffer per thread is enough.
    static PIECE: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE_BYTES]);
}

/// Reads a piece; false at the end of the stream.
pub(super) async fn read(
    output: &mut Output<'_>,
    mut ready: AsyncFdReadyGuard<'_, BorrowedFd<'_>>,
    stream: Stream,
) -> bool {
    match read_piece(output, ready.get_inner(), stream) {
        Ok(0) => return false,
        Ok(_) => output.say_all().await,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => return false,
    }
    true
}

fn read_piece(output: &mut Output<'_>, pipe: &impl AsFd, stream: Stream) -> io::Result<usize> {
    PIECE.with_borrow_mut(|piece| {
        let count = rustix::io::read(pipe, piece.as_mut_slice())?;
        if count > 0 {
            output.take(stream, &piece[..count]);
        }
        Ok(count)
    })
}

/// Reads what a pipe holds, without waiting; false at the end of the stream.
async fn read_rest(output: &mut Output<'_>, pipe: &impl AsFd, stream: Stream) -> bool {
    let mut left = AFTER_END;
    loop {
        match read_piece(output, pipe, stream) {
            Ok(0) => return false,
            Ok(count) => {
                output.say_all().await;
                left = left.saturating_sub(count);
                if left == 0 {
                    return true;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}
