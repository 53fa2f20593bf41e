//! A run on a terminal: lines of past events, then a bar for each running operation and one for the run.

use super::event_text::{EventContext, event_text};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pop_agenda::{Answer, Ending, EventRecord, OpIx, Outcome, Plan, RunEvent, Sink};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Number of operations in a run above which only the run's bar is shown.
const MOST_BARS: usize = 1_000;
/// Number of operations in a run above which successes print no line.
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
    /// Creates bars for a terminal of `columns` columns. `settled` is the number of already settled operations.
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
        self.run.set_prefix(fit("run", self.name_width));
        self.run.enable_steady_tick(Duration::from_secs(1));
    }

    fn start(&mut self, plan: &Plan, op: OpIx) {
        if plan.len() > MOST_BARS {
            return;
        }
        let bar = self.multi.insert_before(&self.run, ProgressBar::new(1_000));
        bar.set_style(style("{prefix} {wide_bar:.cyan} {percent:>3}% {elapsed:>4}"));
        bar.set_prefix(fit(plan.operation(op).name.as_str(), self.name_width));
        bar.enable_steady_tick(Duration::from_secs(1));
        self.running.insert(op, bar);
    }

    fn end(&mut self, op: OpIx) {
        if let Some(bar) = self.running.remove(&op) {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
    }

    fn print(&self, text: Option<String>) {
        if let Some(text) = text {
            // a closed terminal is no error
            self.multi.println(wrap(&text, self.columns)).ok();
        }
    }
}

impl Sink for Bars {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        let text = event_text(plan, recorded, &mut self.context);
        let is_quiet = plan.len() > MOST_LINES;
        match &recorded.event {
            RunEvent::RunStarted { .. } | RunEvent::RunResumed { .. } => {
                self.begin(plan);
                self.print(text);
            }
            RunEvent::RunReopened { ops } => {
                self.run.set_position(self.run.position().saturating_sub(ops.len() as u64));
                self.print(text);
            }
            RunEvent::AttemptStarted { op, .. } => self.start(plan, *op),
            RunEvent::ProgressReported { op, progress, .. } => {
                if let (Some(bar), Some(percent)) = (self.running.get(op), progress.percent_complete) {
                    bar.set_position((percent * 10.0) as u64);
                }
            }
            RunEvent::AttemptEnded { op, ending, .. } => {
                self.end(*op);
                // a success settles its operation; an event of its own settles any other end
                self.run.inc(u64::from(matches!(ending, Ending::Succeeded { .. })));
                if matches!(ending, Ending::Lost | Ending::Displaced(_)) || !is_quiet {
                    self.print(text);
                }
            }
            RunEvent::PlanGrown { .. } => {
                self.run.set_length(plan.len() as u64);
                self.print(text);
            }
            RunEvent::GateAnswered { answer: Answer::Hit { .. }, .. } | RunEvent::Joined { .. } => {
                self.run.inc(1);
                if !is_quiet {
                    self.print(text);
                }
            }
            RunEvent::OperationSettled { outcome, .. } => {
                self.run.inc(1);
                let is_expected = outcome.has_result() || *outcome == Outcome::Cancelled;
                if !(is_expected && is_quiet) {
                    self.print(text);
                }
            }
            RunEvent::RunEnded { .. } => {
                self.run.finish_and_clear();
                self.multi.clear().ok();
            }
            _ => self.print(text),
        }
    }

    fn on_notice(&mut self, text: &str) {
        self.print(Some(text.to_owned()));
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸ ")
}

/// Breaks a text into lines that fit. A line that the terminal breaks would leave remains of a bar.
fn wrap(line: &str, columns: usize) -> String {
    const INDENT: &str = "    ";
    let mut text = String::new();
    let mut width = 0;
    for word in line.split_inclusive(' ') {
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

/// Pads or shortens a name to `width` columns.
fn fit(name: &str, width: usize) -> String {
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
        let text = wrap("ending: interrupted, running operations are asked to stop", 30);
        assert_eq!(text, "ending: interrupted, running\n    operations are asked to\n    stop");
        assert!(text.lines().all(|line| line.chars().count() < 30));
    }

    #[test]
    fn names_fill_their_columns() {
        assert_eq!((fit("ab", 4).as_str(), fit("abcdef", 4).as_str()), ("ab  ", "abc…"));
    }
}
