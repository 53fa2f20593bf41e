//! Which requests came, for tests that look at them.

use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One request as it was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The plural of the path.
    pub resource: String,
    /// `status`, `log`, or empty.
    pub subresource: String,
    /// Empty for objects of the cluster.
    pub namespace: String,
    /// Empty if it was about many objects, or a new one.
    pub name: String,
    /// Query as it came.
    pub query: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// Who asked.
    pub user: String,
    /// The header of that name; empty if there was none.
    pub content_type: String,
    /// Body as text; empty if it was too large to be read.
    pub body: String,
    /// When it was read, in milliseconds since the stand-in was started.
    pub milliseconds: u64,
    /// The HTTP status of the answer; none if there was no answer (yet).
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
    /// How many were forgotten.
    forgotten: u64,
    kept: Vec<Request>,
}

impl Default for Requests {
    fn default() -> Self {
        Self { started: Instant::now(), log: Mutex::default() }
    }
}

impl Requests {
    /// Notes a request; its number.
    pub(crate) fn record(&self, mut request: Request) -> u64 {
        request.milliseconds = self.started.elapsed().as_millis() as u64;
        let mut log = self.locked();
        log.kept.push(request);
        log.forgotten + log.kept.len() as u64 - 1
    }

    /// Notes the status of an answer.
    pub(crate) fn answered(&self, number: Option<u64>, status: u16) {
        let mut log = self.locked();
        let at = number.and_then(|number| number.checked_sub(log.forgotten));
        if let Some(request) = at.and_then(|at| log.kept.get_mut(at as usize)) {
            request.status = Some(status);
        }
    }

    pub(crate) fn all(&self) -> Vec<Request> {
        self.locked().kept.clone()
    }

    pub(crate) fn reset(&self) {
        let mut log = self.locked();
        log.forgotten += log.kept.len() as u64;
        log.kept.clear();
    }

    fn locked(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
