//! A run as plain lines for pipes and files: one line for each start, end and problem.

use super::event_text::{EventContext, event_text};
use pop_agenda::{EventRecord, Plan, Sink};
use std::io::Write;
use std::sync::Arc;

/// Writes a line for each event that has a text.
pub struct Lines<W> {
    out: W,
    context: EventContext,
}

impl<W: Write> Lines<W> {
    /// Creates a writer to `out` for the run of this id.
    pub fn new(out: W, run: &str) -> Self {
        Self { out, context: EventContext::new(run) }
    }
}

impl<W: Write + Send> Lines<W> {
    /// Takes events of the past, without lines for them.
    pub fn catch_up(&mut self, plan: &Plan, past: &[EventRecord]) {
        for recorded in past {
            event_text(plan, recorded, &mut self.context);
        }
    }
}

impl<W: Write + Send> Sink for Lines<W> {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        if let Some(mut text) = event_text(plan, recorded, &mut self.context) {
            text.push('\n');
            // a closed output does not stop the run
            self.out.write_all(text.as_bytes()).ok();
        }
    }

    fn on_notice(&mut self, text: &str) {
        writeln!(self.out, "{text}").ok();
    }

    fn flush(&mut self) {
        self.out.flush().ok();
    }
}
