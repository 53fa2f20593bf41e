//! A run on a terminal: lines of past events, then a line for each running operation and one for the run.

use super::event_text::{EventContext, event_text, shown};
use super::sink_thread::Redraw;
use super::terminal_block::{TerminalBlock, shorten, width};
use pop_agenda::{Answer, Ending, EventRecord, OpIx, Outcome, Plan, RunEvent, Sink};
use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Number of operations in a run above which successes print no line.
const MOST_LINES: usize = 60;
/// Fewest lines of the block, if the terminal has that many rows.
const LEAST_BLOCK: usize = 3;
/// Most columns of a bar.
const LONGEST_BAR: usize = 20;
/// Columns of a bar for which long names make room.
const USUAL_BAR: usize = 10;
/// Fewest columns of a bar; with less room there is none.
const SHORTEST_BAR: usize = 6;
/// Columns of the percentage and of the time, with the spaces before them.
const NUMBERS: usize = 5 + 7;
/// Frames of the mark of an operation that reports no percentage.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Time between two frames while nothing happens.
const FRAME: Duration = Duration::from_millis(250);
/// Shortest time between two frames.
const LEAST_FRAME: Duration = Duration::from_millis(50);

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
            replayed: HashSet::new(),
            total: 0,
            began: Instant::now(),
            drawn: None,
            has_begun: false,
            longest: "run".len(),
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
        let shown = if self.running.len() > room { room.saturating_sub(1) } else { self.running.len() };
        for running in &self.running[..shown] {
            self.longest = self.longest.max(width(&running.name));
        }
        let layout = Layout::of(columns - 1, self.longest);
        let mut lines: Vec<String> =
            self.running[..shown].iter().map(|running| layout.operation(running, now)).collect();
        if shown < self.running.len() && room > 0 {
            lines.push(format!("… {} more", self.running.len() - shown));
        }
        lines.push(layout.run(self.settled, self.total, now - self.began));
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
                self.print(text);
            }
            RunEvent::DeadLetterReplayed { op, .. } => {
                self.replayed.insert(*op);
                self.print(text);
            }
            RunEvent::AttemptStarted { op, .. } => {
                let name = shown(plan, *op);
                self.running.push(Running { op: *op, name, since: Instant::now(), percent: None });
            }
            RunEvent::ProgressReported { op, progress, .. } => {
                let running = self.running.iter_mut().find(|running| running.op == *op);
                if let (Some(running), Some(percent)) = (running, progress.percent_complete) {
                    running.percent = Some(percent.clamp(0.0, 100.0));
                }
            }
            RunEvent::AttemptEnded { op, ending, .. } => {
                self.end(*op);
                // a success settles its operation; an event of its own settles any other end
                self.settled += u64::from(matches!(ending, Ending::Succeeded { .. }));
                if matches!(ending, Ending::Lost | Ending::Displaced(_)) || !is_quiet {
                    self.print(text);
                }
            }
            RunEvent::PlanGrown { .. } => {
                self.total = plan.len() as u64;
                self.print(text);
            }
            RunEvent::GateAnswered { answer: Answer::Hit { .. } | Answer::Reused { .. }, .. }
            | RunEvent::Joined { .. } => {
                self.settled += 1;
                if !is_quiet {
                    self.print(text);
                }
            }
            RunEvent::OperationSettled { outcome, .. } => {
                self.settled += 1;
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

/// Columns of the parts of a line.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// The whole line.
    columns: usize,
    name: usize,
    /// None if there is no room for a bar.
    bar: Option<usize>,
}

impl Layout {
    /// The layout for lines of `columns` columns and names of at most `longest`.
    fn of(columns: usize, longest: usize) -> Self {
        let others = 1 + USUAL_BAR + NUMBERS;
        let name = longest.min(columns.saturating_sub(others).max(SHORTEST_BAR));
        let bar = columns.saturating_sub(name + 1 + NUMBERS).min(LONGEST_BAR);
        Self { columns, name, bar: (bar >= SHORTEST_BAR).then_some(bar) }
    }

    fn name(self, name: &str) -> String {
        let name = shorten(name, self.name);
        let space = " ".repeat(self.name.saturating_sub(width(&name)));
        format!("{name}{space}")
    }

    /// The line of an operation: a bar and a percentage if it has reported one, otherwise only a mark that moves.
    fn operation(self, running: &Running, now: Instant) -> String {
        let took = now - running.since;
        let name = self.name(&running.name);
        let middle = match (running.percent, self.bar) {
            (Some(percent), Some(bar)) => format!(" {} {:>3}%", drawn(percent / 100.0, bar), percent as u8),
            (Some(percent), None) => format!(" {:>3}%", percent as u8),
            (None, bar) => {
                let frame = took.as_millis() / FRAME.as_millis() % SPINNER.len() as u128;
                format!(" {}{}", SPINNER[frame as usize], " ".repeat(bar.map_or(3, |bar| bar + 4)))
            }
        };
        format!("{name}{middle} {:>6}", clock(took))
    }

    /// The line of the run: operations that are settled, of all.
    fn run(self, settled: u64, total: u64, took: Duration) -> String {
        let share = if total == 0 { 1.0 } else { settled as f64 / total as f64 };
        let count = format!("{settled}/{total}");
        let room = self.columns.saturating_sub(count.len() + 8).max(3);
        let name = Self { name: self.name.min(room), ..self }.name("run");
        // the count may be wider than a percentage
        let bar = self
            .bar
            .and_then(|bar| (bar + 5).checked_sub(count.len() + 1))
            .filter(|bar| *bar >= SHORTEST_BAR);
        let middle = bar.map(|bar| format!(" {}", drawn(share, bar))).unwrap_or_default();
        format!("{name}{middle} {count} {:>6}", clock(took))
    }
}

/// A bar of `columns` columns, filled to a share from 0 to 1.
fn drawn(share: f64, columns: usize) -> String {
    let halves = (share.clamp(0.0, 1.0) * (2 * columns) as f64) as usize;
    let (full, half) = (halves / 2, halves % 2);
    let bar = format!("{}{}", "━".repeat(full), if half > 0 { "╸" } else { "" });
    format!("\u{1b}[36m{bar}\u{1b}[0m{}", " ".repeat(columns - full - half))
}

/// A duration in at most six columns: `12s`, `2m05s`, `3h07m`.
fn clock(took: Duration) -> String {
    let seconds = took.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests;
