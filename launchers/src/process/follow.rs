//! One child followed to its end: output read, reports told, time watched, its group cleared.

use super::failure::{lost, refused};
use super::{Child, Signal, SpawnError, Watched};
use crate::log::{Log, log_failure};
use crate::port::{
    CAPTURE_LIMIT, Captured, Ended, LaunchEvent, LaunchId, LaunchOrder, Launched, Line, Stream,
};
use crate::report_lines::{ReportLines, Sayings};
use pop_registry::contract::{Exit, Failure};
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
/// Progress is told at most this often.
const NEWS_EVERY: Duration = Duration::from_millis(200);
/// How much is read at once.
const PIECE_BYTES: usize = 64 * 1024;
/// How much is still read of a stream after its program has ended; a pipe holds less.
const AFTER_END: usize = 1024 * 1024;
/// The longest line that is handed on whole; a longer one is handed on in pieces.
const LONGEST_LINE: usize = 64 * 1024;

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
        at_length: impl Fn(),
    ) -> Ended {
        // far larger than the rest of this future, which is moved when its task is made
        let mut output = Box::new(Output::new(id, order, events));
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
            output.read_rest(stdout, Stream::Stdout).await;
            output.read_rest(stderr, Stream::Stderr).await;
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
                ready = stdout.readable(), if is_open[0] => is_open[0] = output.read(ready?, Stream::Stdout).await,
                ready = stderr.readable(), if is_open[1] => is_open[1] = output.read(ready?, Stream::Stderr).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => output.on_time().await,
            }
        }
        clear_group(child.get());
        output.read_rest(stdout.get(), Stream::Stdout).await;
        output.read_rest(stderr.get(), Stream::Stderr).await;
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

/// What a program prints, on its way to log, result, reports or the caller.
struct Output<'e> {
    id: LaunchId,
    order: LaunchOrder,
    events: &'e mpsc::Sender<Launched>,
    log: Log,
    sayings: Sayings,
    reports: ReportLines,
    stdout: Vec<u8>,
    is_stdout_too_long: bool,
    lines: [Vec<u8>; 2],
    /// What has to be said and was not yet.
    unsaid: Vec<LaunchEvent>,
    heard_at: Instant,
    last_news: Option<Instant>,
    said_silent: bool,
}

impl<'e> Output<'e> {
    fn new(id: LaunchId, mut order: LaunchOrder, events: &'e mpsc::Sender<Launched>) -> Self {
        let log = Log::new(order.log.take());
        Self {
            id,
            order,
            events,
            log,
            sayings: Sayings::default(),
            reports: ReportLines::default(),
            stdout: Vec::new(),
            is_stdout_too_long: false,
            lines: [Vec::new(), Vec::new()],
            unsaid: Vec::new(),
            heard_at: Instant::now(),
            last_news: None,
            said_silent: false,
        }
    }

    /// When something has to be said although nothing is printed.
    fn due(&self) -> Option<Instant> {
        let silence = self.order.silence.filter(|_| !self.said_silent).map(|limit| self.heard_at + limit);
        let news = self.last_news.filter(|_| self.sayings.has_news()).map(|last| last + NEWS_EVERY);
        [silence, news].into_iter().flatten().min()
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        if self.order.silence.is_some_and(|limit| now >= self.heard_at + limit) && !self.said_silent {
            self.said_silent = true;
            self.say(LaunchEvent::Silent).await;
        }
        self.tell_news(now).await;
    }

    async fn tell_news(&mut self, now: Instant) {
        if self.last_news.is_none_or(|last| now >= last + NEWS_EVERY)
            && let Some(progress) = self.sayings.take_news()
        {
            self.last_news = Some(now);
            self.say(LaunchEvent::Progress(Box::new(progress))).await;
        }
    }

    async fn say(&self, event: LaunchEvent) {
        // a receiver that is gone does not want to hear
        self.events.send(Launched { id: self.id, event }).await.ok();
    }

    /// Says what was read leads to.
    async fn say_all(&mut self) {
        for event in std::mem::take(&mut self.unsaid) {
            self.say(event).await;
        }
        if self.sayings.has_news() {
            self.tell_news(Instant::now()).await;
        }
    }

    /// Reads what there is; false at the end of the stream.
    async fn read(&mut self, mut ready: AsyncFdReadyGuard<'_, BorrowedFd<'_>>, stream: Stream) -> bool {
        match self.read_piece(ready.get_inner(), stream) {
            Ok(0) => return false,
            Ok(_) => self.say_all().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        true
    }

    fn read_piece(&mut self, pipe: &impl AsFd, stream: Stream) -> io::Result<usize> {
        PIECE.with_borrow_mut(|piece| {
            let count = rustix::io::read(pipe, piece.as_mut_slice())?;
            if count > 0 {
                self.take(stream, &piece[..count]);
            }
            Ok(count)
        })
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        self.heard_at = Instant::now();
        if wants_lines(&self.order) {
            self.take_lines(stream, bytes);
        } else if stream == Stream::Stderr {
            self.log.write(bytes);
        } else if self.order.captured == Captured::Whole {
            let Self { log, stdout, is_stdout_too_long, .. } = self;
            keep(Captured::Whole, bytes, log, stdout, is_stdout_too_long);
        } else {
            self.take_stdout(bytes);
        }
    }

    fn take_stdout(&mut self, bytes: &[u8]) {
        let Self { log, sayings, reports, stdout, is_stdout_too_long, order, .. } = self;
        reports.take(bytes, sayings, &mut |rest| keep(order.captured, rest, log, stdout, is_stdout_too_long));
    }

    fn take_lines(&mut self, stream: Stream, bytes: &[u8]) {
        let held = &mut self.lines[usize::from(stream == Stream::Stderr)];
        let mut lines = Vec::new();
        // ffmpeg and others end a line of progress with a carriage return
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            held.extend_from_slice(part);
            let ends = matches!(part.last(), Some(b'\n' | b'\r'));
            if ends || held.len() >= LONGEST_LINE {
                let text = String::from_utf8_lossy(held).trim_end_matches(['\n', '\r']).to_owned();
                held.clear();
                if !text.is_empty() {
                    lines.push(Line { stream, text });
                }
            }
        }
        if !lines.is_empty() {
            self.unsaid.push(LaunchEvent::Lines(lines));
        }
    }

    /// Reads what is left in a pipe after the program's end, without waiting for whoever may still hold it.
    async fn read_rest(&mut self, pipe: &impl AsFd, stream: Stream) {
        let mut left = AFTER_END;
        loop {
            match self.read_piece(pipe, stream) {
                Ok(count) if count > 0 && left > 0 => {
                    left = left.saturating_sub(count);
                    self.say_all().await;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
    }

    async fn finish(mut self: Box<Self>, mut exit: Result<Exit, Box<Failure>>) -> Ended {
        if wants_lines(&self.order) {
            for stream in [Stream::Stdout, Stream::Stderr] {
                if !self.lines[usize::from(stream == Stream::Stderr)].is_empty() {
                    self.take_lines(stream, b"\n");
                }
            }
            self.say_all().await;
        } else {
            let Self { log, sayings, reports, stdout, is_stdout_too_long, order, .. } = &mut *self;
            reports.finish(sayings, &mut |rest| keep(order.captured, rest, log, stdout, is_stdout_too_long));
        }
        if self.is_stdout_too_long {
            self.sayings.breach(format!("standard output to be kept is longer than {CAPTURE_LIMIT} bytes"));
        }
        let summary = self.log.finish();
        if let (Some(error), Ok(_)) = (&summary.error, &exit) {
            exit = Err(Box::new(log_failure(error)));
        }
        Ended { exit, said: self.sayings.into_said(), stdout: self.stdout, log_tail: summary.tail }
    }
}

/// Whether the order wants lines instead of reports and log.
fn wants_lines(order: &LaunchOrder) -> bool {
    order.captured == Captured::Lines
}

/// Puts standard output that is no report where it belongs.
fn keep(captured: Captured, rest: &[u8], log: &mut Log, stdout: &mut Vec<u8>, is_too_long: &mut bool) {
    if captured == Captured::Nothing {
        log.write(rest);
    } else if stdout.len() + rest.len() <= CAPTURE_LIMIT {
        stdout.extend_from_slice(rest);
    } else {
        *is_too_long = true;
    }
}
