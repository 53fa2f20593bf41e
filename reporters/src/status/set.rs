//! Several reporters that are told the same.

use super::StatusReporter;
use pop_registry::contract::Progress;
use serde_json::Value;

/// Reporters that are told in the order in which they were added; none of them can keep it from the next.
#[derive(Default)]
pub struct ReporterSet(Vec<Box<dyn StatusReporter>>);

impl ReporterSet {
    /// A set with one more reporter.
    #[must_use]
    pub fn with(mut self, reporter: impl StatusReporter + 'static) -> Self {
        self.0.push(Box::new(reporter));
        self
    }
}

impl StatusReporter for ReporterSet {
    fn report(&mut self, progress: &Progress, result: Option<&Value>) {
        for reporter in &mut self.0 {
            reporter.report(progress, result);
        }
    }
}
