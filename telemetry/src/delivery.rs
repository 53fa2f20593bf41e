//! Delivers the spans of a run while it runs: a thread reads the journal behind the run and sends what has ended.
//!
//! *Guarantees.* Nothing here holds the run up: the run only says how many events its journal has. Memory is bounded,
//! because the journal is the queue. The mark is moved only after the collector has taken the spans, so a span that did not
//! arrive is sent by the next sender of the run. *Limit.* A sender that dies between the answer and the mark makes the next
//! one send a batch twice, with the same ids and times.

use crate::exporter::{Exporter, SendError};
use crate::http_client::lock;
use crate::mark::{Mark, Position};
use crate::span::{AttributeValue, Span};
use crate::span_fold::SpanFold;
use pop_agenda::{EventRecord, Plan, Sink};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most spans of a request.
const BATCH: usize = 512;
/// Size of a request, in bytes, at which it gets no further span. Many servers refuse more than a megabyte.
const MOST_BYTES: usize = 700 * 1024;
/// Spans that wait to be sent, at most; further events stay in the journal.
const MOST_READY: usize = 4 * BATCH;
/// Events that are read at a time.
const CHUNK: usize = 1_000;
/// Time that a span may wait for others to go with it.
const LINGER: Duration = Duration::from_secs(1);
/// First and longest wait after a failed request.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// An event of a journal with the checksum of its line.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedEvent {
    /// The event.
    pub record: EventRecord,
    /// Checksum of the line.
    pub checksum: u32,
}

/// The journal of a run, read from its first event.
pub trait EventSource: Send {
    /// Reads the next events, `most` at most; none if there are no more yet.
    fn read(&mut self, most: usize) -> io::Result<Vec<TracedEvent>>;

    /// Goes back to the first event.
    fn rewind(&mut self) -> io::Result<()>;
}

/// What became of the spans of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryReport {
    /// Number of spans that have arrived.
    pub sent: u64,
    /// Number of these that the collector refused all the same, with its last reason.
    pub refused: Option<(u64, String)>,
    /// Whether all spans that have ended have arrived.
    pub is_complete: bool,
    /// Why not.
    pub error: Option<String>,
}

/// A delivery on a thread of its own.
#[derive(Debug)]
pub struct Delivery {
    shared: Arc<Shared>,
    done: Receiver<()>,
}

/// Tells the delivery about events of the run.
#[derive(Debug)]
pub struct TraceSink {
    shared: Arc<Shared>,
    events: u64,
    plan: Arc<Plan>,
}

/// What the run and the sender tell each other.
#[derive(Debug)]
struct Shared {
    progress: Mutex<RunProgress>,
    changed: Condvar,
    report: Mutex<DeliveryReport>,
}

#[derive(Debug, Clone)]
struct RunProgress {
    /// Number of events that the journal has and the plan fits.
    events: u64,
    plan: Arc<Plan>,
    is_over: bool,
}

impl Delivery {
    /// Starts to send. `recorded` is the number of events that the journal has, which `plan` fits.
    pub fn start(worker: SpanSender, plan: Arc<Plan>, recorded: u64) -> io::Result<(Self, TraceSink)> {
        let progress = RunProgress { events: recorded, plan: Arc::clone(&plan), is_over: false };
        let shared = Arc::new(Shared {
            progress: Mutex::new(progress),
            changed: Condvar::new(),
            report: Mutex::default(),
        });
        let (sender, done) = mpsc::channel();
        let its = Arc::clone(&shared);
        std::thread::Builder::new().name("traces".to_owned()).spawn(move || worker.follow(&its, &sender))?;
        let sink = TraceSink { shared: Arc::clone(&shared), events: recorded, plan };
        Ok((Self { shared, done }, sink))
    }

    /// Waits until everything has arrived, but no longer than `patience`. A request under way is then abandoned.
    pub fn finish(self, patience: Duration) -> DeliveryReport {
        lock(&self.shared.progress).is_over = true;
        self.shared.changed.notify_one();
        let is_late = self.done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
        let mut report = lock(&self.shared.report).clone();
        if is_late && report.error.is_none() {
            report.error = Some(format!("it did not answer within {} s", patience.as_secs()));
        }
        report
    }
}

impl Sink for TraceSink {
    fn on_event(&mut self, plan: &Arc<Plan>, _: &EventRecord) {
        self.events += 1;
        if !Arc::ptr_eq(plan, &self.plan) {
            self.plan = Arc::clone(plan);
        }
    }

    fn flush(&mut self) {
        let mut progress = lock(&self.shared.progress);
        progress.events = self.events;
        if !Arc::ptr_eq(&progress.plan, &self.plan) {
            progress.plan = Arc::clone(&self.plan);
        }
        drop(progress);
        self.shared.changed.notify_one();
    }
}

/// A span to send; the last one of an event has the position after that event.
#[derive(Debug)]
struct ReadySpan {
    span: Span,
    bytes: usize,
    position: Option<Position>,
}

/// Reads the journal of a run and sends its spans from the mark on.
pub struct SpanSender {
    fold: SpanFold,
    source: Box<dyn EventSource>,
    exporter: Exporter,
    mark: Mark,
    /// Number of events read.
    read: u64,
    ready: VecDeque<ReadySpan>,
    ready_since: Option<Instant>,
    report: DeliveryReport,
}

impl SpanSender {
    /// A sender for the run whose journal `source` reads, from the first event.
    pub fn new(fold: SpanFold, source: Box<dyn EventSource>, exporter: Exporter, mark: Mark) -> Self {
        let (ready, report) = (VecDeque::new(), DeliveryReport::default());
        Self { fold, source, exporter, mark, read: 0, ready, ready_since: None, report }
    }

    /// Sends the spans of the first `recorded` events, which `plan` fits, on this thread. Stops at the first request that
    /// fails.
    pub fn send_all(mut self, plan: &Arc<Plan>, recorded: u64) -> DeliveryReport {
        let all = RunProgress { events: recorded, plan: Arc::clone(plan), is_over: true };
        while !self.report.is_complete && self.report.error.is_none() {
            match self.advance(&all, false) {
                Ok(is_drained) => self.report.is_complete = is_drained,
                Err(error) => self.report.error = Some(error.to_string()),
            }
        }
        self.report
    }

    /// Sends until the run is over and everything has arrived, or until nothing can be sent any more.
    fn follow(mut self, shared: &Shared, done: &Sender<()>) {
        let mut pause = FIRST_PAUSE;
        let mut retry_at: Option<Instant> = None;
        let mut has_seen_end = false;
        while !self.report.is_complete {
            let now = self.wait(shared, retry_at, has_seen_end);
            // the end of the run cuts a pause short
            if now.is_over && !mem::replace(&mut has_seen_end, now.is_over) {
                retry_at = None;
            }
            let is_paused = retry_at.is_some_and(|at| at > Instant::now());
            match self.advance(&now, is_paused) {
                Ok(_) if is_paused => {}
                Ok(is_drained) => {
                    (retry_at, pause) = (None, FIRST_PAUSE);
                    self.report.error = None;
                    self.report.is_complete = now.is_over && is_drained;
                }
                Err(error) => {
                    self.report.error = Some(error.to_string());
                    if !error.may_pass() {
                        break;
                    }
                    retry_at = Some(Instant::now() + pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            lock(&shared.report).clone_from(&self.report);
        }
        *lock(&shared.report) = self.report;
        // the run may be over already and wait for nothing
        done.send(()).ok();
    }

    /// Reads what the journal has, and sends what is due unless requests pause. Returns whether nothing is left.
    fn advance(&mut self, now: &RunProgress, is_paused: bool) -> Result<bool, SendError> {
        let has_more = self.read(&now.plan, now.events)?;
        if now.is_over && !has_more && self.mark.position().events > self.read {
            // the mark is past the end of the journal
            self.begin_again()?;
            return Ok(false);
        }
        if !is_paused {
            self.send(now.is_over)?;
        }
        Ok(!has_more && self.ready.is_empty())
    }

    /// Waits for events, for the end of the run, or until it is time to send.
    fn wait(&self, shared: &Shared, retry_at: Option<Instant>, has_seen_end: bool) -> RunProgress {
        let mut progress = lock(&shared.progress);
        loop {
            let has_news = progress.events > self.read && self.ready.len() < MOST_READY;
            let is_over = progress.is_over && (retry_at.is_none() || !has_seen_end);
            let send_at = match retry_at {
                Some(at) => Some(at),
                None if self.ready.len() >= BATCH => Some(Instant::now()),
                None => self.ready_since.map(|since| since + LINGER),
            };
            let send_in = send_at.map(|at| at.saturating_duration_since(Instant::now()));
            progress = match send_in {
                _ if has_news || is_over => return progress.clone(),
                Some(Duration::ZERO) => return progress.clone(),
                Some(wait) => {
                    shared.changed.wait_timeout(progress, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => shared.changed.wait(progress).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Reads events up to the `until`th, while there is room. Returns whether there are more.
    fn read(&mut self, plan: &Plan, until: u64) -> Result<bool, SendError> {
        while self.ready.len() < MOST_READY && self.read < until {
            let most = usize::try_from(until - self.read).unwrap_or(CHUNK).min(CHUNK);
            let events = self.source.read(most).map_err(|error| local(&error))?;
            if events.is_empty() {
                return Ok(false);
            }
            for event in events {
                if !self.add(plan, &event)? {
                    break;
                }
            }
        }
        Ok(self.read < until)
    }

    /// Folds an event. False if the journal is read again from its beginning.
    fn add(&mut self, plan: &Plan, event: &TracedEvent) -> Result<bool, SendError> {
        let mut spans = Vec::new();
        self.fold.add(plan, &event.record, &mut spans);
        self.read += 1;
        let position = Position { events: self.read, checksum: event.checksum };
        let mark = self.mark.position();
        if position.events == mark.events && position != mark {
            self.begin_again()?;
            return Ok(false);
        }
        if position.events > mark.events {
            let count = spans.len();
            self.ready.extend(spans.into_iter().enumerate().map(|(number, span)| {
                let position = (number + 1 == count).then_some(position);
                ReadySpan { bytes: size(&span), span, position }
            }));
            if !self.ready.is_empty() {
                self.ready_since.get_or_insert_with(Instant::now);
            }
        }
        Ok(true)
    }

    /// Sends everything again: the journal is not the one that the mark was made for.
    fn begin_again(&mut self) -> Result<(), SendError> {
        self.mark.reset().and_then(|()| self.source.rewind()).map_err(|error| local(&error))?;
        self.fold = self.fold.anew();
        self.read = 0;
        Ok(())
    }

    /// Sends what is ready: full batches, and the rest if it has waited long enough or `is_last`.
    fn send(&mut self, is_last: bool) -> Result<(), SendError> {
        loop {
            let is_due = self.ready_since.is_some_and(|since| since.elapsed() >= LINGER);
            if self.ready.is_empty() || !(is_last || is_due || self.ready.len() >= BATCH) {
                return Ok(());
            }
            let mut bytes = 0;
            let fits = |ready: &&ReadySpan| {
                let is_first = bytes == 0;
                bytes += ready.bytes;
                is_first || bytes <= MOST_BYTES
            };
            let count = self.ready.iter().take(BATCH).take_while(fits).count();
            let batch: Vec<Span> = self.ready.iter().take(count).map(|ready| ready.span.clone()).collect();
            if let Some((refused, message)) = self.exporter.send(self.fold.trace(), &batch)? {
                let before = self.report.refused.as_ref().map_or(0, |(count, _)| *count);
                self.report.refused = Some((before + refused, message));
            }
            self.report.sent += count as u64;
            let position = self.ready.drain(..count).filter_map(|sent| sent.position).next_back();
            if let Some(position) = position {
                self.mark.move_to(position).map_err(|error| local(&error))?;
            }
            self.ready_since = (!self.ready.is_empty()).then(Instant::now);
        }
    }
}

/// A fault of this machine, which another request does not mend.
fn local(error: &io::Error) -> SendError {
    SendError::NotMade(error.to_string())
}

/// About how many bytes of a request a span takes.
fn size(span: &Span) -> usize {
    const SPAN: usize = 100;
    const ATTRIBUTE: usize = 30;
    let attributes = |all: &[(&'static str, AttributeValue)]| {
        let value = |value: &AttributeValue| match value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Number(_) | AttributeValue::Flag(_) => 0,
        };
        all.iter().map(|(_, found)| ATTRIBUTE + value(found)).sum::<usize>()
    };
    let events = span.events.iter().map(|event| ATTRIBUTE + attributes(&event.attributes)).sum::<usize>();
    SPAN + span.name.len() + attributes(&span.attributes) + events + span.links.len() * SPAN
}
