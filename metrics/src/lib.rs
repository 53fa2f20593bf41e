//! Counts and times as text in the format of Prometheus, version 0.0.4.
//!
//! A server keeps its own counts and writes them when it is asked. Labels should have few values: each combination is a
//! series of its own.

use std::fmt::{Display, Write as _};
use std::time::Duration;

/// Content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Number and sum of durations.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timing {
    /// Number of durations.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}

impl Timing {
    /// Adds a duration.
    pub fn add(&mut self, time: Duration) {
        self.count += 1;
        self.sum = self.sum.saturating_add(time);
    }
}

/// The text, family by family.
#[derive(Debug, Default)]
pub struct MetricsText {
    text: String,
}

/// A metric with all its series.
#[derive(Debug)]
pub struct Family<'t> {
    text: &'t mut String,
    name: &'t str,
}

impl MetricsText {
    /// A text without metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a count that never falls. Its name ends with `_total`.
    pub fn counter<'t>(&'t mut self, name: &'t str, help: &str) -> Family<'t> {
        self.family(name, "counter", help)
    }

    /// Begins a value at one moment.
    pub fn gauge<'t>(&'t mut self, name: &'t str, help: &str) -> Family<'t> {
        self.family(name, "gauge", help)
    }

    /// Begins numbers and sums of durations, in seconds. Its name ends with `_seconds`.
    pub fn summary<'t>(&'t mut self, name: &'t str, help: &str) -> Family<'t> {
        self.family(name, "summary", help)
    }

    fn family<'t>(&'t mut self, name: &'t str, form: &str, help: &str) -> Family<'t> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // writing to a text cannot fail
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {form}").ok();
        Family { text: &mut self.text, name }
    }

    /// Appends metrics that another part of the program has written.
    pub fn append(&mut self, other: &str) {
        self.text.push_str(other);
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds a series of a counter or gauge.
    pub fn value(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.series("", labels, value);
    }

    /// Adds a series of a summary.
    pub fn timing(&mut self, labels: &[(&str, &str)], timing: Timing) {
        self.series("_sum", labels, timing.sum.as_secs_f64());
        self.series("_count", labels, timing.count);
    }

    fn series(&mut self, end: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(end);
        for (index, (name, text)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            for character in text.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    _ => self.text.push(character),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        writeln!(self.text, " {value}").ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_heads_labels_and_values() {
        let mut text = MetricsText::new();
        text.gauge("pop_waiting", "Agendas that\nwait.").value(&[], 3);
        let mut requests = text.counter("pop_requests_total", "Requests.");
        requests.value(&[("call", "a\"b\\c\nd"), ("status", "200")], 7);
        requests.value(&[("call", "e"), ("status", "404")], 1);
        let mut timing = Timing::default();
        timing.add(Duration::from_millis(1500));
        timing.add(Duration::from_millis(500));
        text.summary("pop_request_seconds", "Times.").timing(&[("call", "e")], timing);
        text.append("# a comment\n");
        let wanted = "# HELP pop_waiting Agendas that\\nwait.\n# TYPE pop_waiting gauge\npop_waiting 3\n\
            # HELP pop_requests_total Requests.\n# TYPE pop_requests_total counter\n\
            pop_requests_total{call=\"a\\\"b\\\\c\\nd\",status=\"200\"} 7\n\
            pop_requests_total{call=\"e\",status=\"404\"} 1\n\
            # HELP pop_request_seconds Times.\n# TYPE pop_request_seconds summary\n\
            pop_request_seconds_sum{call=\"e\"} 2\npop_request_seconds_count{call=\"e\"} 2\n# a comment\n";
        assert_eq!(text.into_text(), wanted);
    }
}
