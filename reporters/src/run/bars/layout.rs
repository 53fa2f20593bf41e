//! The lines of the block: names, bars, times and reasons in columns that fit the terminal.

use super::super::terminal_block::{shorten, width};
use super::super::waits::Wait;
use super::{FRAME, Running};
use std::time::{Duration, Instant};

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

/// Columns of the parts of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// The whole line.
    columns: usize,
    name: usize,
    /// None if there is no room for a bar.
    bar: Option<usize>,
}

impl Layout {
    /// The layout for lines of `columns` columns and names of at most `longest`.
    pub(super) fn of(columns: usize, longest: usize) -> Self {
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
    pub(super) fn operation(self, running: &Running, now: Instant) -> String {
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

    /// The line of an operation that waits: its name and why.
    pub(super) fn waiting(self, wait: &Wait, now: Instant) -> String {
        let (name, text) = (self.name(&wait.name), wait.text(now));
        let room = self.columns.saturating_sub(self.name + 1);
        format!("{name} \u{1b}[2m{}\u{1b}[0m", beginning(&text, room))
    }

    /// The line of the run with as much as fits of: failures, waiting operations, time left. A narrow line has these
    /// rather than a bar.
    pub(super) fn with_counts(
        self,
        run: [u64; 2],
        took: Duration,
        counts: [usize; 2],
        left: Option<Duration>,
    ) -> String {
        let [settled, total] = run;
        let count = |count: usize, word: &str| (count > 0).then(|| format!("{count} {word}"));
        let (failed, waiting) = (count(counts[0], "failed"), count(counts[1], "waiting"));
        let left = left.filter(|left| left.as_secs() > 0).map(|left| format!("~{} left", clock(left)));
        let line = self.run(settled, total, took);
        let bare = Self { bar: None, name: self.name.min("run".len()), ..self }.run(settled, total, took);
        for (line, parts) in [
            (&line, [&failed, &waiting, &left]),
            (&line, [&failed, &None, &left]),
            (&bare, [&failed, &waiting, &left]),
            (&bare, [&failed, &None, &left]),
            (&bare, [&failed, &None, &None]),
        ] {
            let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            let text = parts.join(", ");
            if !text.is_empty() && width(line) + 2 + width(&text) <= self.columns {
                return format!("{line}  {text}");
            }
        }
        line
    }

    /// The line of the run: operations that are settled, of all.
    pub(super) fn run(self, settled: u64, total: u64, took: Duration) -> String {
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

/// The beginning of a text that fits into `columns` columns.
fn beginning(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    for letter in text.chars() {
        cut.push(letter);
        if width(&cut) >= columns {
            cut.pop();
            break;
        }
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
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
