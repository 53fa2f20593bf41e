//! Health of the puller: whether the service answered recently.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
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
}

impl Health {
    /// A puller that has just started.
    pub fn new(limit: Duration) -> Self {
        let seen = Seen { answered: Instant::now(), limit, running: 0, problem: None };
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

    /// Whether the puller is alive, and what it has seen.
    pub fn report(&self) -> (bool, serde_json::Value) {
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

/// Answers each request on the listener with the health: 200, or 503.
pub async fn serve_health(listener: TcpListener, health: Health) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let health = health.clone();
        tokio::spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let (is_alive, report) = health.report();
                let mut response = Response::new(Full::new(Bytes::from(report.to_string())));
                if !is_alive {
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                }
                async move { Ok::<_, Infallible>(response) }
            });
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}
