//! One child followed to its end: output read, reports told, time watched, its group cleared.

use super::failure::{lost, refused};
use super::{Child, Signal, SpawnError, Watched};
use crate::output::Output;
use crate::port::{Ended, LaunchId, LaunchOrder, Launched, Stream};
use pop_registry::Mask;
use pop_registry::contract::Exit;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::io::unix::AsyncFdReadyGuard;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

/// A child that ends within this time is read once, at its end; only a longer one has its pipes watched.
const SHORT: Duration = Duration::from_millis(3);
/// How much is read at once.
const PIECE_BYTES: usize = 64 * 1024;
/// How much is still read of a stream after its program has ended; a pipe holds less.
const AFTER_END: usize = 1024 * 1024;

/// How a launch is asked to end.
#[derive(Debug)]
pub(super) struct Control {
    pid: i32,
    asked: AtomicU8,
    notify: Notify,
}

const TERMINATE: u8 = 1;
const KILL: u8 = 2;

impl Control {
    pub(super) fn of(pid: u32) -> Self {
        Self { pid: pid.cast_signed(), asked: AtomicU8::new(0), notify: Notify::new() }
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn ask(&self, force: bool) {
        self.asked.fetch_max(if force { KILL } else { TERMINATE }, Ordering::AcqRel);
        self.notify.notify_one();
    }
}

/// A started child and our ends of its pipes.
pub(super) struct Follow {
    pub(super) child: Watched<Child>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) control: std::sync::Arc<Control>,
}

impl Follow {
    /// Follows the child until it has ended and its output is read; `at_length` is called if that takes a while.
    pub(super) async fn until_end(
        &self,
        id: LaunchId,
        order: LaunchOrder,
        events: &mpsc::Sender<Launched>,
        mask: Mask,
        at_length: impl Fn(),
    ) -> Ended {
        // far larger than the rest of this future, which is moved when its task is made
        let mut output = Box::new(Output::new(id, order, events, &mask));
        output.begin();
        let exit = match self.watch(&mut output, at_length).await {
            Ok(Ok(super::Exit::Code(code))) => Ok(Exit::Code(code)),
            Ok(Ok(super::Exit::Signal { number, .. })) => Ok(Exit::Signal(number)),
            Ok(Err(error)) => Err(refused(&output.order.program, error)),
            Err(error) => Err(lost(&error)),
        };
        output.finish(exit.map_err(Box::new)).await
    }

    async fn watch(
        &self,
        output: &mut Output<'_>,
        at_length: impl Fn(),
    ) -> io::Result<Result<super::Exit, SpawnError>> {
        let Self { child, stdout, stderr, control } = self;
        let is_short = {
            tokio::select! {
                biased;
                ready = child.readable() => { ready?.retain_ready(); true }
                () = asked_to_stop(control, child.get()) => false,
                () = sleep_until(Instant::now() + SHORT) => false,
            }
        };
        if is_short {
            clear_group(child.get());
            read_rest(output, stdout, Stream::Stdout).await;
            read_rest(output, stderr, Stream::Stderr).await;
            return Ok(child.get().wait()?.exit);
        }
        at_length();
        child.get().take_back();
        let stdout = Watched::new(stdout.as_fd())?;
        let stderr = Watched::new(stderr.as_fd())?;
        let mut is_open = [true, true];
        loop {
            let due = output.due();
            tokio::select! {
                biased;
                ready = child.readable() => { ready?.retain_ready(); break; }
                () = asked_to_stop(control, child.get()) => {}
                ready = stdout.readable(), if is_open[0] => is_open[0] = read(output, ready?, Stream::Stdout).await,
                ready = stderr.readable(), if is_open[1] => is_open[1] = read(output, ready?, Stream::Stderr).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => output.on_time().await,
            }
        }
        clear_group(child.get());
        read_rest(output, stdout.get(), Stream::Stdout).await;
        read_rest(output, stderr.get(), Stream::Stderr).await;
        Ok(child.get().wait()?.exit)
    }
}

/// Signals the group when that is asked for. Cancelled and called again it loses nothing: each step of asking is
/// answered once.
async fn asked_to_stop(control: &Control, child: &Child) {
    control.notify.notified().await;
    let signal = if control.asked.load(Ordering::Acquire) == KILL { Signal::KILL } else { Signal::TERM };
    // it can only fail because the group is gone
    child.signal_group(signal).ok();
}

/// Kills what the program left running in its group, while the group's number is still ours.
fn clear_group(child: &Child) {
    child.signal_group(Signal::KILL).ok();
}

thread_local! {
    /// What is read is dealt with before anything else is: one buffer serves all that a thread follows.
    static PIECE: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE_BYTES]);
}

/// Reads what there is; false at the end of the stream.
async fn read(
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

/// Reads what is left in a pipe after the program's end, without waiting for whoever may still hold it.
async fn read_rest(output: &mut Output<'_>, pipe: &impl AsFd, stream: Stream) {
    let mut left = AFTER_END;
    loop {
        match read_piece(output, pipe, stream) {
            Ok(count) if count > 0 && left > 0 => {
                left = left.saturating_sub(count);
                output.say_all().await;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
}
