//! A run as plain lines, for pipes and files: one line when something begins, ends or goes wrong.

use super::words::{EventContext, event_words};
use pop_agenda::{EventRecord, Plan, Sink};
use std::io::Write;
use std::sync::Arc;

/// Writes a line for each event of interest.
pub struct Lines<W> {
    out: W,
    context: EventContext,
}

impl<W: Write> Lines<W> {
    /// Lines written to `out`.
    pub fn new(out: W) -> Self {
        Self { out, context: EventContext::default() }
    }
}

impl<W: Write + Send> Sink for Lines<W> {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        if let Some(words) = event_words(plan, recorded, &mut self.context) {
            // nobody reads any more: the run goes on all the same
            writeln!(self.out, "{words}").ok();
        }
    }

    fn on_notice(&mut self, words: &str) {
        writeln!(self.out, "{words}").ok();
    }

    fn flush(&mut self) {
        self.out.flush().ok();
    }
}
