//! Counts and times of a running operator, as Prometheus text.

use pop_metrics::{MetricsText, Timing};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The counts. Labels have few values, so series do not grow with the number of parents.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    syncs: BTreeMap<&'static str, Timing>,
    errors: BTreeMap<&'static str, u64>,
    events: BTreeMap<(String, &'static str), u64>,
    requests: BTreeMap<(&'static str, bool), Timing>,
}

/// Values at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauges {
    pub(crate) parents: usize,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) is_leading: bool,
}

impl Metrics {
    /// Counts a sync of a phase.
    pub(crate) fn sync(&self, phase: &'static str, time: Duration) {
        self.counts().syncs.entry(phase).or_default().add(time);
    }

    /// Counts a failed sync.
    pub(crate) fn error(&self, reason: &'static str) {
        *self.counts().errors.entry(reason).or_default() += 1;
    }

    /// Counts an event of a watch.
    pub(crate) fn event(&self, kind: &str, event: &'static str) {
        *self.counts().events.entry((kind.to_owned(), event)).or_default() += 1;
    }

    /// Counts a request to the API server.
    pub(crate) fn request(&self, verb: &'static str, time: Duration, is_good: bool) {
        self.counts().requests.entry((verb, is_good)).or_default().add(time);
    }

    /// All metrics in the text format of Prometheus.
    pub(crate) fn text(&self, gauges: Gauges) -> String {
        let mut text = MetricsText::new();
        let counts = self.counts();
        let mut syncs = text.summary("pop_operator_sync_seconds", "Duration of syncs by phase.");
        for (phase, timing) in &counts.syncs {
            syncs.timing(&[("phase", phase)], *timing);
        }
        let mut errors = text.counter("pop_operator_sync_errors_total", "Failed syncs by reason.");
        for (reason, count) in &counts.errors {
            errors.value(&[("reason", reason)], count);
        }
        let mut events =
            text.counter("pop_operator_watch_events_total", "Events of watches by kind and type.");
        for ((kind, event), count) in &counts.events {
            events.value(&[("kind", kind), ("type", event)], count);
        }
        let help = "Duration of requests to the API server by verb.";
        let mut requests = text.summary("pop_operator_api_request_seconds", help);
        for ((verb, is_good), timing) in &counts.requests {
            let outcome = if *is_good { "success" } else { "error" };
            requests.timing(&[("verb", verb), ("outcome", outcome)], *timing);
        }
        drop(counts);
        for (name, help, value) in [
            ("pop_operator_parents", "Parents in the cache.", gauges.parents),
            ("pop_operator_running_syncs", "Syncs that run.", gauges.running),
            ("pop_operator_waiting_syncs", "Syncs that wait.", gauges.waiting),
            ("pop_operator_is_leading", "Whether this replica leads.", usize::from(gauges.is_leading)),
        ] {
            text.gauge(name, help).value(&[], value);
        }
        text.into_text()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o24_metrics_are_prometheus_text() {
        let metrics = Metrics::default();
        metrics.sync("live", Duration::from_millis(1500));
        metrics.sync("live", Duration::from_millis(500));
        metrics.error("handler");
        metrics.event("Site.x.dev", "added");
        metrics.request("create", Duration::from_millis(250), false);
        let text = metrics.text(Gauges { parents: 3, running: 1, waiting: 2, is_leading: true });
        for line in [
            "# TYPE pop_operator_sync_seconds summary",
            "pop_operator_sync_seconds_sum{phase=\"live\"} 2",
            "pop_operator_sync_seconds_count{phase=\"live\"} 2",
            "pop_operator_sync_errors_total{reason=\"handler\"} 1",
            "pop_operator_watch_events_total{kind=\"Site.x.dev\",type=\"added\"} 1",
            "pop_operator_api_request_seconds_count{verb=\"create\",outcome=\"error\"} 1",
            "pop_operator_parents 3",
            "pop_operator_is_leading 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
