//! Routes the output and reports of one launch to log, result, events or the caller. See docs/output.md.

use crate::bounded::append;
use crate::last_lines::{LastLines, merged};
use crate::log::{Log, log_failure};
use crate::port::{CAPTURE_LIMIT, LaunchEnd, LaunchEvent, LaunchOrder, Line, StdoutUse, Stream};
use crate::report_lines::{ReportLines, ReportState};
use crate::{Mask, MaskStream};
use pop_contract::{Blame, Exit, Failure, Progress, TOO_LARGE, ValueError};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest time between two progress events.
const NEWS_EVERY: Duration = Duration::from_millis(200);
/// Longest line in bytes that is one event; a longer line is split.
const LONGEST_LINE: usize = 64 * 1024;
/// Captured output above this size (bytes) takes a while to parse.
const LARGE: usize = 256 * 1024;

/// The output and reports of one launch.
///
/// The reader of a program's output, or the host of a handler, feeds it with [`take`](Self::take),
/// [`progress`](Self::progress) and [`result`](Self::result), sends its [`events`](Self::events), and calls
/// [`on_time`](Self::on_time) when [`due`](Self::due). [`finish`](Self::finish) builds the end of the launch.
/// The only IO is the log file. The result does not depend on how the bytes are cut into pieces.
#[derive(Debug)]
pub struct Transcript {
    captured: StdoutUse,
    success: Vec<i32>,
    silence: Option<Duration>,
    log: Log,
    sayings: ReportState,
    reports: ReportLines,
    mask: Mask,
    /// The streams with masking, if there is something to mask.
    masked: Option<[MaskStream; 2]>,
    /// Captured standard output.
    stdout: Vec<u8>,
    /// Whether standard output exceeded the capture limit; further output is then log.
    is_too_long: bool,
    /// Incomplete lines for [`StdoutUse::Lines`].
    lines: [Vec<u8>; 2],
    events: Vec<LaunchEvent>,
    /// Time of the last output; `None` until the program runs.
    heard_at: Option<Instant>,
    last_news: Option<Instant>,
    said_silent: bool,
}

impl Transcript {
    /// The transcript of a launch with this order; `mask` hides secrets.
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

    /// Deletes the log of an earlier process: all output comes again.
    pub fn begin_anew(&mut self) {
        self.log.begin_anew();
    }

    /// Counts silence from now on.
    pub fn begin(&mut self, now: Instant) {
        self.heard_at = Some(now);
    }

    /// Takes output.
    pub fn take(&mut self, stream: Stream, bytes: &[u8], now: Instant) {
        self.heard_at = Some(now);
        match (self.captured, stream) {
            (StdoutUse::Nothing, Stream::Stdout) => {
                let Self { reports, sayings, masked, log, .. } = self;
                reports.take(bytes, sayings, &mut |rest| {
                    hide(masked, stream, rest, &mut |plain| log.write(plain));
                });
            }
            // parsed first, then its values are masked
            (StdoutUse::Value(_), Stream::Stdout) => self.capture(bytes),
            _ => {
                let mut masked = self.masked.take();
                hide(&mut masked, stream, bytes, &mut |plain| self.take_plain(stream, plain));
                self.masked = masked;
            }
        }
    }

    /// Takes output in which secrets are already masked.
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

    /// Turns captured standard output into log.
    fn log_stdout(&mut self, bytes: &[u8]) {
        let Self { masked, log, captured, .. } = self;
        // output captured as bytes was masked when it came
        if *captured == StdoutUse::Whole {
            log.write(bytes);
        } else {
            hide(masked, Stream::Stdout, bytes, &mut |plain| log.write(plain));
        }
    }

    fn take_lines(&mut self, stream: Stream, bytes: &[u8]) {
        let held = &mut self.lines[usize::from(stream == Stream::Stderr)];
        let mut lines = Vec::new();
        // ffmpeg and others end a progress line with a carriage return
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

    /// Takes a progress from a handler in this process.
    pub fn progress(&mut self, progress: Progress, now: Instant) {
        self.heard_at = Some(now);
        self.sayings.progress(progress);
    }

    /// Takes a result from a handler in this process.
    pub fn result(&mut self, result: Value) {
        self.sayings.result(result);
    }

    /// Takes the annotations of the program's pod, which override report lines.
    pub fn annotate(&mut self, progress: Option<&String>, result: Option<&String>) {
        self.sayings.annotate(progress.cloned(), result.cloned());
    }

    /// Whether the program has reported success, which proves that it was not stopped before its work was done.
    pub fn has_final_report(&self) -> bool {
        self.sayings.is_succeeded()
    }

    /// Adds a line written by pop to the log.
    pub fn note(&mut self, words: &str) {
        self.log.write(format!("pop: {words}\n").as_bytes());
    }

    /// Next time at which [`on_time`](Self::on_time) must run even if no output arrives.
    pub fn due(&self) -> Option<Instant> {
        let news = self.last_news.filter(|_| self.sayings.has_news()).map(|last| last + NEWS_EVERY);
        [self.silent_at(), news].into_iter().flatten().min()
    }

    /// Time at which the program's silence must be reported.
    fn silent_at(&self) -> Option<Instant> {
        let limit = self.silence.filter(|_| !self.said_silent)?;
        self.heard_at.map(|since| since + limit)
    }

    /// Records the events that are due at this time.
    pub fn on_time(&mut self, now: Instant) {
        if self.silent_at().is_some_and(|at| now >= at) {
            self.said_silent = true;
            self.events.push(LaunchEvent::Silent);
        }
    }

    /// Excludes a pause of the program from its time limits.
    pub fn postpone(&mut self, pause: Duration) {
        self.heard_at = self.heard_at.map(|at| at + pause);
    }

    /// The events to send now.
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

    /// The unfinished lines, as events; progress that was not sent is part of the end. Call it before
    /// [`finish`](Self::finish).
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
        let mut events = self.events(now);
        events.retain(|event| matches!(event, LaunchEvent::Lines(_)));
        events
    }

    /// Whether [`finish`](Self::finish) takes long and must run off the event loop.
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
            let words = format!("standard output exceeds the capture limit of {CAPTURE_LIMIT} bytes");
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
            log_tail: merged(&last, &summary.tail),
            left: 0,
            instance: None,
            usage: None,
            exit,
        }
    }

    /// Parses the captured value. Output that is not a value, or belongs to a failure, becomes log; its last lines are
    /// returned.
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
                Err(ValueError { code, message, bytes: unread }) => {
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

/// Passes on a stream with secrets masked, except bytes that may still become a secret.
fn hide(masked: &mut Option<[MaskStream; 2]>, stream: Stream, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
    match masked {
        None => out(bytes),
        Some(masked) => masked[usize::from(stream == Stream::Stderr)].take(bytes, out),
    }
}

/// Passes on the bytes held back of a stream.
fn finish(masked: &mut Option<[MaskStream; 2]>, stream: Stream, out: &mut impl FnMut(&[u8])) {
    if let Some(masked) = masked {
        masked[usize::from(stream == Stream::Stderr)].finish(out);
    }
}

#[cfg(test)]
mod tests;
