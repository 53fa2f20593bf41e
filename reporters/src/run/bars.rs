//! A run on a terminal: a bar for each running operation and one for the run; below them nothing, above what was.

use super::words::{EventContext, event_words};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pop_agenda::{Answer, Ending, EventRecord, OpIx, Outcome, Plan, RunEvent, Sink};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Runs of more operations show the run's bar alone: thousands of bars a second help nobody.
const MOST_BARS: usize = 1_000;
/// Runs of more operations do not leave a line behind for each that went well.
const MOST_LINES: usize = 60;

/// Draws bars on standard error.
pub struct Bars {
    multi: MultiProgress,
    run: ProgressBar,
    running: HashMap<OpIx, ProgressBar>,
    context: EventContext,
    name_width: usize,
    columns: usize,
}

impl Bars {
    /// Draws bars for a terminal of `columns` columns. `settled` is the number of operations that are settled already.
    pub fn new(columns: usize, settled: u64) -> Self {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let run = multi.add(ProgressBar::no_length());
        run.set_position(settled);
        Self {
            multi,
            run,
            running: HashMap::new(),
            context: EventContext::default(),
            name_width: 12,
            columns,
        }
    }

    fn begin(&mut self, plan: &Plan) {
        let longest = plan.operations().map(|(_, planned)| planned.name.as_str().chars().count()).max();
        self.name_width = longest.unwrap_or(3).clamp(3, (self.columns / 3).max(8));
        self.run.set_length(plan.len() as u64);
        let count = plan.len().to_string().len();
        self.run
            .set_style(style(&format!("{{prefix}} {{wide_bar}} {{pos:>{count}}}/{{len}} {{elapsed:>4}}")));
        self.run.set_prefix(fitted("run", self.name_width));
        self.run.enable_steady_tick(Duration::from_secs(1));
    }

    fn start(&mut self, plan: &Plan, op: OpIx) {
        if plan.len() > MOST_BARS {
            return;
        }
        let bar = self.multi.insert_before(&self.run, ProgressBar::new(1_000));
        bar.set_style(style("{prefix} {wide_bar:.cyan} {percent:>3}% {elapsed:>4}"));
        bar.set_prefix(fitted(plan.operation(op).name.as_str(), self.name_width));
        bar.enable_steady_tick(Duration::from_secs(1));
        self.running.insert(op, bar);
    }

    fn end(&mut self, op: OpIx) {
        if let Some(bar) = self.running.remove(&op) {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
    }

    fn say(&self, words: Option<String>) {
        if let Some(words) = words {
            // a terminal that is gone reads nothing
            self.multi.println(wrapped(&words, self.columns)).ok();
        }
    }
}

impl Sink for Bars {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        let words = event_words(plan, recorded, &mut self.context);
        let is_quiet = plan.len() > MOST_LINES;
        match &recorded.event {
            RunEvent::RunStarted { .. } | RunEvent::RunResumed { .. } => {
                self.begin(plan);
                self.say(words);
            }
            RunEvent::RunReopened { ops } => {
                self.run.set_position(self.run.position().saturating_sub(ops.len() as u64));
                self.say(words);
            }
            RunEvent::AttemptStarted { op, .. } => self.start(plan, *op),
            RunEvent::ProgressReported { op, progress, .. } => {
                if let (Some(bar), Some(percent)) = (self.running.get(op), progress.percent_complete) {
                    bar.set_position((percent * 10.0) as u64);
                }
            }
            RunEvent::AttemptEnded { op, ending, .. } => {
                self.end(*op);
                // a success settles its operation; other ends are settled by an event of their own
                self.run.inc(u64::from(matches!(ending, Ending::Succeeded { .. })));
                if matches!(ending, Ending::Lost | Ending::Displaced(_)) || !is_quiet {
                    self.say(words);
                }
            }
            RunEvent::PlanGrown { .. } => {
                self.run.set_length(plan.len() as u64);
                self.say(words);
            }
            RunEvent::GateAnswered { answer: Answer::Hit { .. }, .. } | RunEvent::Joined { .. } => {
                self.run.inc(1);
                if !is_quiet {
                    self.say(words);
                }
            }
            RunEvent::OperationSettled { outcome, .. } => {
                self.run.inc(1);
                let is_dull = outcome.has_result() || *outcome == Outcome::Cancelled;
                if !(is_dull && is_quiet) {
                    self.say(words);
                }
            }
            RunEvent::RunEnded { .. } => {
                self.run.finish_and_clear();
                self.multi.clear().ok();
            }
            _ => self.say(words),
        }
    }

    fn on_notice(&mut self, words: &str) {
        self.say(Some(words.to_owned()));
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸ ")
}

/// Words in lines that fit: a line that the terminal breaks by itself would leave a bar behind.
fn wrapped(words: &str, columns: usize) -> String {
    const INDENT: &str = "    ";
    let mut text = String::new();
    let mut width = 0;
    for word in words.split_inclusive(' ') {
        let count = word.trim_end().chars().count();
        if width > 0 && width + count >= columns {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(INDENT);
            width = INDENT.len();
        }
        text.push_str(word);
        width += word.chars().count();
    }
    text
}

/// A name in exactly so many columns.
fn fitted(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count > width {
        let head: String = name.chars().take(width - 1).collect();
        format!("{head}…")
    } else {
        format!("{name}{}", " ".repeat(width - count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f89_lines_fit_a_narrow_terminal() {
        let text = wrapped("ending: interrupted, running operations are asked to stop", 30);
        assert_eq!(text, "ending: interrupted, running\n    operations are asked to\n    stop");
        assert!(text.lines().all(|line| line.chars().count() < 30));
    }

    #[test]
    fn names_take_their_columns() {
        assert_eq!((fitted("ab", 4).as_str(), fitted("abcdef", 4).as_str()), ("ab  ", "abc…"));
    }
}
