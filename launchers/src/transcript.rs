//! What one launch prints and reports, on its way to log, result, reports or the caller. See docs/output.md.

use crate::bounded::append;
use crate::last_lines::{LastLines, merged};
use crate::log::{Log, log_failure};
use crate::port::{CAPTURE_LIMIT, LaunchEnd, LaunchEvent, LaunchOrder, Line, StdoutUse, Stream};
use crate::report_lines::{ReportLines, ReportState};
use crate::{Mask, MaskStream};
use pop_contract::{Blame, Exit, Failure, Progress, TOO_LARGE, Unreadable};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Progress is told at most this often.
const NEWS_EVERY: Duration = Duration::from_millis(200);
/// The longest line that is handed on whole; a longer one is handed on in pieces.
const LONGEST_LINE: usize = 64 * 1024;
/// StdoutUse output of more bytes takes a while to parse.
const LARGE: usize = 256 * 1024;

/// What one launch prints and reports.
///
/// Whoever reads the bytes of a program, or hears a handler, feeds it with [`take`](Self::take),
/// [`progress`](Self::progress) and [`result`](Self::result), hands on its [`events`](Self::events), and calls
/// [`on_time`](Self::on_time) when [`due`](Self::due). [`finish`](Self::finish) makes the end of the launch. It does
/// no IO but to the log file, and the way in which bytes are cut into pieces makes no difference.
#[derive(Debug)]
pub struct Transcript {
    captured: StdoutUse,
    success: Vec<i32>,
    silence: Option<Duration>,
    log: Log,
    sayings: ReportState,
    reports: ReportLines,
    mask: Mask,
    /// Streams through `mask`, if there is something to hide.
    masked: Option<[MaskStream; 2]>,
    /// StdoutUse standard output.
    stdout: Vec<u8>,
    /// Whether standard output was too long to be captured; it is log since then.
    is_too_long: bool,
    /// The beginnings of lines for [`StdoutUse::Lines`].
    lines: [Vec<u8>; 2],
    events: Vec<LaunchEvent>,
    /// Time of the last output; none until the program runs.
    heard_at: Option<Instant>,
    last_news: Option<Instant>,
    said_silent: bool,
}

impl Transcript {
    /// The transcript of a launch with this order, in which these values are hidden.
    pub fn new(order: &LaunchOrder, mask: &Mask) -> Self {
        Self {
            captured: order.captured,
            success: order.success.clone(),
            silence: order.silence,
            log: Log::new(order.log.clone()),
            sayings: ReportState::masked(mask.clone()),
            reports: ReportLines::default(),
            mask: mask.clone(),
            masked: (!mask.is_empty()).then(|| [mask.stream(), mask.stream()]),
            stdout: Vec::new(),
            is_too_long: false,
            lines: [Vec::new(), Vec::new()],
            events: Vec::new(),
            heard_at: None,
            last_news: None,
            said_silent: false,
        }
    }

    /// Removes the log that an earlier process wrote: everything printed so far comes again.
    pub fn begin_anew(&mut self) {
        self.log.begin_anew();
    }

    /// Counts silence from now on.
    pub fn begin(&mut self, now: Instant) {
        self.heard_at = Some(now);
    }

    /// Takes bytes that were printed.
    pub fn take(&mut self, stream: Stream, bytes: &[u8], now: Instant) {
        self.heard_at = Some(now);
        match (self.captured, stream) {
            (StdoutUse::Nothing, Stream::Stdout) => {
                let Self { reports, sayings, masked, log, .. } = self;
                reports.take(bytes, sayings, &mut |rest| {
                    hide(masked, stream, rest, &mut |plain| log.write(plain))
                });
            }
            // parsed first, then its values are hidden
            (StdoutUse::Value(_), Stream::Stdout) => self.capture(bytes),
            _ => {
                let mut masked = self.masked.take();
                hide(&mut masked, stream, bytes, &mut |plain| self.take_plain(stream, plain));
                self.masked = masked;
            }
        }
    }

    /// Takes bytes in which secrets are hidden already.
    fn take_plain(&mut self, stream: Stream, bytes: &[u8]) {
        match (self.captured, stream) {
            (StdoutUse::Lines, _) => self.take_lines(stream, bytes),
            (StdoutUse::Whole, Stream::Stdout) => self.capture(bytes),
            _ => self.log.write(bytes),
        }
    }

    fn capture(&mut self, bytes: &[u8]) {
        if !self.is_too_long && self.stdout.len() + bytes.len() <= CAPTURE_LIMIT {
            return append(&mut self.stdout, bytes, CAPTURE_LIMIT);
        }
        self.is_too_long = true;
        let gathered = std::mem::take(&mut self.stdout);
        self.log_stdout(&gathered);
        self.log_stdout(bytes);
    }

    /// Has standard output be log, although it was to be data.
    fn log_stdout(&mut self, bytes: &[u8]) {
        let Self { masked, log, captured, .. } = self;
        // what is captured as bytes was hidden as it came
        if *captured == StdoutUse::Whole {
            log.write(bytes);
        } else {
            hide(masked, Stream::Stdout, bytes, &mut |plain| log.write(plain));
        }
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
            self.events.push(LaunchEvent::Lines(lines));
        }
    }

    /// Takes a progress that was not printed: from a handler in this process.
    pub fn progress(&mut self, progress: Progress, now: Instant) {
        self.heard_at = Some(now);
        self.sayings.progress(progress);
    }

    /// Takes a result that was not printed: from a handler in this process.
    pub fn result(&mut self, result: Value) {
        self.sayings.result(result);
    }

    /// Takes the annotations of a program's pod; they win over lines.
    pub fn annotate(&mut self, progress: Option<&String>, result: Option<&String>) {
        self.sayings.annotate(progress.cloned(), result.cloned());
    }

    /// Whether the program has reported its success: then nothing of what it had to do is missing.
    pub fn has_final_report(&self) -> bool {
        self.sayings.is_succeeded()
    }

    /// Adds a line of pop's own to the log.
    pub fn note(&mut self, words: &str) {
        self.log.write(format!("pop: {words}\n").as_bytes());
    }

    /// When [`on_time`](Self::on_time) is to be called although nothing is printed.
    pub fn due(&self) -> Option<Instant> {
        let news = self.last_news.filter(|_| self.sayings.has_news()).map(|last| last + NEWS_EVERY);
        [self.silent_at(), news].into_iter().flatten().min()
    }

    /// When the program has been silent for as long as it may.
    fn silent_at(&self) -> Option<Instant> {
        let limit = self.silence.filter(|_| !self.said_silent)?;
        self.heard_at.map(|since| since + limit)
    }

    /// Lets time have its events.
    pub fn on_time(&mut self, now: Instant) {
        if self.silent_at().is_some_and(|at| now >= at) {
            self.said_silent = true;
            self.events.push(LaunchEvent::Silent);
        }
    }

    /// Does not count a time in which the program could not run.
    pub fn postpone(&mut self, pause: Duration) {
        self.heard_at = self.heard_at.map(|at| at + pause);
    }

    /// The events that are to be said now.
    pub fn events(&mut self, now: Instant) -> Vec<LaunchEvent> {
        if self.sayings.has_news()
            && self.last_news.is_none_or(|last| now >= last + NEWS_EVERY)
            && let Some(progress) = self.sayings.take_news()
        {
            self.last_news = Some(now);
            self.events.push(LaunchEvent::Progress(Box::new(progress)));
        }
        std::mem::take(&mut self.events)
    }

    /// The lines that have no end yet, as events. To be called before [`finish`](Self::finish).
    pub fn last_events(&mut self, now: Instant) -> Vec<LaunchEvent> {
        if self.captured == StdoutUse::Lines {
            let mut masked = self.masked.take();
            for stream in [Stream::Stdout, Stream::Stderr] {
                finish(&mut masked, stream, &mut |plain| self.take_lines(stream, plain));
                if !self.lines[usize::from(stream == Stream::Stderr)].is_empty() {
                    self.take_lines(stream, b"\n");
                }
            }
        }
        self.events(now)
    }

    /// Whether [`finish`](Self::finish) takes a while, and does not belong on an event loop.
    pub fn is_large(&self) -> bool {
        self.sayings.is_large() || self.stdout.len() > LARGE
    }

    /// Ends the transcript with the launch's exit.
    pub fn finish(mut self, mut exit: Result<Exit, Box<Failure>>) -> LaunchEnd {
        let Self { reports, sayings, masked, log, .. } = &mut self;
        reports
            .finish(sayings, &mut |rest| hide(masked, Stream::Stdout, rest, &mut |plain| log.write(plain)));
        let mut masked = self.masked.take();
        for stream in [Stream::Stdout, Stream::Stderr] {
            finish(&mut masked, stream, &mut |plain| self.take_plain(stream, plain));
        }
        self.masked = masked;
        if self.is_too_long && self.is_success(&exit) {
            let words = format!("standard output is longer than the {CAPTURE_LIMIT} bytes that are captured");
            exit = Err(Box::new(failed(TOO_LARGE, words, &exit)));
        }
        let (value, last) = self.settle(&mut exit);
        let summary = self.log.finish();
        if let (Some(error), Ok(_)) = (&summary.error, &exit) {
            exit = Err(Box::new(log_failure(error)));
        }
        LaunchEnd {
            said: self.sayings.into_said(),
            stdout: self.stdout,
            captured: value.filter(|_| exit.is_ok()),
            log_tail: merged(last, summary.tail),
            left: 0,
            exit,
        }
    }

    /// Reads the captured value. What is no value after all, or the output of a failure, becomes log: its last lines are
    /// given.
    fn settle(&mut self, exit: &mut Result<Exit, Box<Failure>>) -> (Option<Value>, Vec<String>) {
        let StdoutUse::Value(capture) = self.captured else { return (None, Vec::new()) };
        if self.is_too_long {
            return (None, Vec::new());
        }
        let mut bytes = std::mem::take(&mut self.stdout);
        if self.is_success(exit) {
            match capture.value(bytes) {
                Ok(mut value) => {
                    if let Some(value) = &mut value {
                        self.mask.value(value);
                    }
                    return (value, Vec::new());
                }
                Err(Unreadable { code, message, bytes: unread }) => {
                    let message = format!("standard output cannot be captured: {}", self.mask.text(&message));
                    *exit = Err(Box::new(failed(code, message, exit)));
                    bytes = unread;
                }
            }
        }
        let mut last = LastLines::default();
        let mut masked = self.masked.take();
        let mut log = |plain: &[u8]| {
            self.log.write_beside(plain);
            last.take(plain);
        };
        hide(&mut masked, Stream::Stdout, &bytes, &mut log);
        finish(&mut masked, Stream::Stdout, &mut log);
        (None, last.finish())
    }

    fn is_success(&self, exit: &Result<Exit, Box<Failure>>) -> bool {
        match exit {
            Ok(Exit::Code(code)) if self.success.is_empty() => *code == 0,
            Ok(Exit::Code(code)) => self.success.contains(code),
            _ => false,
        }
    }
}

fn failed(code: &str, message: String, exit: &Result<Exit, Box<Failure>>) -> Failure {
    Failure { exit: exit.as_ref().ok().copied(), ..Failure::new(Blame::Handler, code, message) }
}

/// Hands on the bytes of a stream without secrets, as far as that is certain.
fn hide(masked: &mut Option<[MaskStream; 2]>, stream: Stream, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
    match masked {
        None => out(bytes),
        Some(masked) => masked[usize::from(stream == Stream::Stderr)].take(bytes, out),
    }
}

/// Hands on what was held back of a stream.
fn finish(masked: &mut Option<[MaskStream; 2]>, stream: Stream, out: &mut impl FnMut(&[u8])) {
    if let Some(masked) = masked {
        masked[usize::from(stream == Stream::Stderr)].finish(out);
    }
}

#[cfg(test)]
mod tests;
