//! Health of the puller: whether the service answered recently; and what it has counted.

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use pop_metrics::{MetricsText, Timing};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What the puller has seen.
#[derive(Debug, Clone)]
pub struct Health(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    /// Time of the last answer of the service, or of the start.
    answered: Instant,
    /// Time without an answer after which the puller counts as dead.
    limit: Duration,
    running: usize,
    problem: Option<String>,
    counts: Counts,
}

/// What the puller has counted since its start.
#[derive(Debug, Default)]
struct Counts {
    /// Requests for agendas by outcome, with their duration.
    pulls: BTreeMap<&'static str, Timing>,
    agendas: u64,
    /// Executors by how they ended.
    ends: BTreeMap<&'static str, u64>,
    lost_leases: u64,
}

impl Health {
    /// A puller that has just started.
    pub fn new(limit: Duration) -> Self {
        let seen =
            Seen { answered: Instant::now(), limit, running: 0, problem: None, counts: Counts::default() };
        Self(Arc::new(Mutex::new(seen)))
    }

    fn seen<T>(&self, read: impl FnOnce(&mut Seen) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The service has answered.
    pub(crate) fn answered(&self) {
        self.seen(|seen| (seen.answered, seen.problem) = (Instant::now(), None));
    }

    /// A request has failed.
    pub(crate) fn failed(&self, problem: String) {
        self.seen(|seen| seen.problem = Some(problem));
    }

    /// So many executors run.
    pub(crate) fn running(&self, count: usize) {
        self.seen(|seen| seen.running = count);
    }

    /// A request for agendas has brought so many; none if it failed.
    pub(crate) fn pulled(&self, agendas: Option<usize>, time: Duration) {
        let outcome = match agendas {
            None => "failed",
            Some(0) => "empty",
            Some(_) => "agendas",
        };
        self.seen(|seen| {
            seen.counts.pulls.entry(outcome).or_default().add(time);
            seen.counts.agendas += agendas.unwrap_or_default() as u64;
        });
    }

    /// An executor has ended, or could not be started.
    pub(crate) fn ended(&self, how: &'static str) {
        self.seen(|seen| *seen.counts.ends.entry(how).or_default() += 1);
    }

    /// A lease has ended although its executor runs.
    pub(crate) fn lost_lease(&self) {
        self.seen(|seen| seen.counts.lost_leases += 1);
    }

    /// What the puller has counted, as Prometheus reads it.
    pub fn metrics(&self) -> String {
        let mut text = MetricsText::new();
        self.seen(|seen| {
            text.gauge("pop_puller_executors", "Executors that run.").value(&[], seen.running);
            let help = "Seconds since the agenda service has answered.";
            let silence = seen.answered.elapsed().as_secs_f64();
            text.gauge("pop_puller_since_answer_seconds", help).value(&[], silence);
            let counts = &seen.counts;
            let help = "Requests for agendas by outcome. Each waits for agendas.";
            let mut pulls = text.summary("pop_puller_pull_seconds", help);
            for (outcome, timing) in &counts.pulls {
                pulls.timing(&[("outcome", outcome)], *timing);
            }
            text.counter("pop_puller_agendas_total", "Agendas that were taken.").value(&[], counts.agendas);
            let help = "Executors by how they ended. A lost one had no outcome, or could not be started.";
            let mut ends = text.counter("pop_puller_executor_ends_total", help);
            for (how, count) in &counts.ends {
                ends.value(&[("end", how)], count);
            }
            let help = "Leases that ended although the executor ran.";
            text.counter("pop_puller_lost_leases_total", help).value(&[], counts.lost_leases);
        });
        text.into_text()
    }

    /// The answer to a request for a path: at `/metrics` the metrics, at any other the health, with the status 200 or 503.
    pub fn page(&self, path: &str) -> Response<String> {
        if path == "/metrics" {
            let mut response = Response::new(self.metrics());
            let format = HeaderValue::from_static(pop_metrics::CONTENT_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, format);
            return response;
        }
        let (is_alive, report) = self.report();
        let mut response = Response::new(report.to_string());
        if !is_alive {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }

    /// Whether the puller is alive, and what it has seen.
    fn report(&self) -> (bool, serde_json::Value) {
        self.seen(|seen| {
            let silence = seen.answered.elapsed();
            let is_alive = silence <= seen.limit;
            let report = json!({
                "status": if is_alive { "ok" } else { "no answer of the agenda service" },
                "sinceLastAnswerMs": silence.as_millis() as u64, "running": seen.running, "problem": seen.problem,
            });
            (is_alive, report)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_and_metrics_have_paths_of_their_own() {
        let health = Health::new(Duration::ZERO);
        health.pulled(Some(2), Duration::from_millis(500));
        health.pulled(None, Duration::from_millis(10));
        health.ended("lost");
        health.running(1);
        let response = health.page("/metrics");
        assert_eq!(response.status(), StatusCode::OK);
        let text = health.metrics();
        for line in [
            "pop_puller_executors 1",
            "pop_puller_pull_seconds_sum{outcome=\"agendas\"} 0.5",
            "pop_puller_pull_seconds_count{outcome=\"failed\"} 1",
            "pop_puller_agendas_total 2",
            "pop_puller_executor_ends_total{end=\"lost\"} 1",
            "pop_puller_lost_leases_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert_eq!(health.page("/healthcheck").status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
