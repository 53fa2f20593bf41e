//! Counts and times of the service, as Prometheus reads them at `/metrics`.

use crate::route::Interface;
use pop_metrics::{MetricsText, Timing};
use pop_service::{QueueDepth, ServiceError};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Path of the metrics.
pub(crate) const PATH: &str = "/metrics";
/// Time for which the state of the store is remembered: counting it reads all agendas.
const MEMORY: Duration = Duration::from_secs(5);
/// The state of the store is remembered at least this many times as long as it took to count it.
const PAUSES: u32 = 20;

/// Metrics that another part of the process writes.
pub(crate) type MoreMetrics = Box<dyn Fn() -> String + Send + Sync>;

/// The state of the store at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreState {
    /// Number of agendas by processing state.
    pub(crate) agendas: Vec<(String, u64)>,
    /// Waiting and leased agendas by insight.
    pub(crate) queues: Vec<QueueDepth>,
}

/// What the service has counted.
#[derive(Default)]
pub(crate) struct Metrics {
    counts: Mutex<Counts>,
    more: OnceLock<MoreMetrics>,
}

#[derive(Default)]
struct Counts {
    requests: BTreeMap<(&'static str, &'static str, u16), Timing>,
    store_errors: BTreeMap<&'static str, u64>,
    /// The state of the store, when it was counted, and how long it stays.
    store: Option<(StoreState, Instant, Duration)>,
}

impl Metrics {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answered request. `call` is the name of the call; empty if the request was none.
    pub(crate) fn request(&self, interface: Interface, call: &'static str, status: u16, time: Duration) {
        let interface = match interface {
            Interface::Pop => "pop",
            Interface::Rest => "rest",
        };
        let call = if call.is_empty() { "none" } else { call };
        self.counts().requests.entry((interface, call, status)).or_default().add(time);
    }

    /// Counts a failed transaction, if the store failed it.
    pub(crate) fn failed(&self, error: &ServiceError) {
        if let ServiceError::Ledger(error) = error {
            let kind = if error.is_temporary { "temporary" } else { "permanent" };
            *self.counts().store_errors.entry(kind).or_default() += 1;
        }
    }

    /// Adds metrics of another part of the process; only the first ones count.
    pub(crate) fn append(&self, more: MoreMetrics) {
        self.more.set(more).ok();
    }

    /// The state of the store, if it was counted lately.
    pub(crate) fn known_state(&self) -> Option<StoreState> {
        let counts = self.counts();
        let known = counts.store.as_ref().filter(|(_, at, memory)| at.elapsed() < *memory);
        known.map(|(state, ..)| state.clone())
    }

    /// Remembers the state of the store, which took so long to count.
    pub(crate) fn remember(&self, state: &StoreState, took: Duration) {
        let memory = MEMORY.max(took.saturating_mul(PAUSES));
        self.counts().store = Some((state.clone(), Instant::now(), memory));
    }

    /// All metrics. Without a state, the store has failed.
    pub(crate) fn text(&self, state: Option<&StoreState>) -> String {
        let mut text = MetricsText::new();
        let help = "Whether the store has answered.";
        text.gauge("pop_service_store_up", help).value(&[], u8::from(state.is_some()));
        if let Some(state) = state {
            let mut agendas = text.gauge("pop_service_agendas", "Agendas by processing state.");
            for (state, count) in &state.agendas {
                agendas.value(&[("state", state)], count);
            }
            let mut waiting =
                text.gauge("pop_service_queue_length", "Agendas that wait for a puller, by insight.");
            for queue in &state.queues {
                waiting.value(&[("insight", &queue.insight)], queue.waiting);
            }
            let mut leased = text.gauge("pop_service_leases", "Agendas that a puller has, by insight.");
            for queue in &state.queues {
                leased.value(&[("insight", &queue.insight)], queue.leased);
            }
        }
        let counts = self.counts();
        let help = "Transactions that the store failed. A temporary failure may be repeated.";
        let mut errors = text.counter("pop_service_store_errors_total", help);
        for kind in ["temporary", "permanent"] {
            errors.value(&[("kind", kind)], counts.store_errors.get(kind).copied().unwrap_or_default());
        }
        let help = "Requests by interface, call and status, with the time until the answer. A pull waits for agendas.";
        let mut requests = text.summary("pop_service_request_seconds", help);
        for ((interface, call, status), timing) in &counts.requests {
            let labels = [("interface", *interface), ("call", *call), ("status", &status.to_string())];
            requests.timing(&labels, *timing);
        }
        drop(counts);
        if let Some(more) = self.more.get() {
            text.append(&more());
        }
        text.into_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_service::LedgerError;

    #[test]
    fn metrics_have_the_store_only_while_it_answers() {
        let metrics = Metrics::default();
        metrics.request(Interface::Rest, "pull", 200, Duration::from_millis(250));
        metrics.request(Interface::Pop, "", 404, Duration::ZERO);
        let broken = LedgerError { message: "disk full".to_owned(), is_temporary: false };
        metrics.failed(&broken.into());
        metrics.failed(&ServiceError::invalid("no failure of the store"));
        let state = StoreState {
            agendas: vec![("COMPLETE".to_owned(), 3)],
            queues: vec![QueueDepth { insight: "a \"b\"".to_owned(), waiting: 2, leased: 1 }],
        };
        metrics.append(Box::new(|| "pop_puller_executors 1\n".to_owned()));
        let text = metrics.text(Some(&state));
        for line in [
            "pop_service_store_up 1",
            "pop_service_agendas{state=\"COMPLETE\"} 3",
            "pop_service_queue_length{insight=\"a \\\"b\\\"\"} 2",
            "pop_service_leases{insight=\"a \\\"b\\\"\"} 1",
            "pop_service_store_errors_total{kind=\"temporary\"} 0",
            "pop_service_store_errors_total{kind=\"permanent\"} 1",
            "pop_service_request_seconds_sum{interface=\"rest\",call=\"pull\",status=\"200\"} 0.25",
            "pop_service_request_seconds_count{interface=\"pop\",call=\"none\",status=\"404\"} 1",
            "pop_puller_executors 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        let text = metrics.text(None);
        assert!(text.contains("pop_service_store_up 0\n") && !text.contains("pop_service_agendas"));
        // counting takes as long as it takes, and is not repeated at once
        assert!(metrics.known_state().is_none());
        metrics.remember(&state, Duration::ZERO);
        assert!(metrics.known_state().is_some());
    }
}
