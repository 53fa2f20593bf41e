//! A run on a terminal: lines of past events, then a line for each running operation, for each waiting one, and for the run.

mod layout;

use super::estimate::{Durations, Estimate};
use super::event_text::{EventContext, event_text, shown};
use super::sink_thread::Redraw;
use super::terminal_block::{TerminalBlock, shorten, width};
use super::waits::Waits;
use layout::Layout;
use pop_agenda::{Answer, Ending, EventRecord, OpIx, Outcome, Plan, RunEvent, Sink};
use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Number of operations in a run above which successes print no line.
const MOST_LINES: usize = 60;
/// Fewest lines of the block, if the terminal has that many rows.
const LEAST_BLOCK: usize = 3;
/// Time between two frames while nothing happens.
const FRAME: Duration = Duration::from_millis(250);
/// Shortest time between two frames.
const LEAST_FRAME: Duration = Duration::from_millis(50);
/// Age of a run from which on the time left is shown, and earlier runs are looked at.
const ESTIMATE_FROM: Duration = Duration::from_secs(2);
/// Time between two estimates.
const ESTIMATE_EVERY: Duration = Duration::from_secs(1);

/// Looks up what operations took in an earlier run. It may read files; it is called on a thread of its own.
pub type EarlierDurations = Box<dyn FnOnce() -> Option<Durations> + Send>;

/// Size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns, at least 20.
    pub columns: usize,
    /// Rows, at least 2.
    pub rows: usize,
    /// Whether the terminal breaks lines anew when its width changes. Otherwise it cuts them.
    pub has_reflow: bool,
}

/// Tells the bars that this process is suspended (Ctrl-Z): meanwhile the terminal belongs to the shell.
#[derive(Debug, Default)]
pub struct Suspension(AtomicU8);

const SUSPENDED: u8 = 1;
const CONTINUED: u8 = 2;

impl Suspension {
    /// Creates the state of a process that was never suspended.
    pub const fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// Stops drawing.
    pub fn begin(&self) {
        self.0.store(SUSPENDED, Ordering::SeqCst);
    }

    /// Draws again, below what the shell has printed.
    pub fn end(&self) {
        self.0.store(CONTINUED, Ordering::SeqCst);
    }
}

/// Draws bars on a terminal.
pub struct Bars<W> {
    out: W,
    size: fn() -> TerminalSize,
    suspension: &'static Suspension,
    block: TerminalBlock,
    context: EventContext,
    /// Lines that were not printed yet.
    lines: String,
    /// Running operations, the longest-running one first.
    running: Vec<Running>,
    settled: u64,
    failed: HashSet<OpIx>,
    waits: Waits,
    estimate: Estimate,
    plan: Option<Arc<Plan>>,
    earlier: Option<EarlierDurations>,
    found: Option<Receiver<Durations>>,
    /// The last estimate of the time left, and when it was made.
    left: Option<(Instant, Option<Duration>)>,
    /// How long ago the present event happened; only events of the past have an age.
    age: Duration,
    /// Operations that get the results of their replayed dead letters.
    replayed: HashSet<OpIx>,
    total: u64,
    began: Instant,
    drawn: Option<Instant>,
    has_begun: bool,
    /// Columns of the longest name that was shown.
    longest: usize,
}

/// A running operation.
struct Running {
    op: OpIx,
    name: String,
    since: Instant,
    /// Last reported percentage, 0 to 100.
    percent: Option<f64>,
}

impl<W: Write + Send> Bars<W> {
    /// Creates bars for the run of this id. `settled` is the number of already settled operations.
    pub fn new(
        out: W,
        size: fn() -> TerminalSize,
        suspension: &'static Suspension,
        run: &str,
        settled: u64,
    ) -> Self {
        Self {
            out,
            size,
            suspension,
            block: TerminalBlock::new(size().has_reflow),
            context: EventContext::new(run),
            lines: String::new(),
            running: Vec::new(),
            settled,
            failed: HashSet::new(),
            waits: Waits::default(),
            estimate: Estimate::default(),
            plan: None,
            earlier: None,
            found: None,
            left: None,
            age: Duration::ZERO,
            replayed: HashSet::new(),
            total: 0,
            began: Instant::now(),
            drawn: None,
            has_begun: false,
            longest: "run".len(),
        }
    }

    /// Estimates the time left also from an earlier run.
    #[must_use]
    pub fn with_earlier(self, earlier: EarlierDurations) -> Self {
        Self { earlier: Some(earlier), ..self }
    }

    /// Takes the events of a run that began `began` ago, without lines for them.
    pub fn catch_up(&mut self, plan: &Arc<Plan>, past: &[EventRecord], began: Duration) {
        for recorded in past {
            self.age = began.saturating_sub(Duration::from_millis(recorded.at.0));
            self.on_event(plan, recorded);
        }
        self.age = Duration::ZERO;
        self.lines.clear();
        self.began = Instant::now().checked_sub(began).unwrap_or(self.began);
    }

    /// The time left, estimated anew once a second.
    fn left(&mut self, now: Instant) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.began);
        let plan = self.plan.as_ref().filter(|_| elapsed >= ESTIMATE_FROM)?;
        if let Some(earlier) = self.earlier.take() {
            let (sender, found) = channel();
            // without a thread there is only no estimate at first
            let thread = std::thread::Builder::new().name("earlier-runs".to_owned());
            thread.spawn(move || earlier().map(|durations| sender.send(durations))).ok();
            self.found = Some(found);
        }
        if let Some(durations) = self.found.as_ref().and_then(|found| found.try_recv().ok()) {
            self.estimate.set_earlier(durations);
            self.left = None;
        }
        if let Some((at, left)) =
            self.left.filter(|(at, _)| now.saturating_duration_since(*at) < ESTIMATE_EVERY)
        {
            return left.map(|left| left.saturating_sub(now.saturating_duration_since(at)));
        }
        let age = |running: &Running| (running.op, now.saturating_duration_since(running.since));
        let running: Vec<(OpIx, Duration)> = self.running.iter().map(age).collect();
        let left = self.estimate.left(plan, elapsed, &running);
        self.left = Some((now, left));
        left
    }

    /// Counts an operation that has its outcome.
    fn settle(&mut self, op: OpIx, outcome: Outcome) {
        self.settled += 1;
        self.estimate.set_settled(op, true);
        if matches!(outcome, Outcome::Failed | Outcome::DeadLettered) {
            self.failed.insert(op);
        }
    }

    fn print(&mut self, text: Option<String>) {
        if let Some(text) = text {
            self.lines.push_str(&text);
            self.lines.push('\n');
        }
    }

    fn end(&mut self, op: OpIx) {
        self.running.retain(|running| running.op != op);
    }

    /// The lines of the block.
    fn block(&mut self, now: Instant) -> Vec<String> {
        if !self.has_begun {
            return Vec::new();
        }
        let TerminalSize { columns, rows, .. } = (self.size)();
        // half of the terminal, so that the block fits even if each of its lines is broken once
        let room = (rows / 2).max(LEAST_BLOCK).min(rows - 1) - 1;
        let all = self.running.len() + self.waits.len();
        let shown = if all > room { room.saturating_sub(1) } else { all };
        let (shown, waiting) = (shown.min(self.running.len()), shown.saturating_sub(self.running.len()));
        for running in &self.running[..shown] {
            self.longest = self.longest.max(width(&running.name));
        }
        for wait in self.waits.iter().take(waiting) {
            self.longest = self.longest.max(width(&wait.name));
        }
        let layout = Layout::of(columns - 1, self.longest);
        let mut lines: Vec<String> =
            self.running[..shown].iter().map(|running| layout.operation(running, now)).collect();
        lines.extend(self.waits.iter().take(waiting).map(|wait| layout.waiting(wait, now)));
        if shown + waiting < all && room > 0 {
            let text = match (self.running.len() - shown, self.waits.len() - waiting) {
                (running, 0) => format!("… {running} more"),
                (0, waiting) => format!("… {waiting} more wait"),
                (running, waiting) => format!("… {running} more, {waiting} wait"),
            };
            lines.push(shorten(&text, columns - 1));
        }
        let left = self.left(now);
        let took = now.saturating_duration_since(self.began);
        let counts = [self.failed.len(), self.waits.len()];
        lines.push(layout.with_counts([self.settled, self.total], took, counts, left));
        lines
    }
}

impl<W: Write + Send> Redraw for Bars<W> {
    fn redraw(&mut self) -> Duration {
        match self.suspension.0.load(Ordering::SeqCst) {
            SUSPENDED => return FRAME,
            CONTINUED => {
                self.block.forget();
                // fails if the process is about to be suspended again
                self.suspension.0.compare_exchange(CONTINUED, 0, Ordering::SeqCst, Ordering::SeqCst).ok();
            }
            _ => {}
        }
        let now = Instant::now();
        let wait = self.drawn.map(|drawn| (drawn + LEAST_FRAME).saturating_duration_since(now));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero() && self.has_begun) {
            return wait;
        }
        let lines = self.block(now);
        let text = self.block.frame(&std::mem::take(&mut self.lines), lines, (self.size)().columns);
        // a closed terminal is no error
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).ok();
        self.drawn = Some(now);
        FRAME
    }
}

impl<W: Write + Send> Sink for Bars<W> {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        let text = event_text(plan, recorded, &mut self.context);
        let at = Instant::now().checked_sub(self.age).unwrap_or(self.began);
        self.waits.add(plan, recorded, at);
        if self.plan.as_ref().is_none_or(|known| !Arc::ptr_eq(known, plan)) {
            self.plan = Some(Arc::clone(plan));
        }
        let is_quiet = plan.len() > MOST_LINES;
        match &recorded.event {
            RunEvent::RunStarted { .. } | RunEvent::RunResumed { .. } => {
                self.has_begun = true;
                self.total = plan.len() as u64;
                self.print(text);
            }
            RunEvent::RunReopened { ops } => {
                // an operation with the result of its replayed dead letter is settled at once
                let repeated = ops.iter().filter(|op| !self.replayed.remove(op)).count();
                self.settled = self.settled.saturating_sub(repeated as u64);
                for op in ops {
                    self.failed.remove(op);
                    self.estimate.set_settled(*op, false);
                }
                self.print(text);
            }
            RunEvent::DeadLetterReplayed { op, .. } => {
                self.replayed.insert(*op);
                self.print(text);
            }
            RunEvent::AttemptStarted { op, .. } => {
                let name = shown(plan, *op);
                self.running.push(Running { op: *op, name, since: at, percent: None });
            }
            RunEvent::ProgressReported { op, progress, .. } => {
                let running = self.running.iter_mut().find(|running| running.op == *op);
                if let (Some(running), Some(percent)) = (running, progress.percent_complete) {
                    running.percent = Some(percent.clamp(0.0, 100.0));
                }
            }
            RunEvent::AttemptEnded { op, ending, .. } => {
                let is_success = matches!(ending, Ending::Succeeded { .. });
                if let Some(ended) = self.running.iter().find(|running| running.op == *op) {
                    let took = at.saturating_duration_since(ended.since);
                    self.estimate.attempt_ended(plan, *op, took, is_success);
                }
                self.end(*op);
                // a success settles its operation; an event of its own settles any other end
                if is_success {
                    self.settle(*op, Outcome::Succeeded);
                }
                if matches!(ending, Ending::Lost | Ending::Displaced(_)) || !is_quiet {
                    self.print(text);
                }
            }
            RunEvent::PlanGrown { .. } => {
                self.total = plan.len() as u64;
                self.print(text);
            }
            RunEvent::GateAnswered { op, answer: Answer::Hit { .. } | Answer::Reused { .. } } => {
                self.settle(*op, Outcome::FromCache);
                if !is_quiet {
                    self.print(text);
                }
            }
            RunEvent::Joined { op, outcome, .. } => {
                self.settle(*op, *outcome);
                // a failure always has a line
                if !is_quiet || self.failed.contains(op) {
                    self.print(text);
                }
            }
            RunEvent::OperationSettled { op, outcome, .. } => {
                self.settle(*op, *outcome);
                let is_expected = outcome.has_result() || *outcome == Outcome::Cancelled;
                if !(is_expected && is_quiet) {
                    self.print(text);
                }
            }
            RunEvent::RunEnded { .. } => self.has_begun = false,
            _ => self.print(text),
        }
    }

    fn on_notice(&mut self, text: &str) {
        self.print(Some(text.to_owned()));
    }
}

#[cfg(test)]
mod tests;
