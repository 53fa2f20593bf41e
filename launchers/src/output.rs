//! What a launched program prints and reports, on its way to log, result, reports or the caller.

use crate::log::{Log, log_failure};
use crate::port::{
    CAPTURE_LIMIT, Captured, Ended, LaunchEvent, LaunchId, LaunchOrder, Launched, Line, Stream,
};
use crate::report_lines::{ReportLines, Sayings};
use pop_registry::contract::{Exit, Failure};
use pop_registry::{Mask, MaskStream};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Progress is told at most this often.
const NEWS_EVERY: Duration = Duration::from_millis(200);
/// The longest line that is handed on whole; a longer one is handed on in pieces.
const LONGEST_LINE: usize = 64 * 1024;

/// What a program prints, on its way to log, result, reports or the caller.
pub(crate) struct Output<'e> {
    id: LaunchId,
    pub(crate) order: LaunchOrder,
    events: &'e mpsc::Sender<Launched>,
    log: Log,
    sayings: Sayings,
    reports: ReportLines,
    stdout: Vec<u8>,
    is_stdout_too_long: bool,
    lines: [Vec<u8>; 2],
    /// What has to be said and was not yet.
    unsaid: Vec<LaunchEvent>,
    /// Since when it is silent; none until its program runs.
    heard_at: Option<Instant>,
    last_news: Option<Instant>,
    said_silent: bool,
    /// For what does not come in streams.
    #[cfg(feature = "kubernetes")]
    mask: Mask,
    /// One for each stream, if there is something to hide.
    masked: Option<[MaskStream; 2]>,
}

impl<'e> Output<'e> {
    pub(crate) fn new(
        id: LaunchId,
        mut order: LaunchOrder,
        events: &'e mpsc::Sender<Launched>,
        mask: &Mask,
    ) -> Self {
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
            heard_at: None,
            last_news: None,
            said_silent: false,
            masked: (!mask.is_empty()).then(|| [mask.stream(), mask.stream()]),
            #[cfg(feature = "kubernetes")]
            mask: mask.clone(),
        }
    }

    /// What was printed so far comes again, from the beginning.
    #[cfg(any(feature = "docker", feature = "kubernetes"))]
    pub(crate) fn begin_anew(&mut self) {
        self.log.begin_anew();
    }

    /// When something has to be said although nothing is printed.
    pub(crate) fn due(&self) -> Option<Instant> {
        let silence = self.silent_at();
        let news = self.last_news.filter(|_| self.sayings.has_news()).map(|last| last + NEWS_EVERY);
        [silence, news].into_iter().flatten().min()
    }

    /// When the program has been silent for as long as it may.
    fn silent_at(&self) -> Option<Instant> {
        let limit = self.order.silence.filter(|_| !self.said_silent)?;
        self.heard_at.map(|since| since + limit)
    }

    /// The program runs: from now on its silence counts.
    pub(crate) fn begin(&mut self) {
        self.heard_at = Some(Instant::now());
    }

    /// Says what time makes due.
    pub(crate) async fn on_time(&mut self) {
        let now = Instant::now();
        if self.silent_at().is_some_and(|at| now >= at) {
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

    /// Says one thing.
    pub(crate) async fn say(&self, event: LaunchEvent) {
        // a receiver that is gone does not want to hear
        self.events.send(Launched { id: self.id, event }).await.ok();
    }

    /// Says what was read leads to.
    pub(crate) async fn say_all(&mut self) {
        for event in std::mem::take(&mut self.unsaid) {
            self.say(event).await;
        }
        if self.sayings.has_news() {
            self.tell_news(Instant::now()).await;
        }
    }

    /// Takes what was printed; [`say_all`](Self::say_all) then says what that leads to.
    pub(crate) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        self.begin();
        let Some(mut masked) = self.masked.take() else { return self.take_plain(stream, bytes) };
        masked[usize::from(stream == Stream::Stderr)]
            .take(bytes, &mut |plain| self.take_plain(stream, plain));
        self.masked = Some(masked);
    }

    /// Takes what was printed and has nothing to hide.
    fn take_plain(&mut self, stream: Stream, bytes: &[u8]) {
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

    /// Takes the annotations of a program's pod; they win over lines.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn annotate(&mut self, progress: Option<&String>, result: Option<&String>) {
        let Self { mask, sayings, .. } = self;
        let hidden = |text: &String| mask.text(text).into_owned();
        sayings.annotate(progress.map(hidden), result.map(hidden));
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

    /// Ends the output: what is left is taken, and everything stands in the end.
    pub(crate) async fn finish(mut self: Box<Self>, mut exit: Result<Exit, Box<Failure>>) -> Ended {
        if let Some(masked) = self.masked.take() {
            for (mut masked, stream) in masked.into_iter().zip([Stream::Stdout, Stream::Stderr]) {
                masked.finish(&mut |plain| self.take_plain(stream, plain));
            }
        }
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
