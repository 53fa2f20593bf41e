//! The request log, for assertions in tests.

use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One received request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// HTTP method.
    #[serde(default)]
    pub method: String,
    /// Path, not decoded.
    #[serde(default)]
    pub path: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Plural name of the resource in the path.
    pub resource: String,
    /// `status`, `log`, or empty.
    pub subresource: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name of the object; empty for collections and new objects.
    pub name: String,
    /// Query, not decoded.
    pub query: String,
    /// Value of `User-Agent`.
    pub user_agent: String,
    /// Name of the authenticated user.
    pub user: String,
    /// Value of `Content-Type`; empty if the header is missing.
    pub content_type: String,
    /// Body as text; empty if it was too large.
    pub body: String,
    /// Time of receipt, in milliseconds since the start of the stand-in.
    pub milliseconds: u64,
    /// HTTP status of the response; none before the response, or without one.
    pub status: Option<u16>,
}

/// All requests since the last reset.
#[derive(Debug)]
pub(crate) struct Requests {
    started: Instant,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// Number of requests removed by resets.
    forgotten: u64,
    requests: Vec<Request>,
}

impl Default for Requests {
    fn default() -> Self {
        Self { started: Instant::now(), log: Mutex::default() }
    }
}

impl Requests {
    /// Records a request and returns its number.
    pub(crate) fn record(&self, mut request: Request) -> u64 {
        request.milliseconds = self.started.elapsed().as_millis() as u64;
        let mut log = self.locked();
        log.requests.push(request);
        log.forgotten + log.requests.len() as u64 - 1
    }

    /// Records the status of a response.
    pub(crate) fn set_status(&self, number: Option<u64>, status: u16) {
        let mut log = self.locked();
        let at = number.and_then(|number| number.checked_sub(log.forgotten));
        if let Some(request) = at.and_then(|at| log.requests.get_mut(at as usize)) {
            request.status = Some(status);
        }
    }

    pub(crate) fn all(&self) -> Vec<Request> {
        self.locked().requests.clone()
    }

    pub(crate) fn reset(&self) {
        let mut log = self.locked();
        log.forgotten += log.requests.len() as u64;
        log.requests.clear();
    }

    fn locked(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
