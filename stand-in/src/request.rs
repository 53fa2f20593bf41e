//! Which requests came, for tests that count them.

use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
}

/// All requests since the last reset.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Vec<Request>>);

impl Requests {
    pub(crate) fn record(&self, request: Request) {
        self.locked().push(request);
    }

    pub(crate) fn all(&self) -> Vec<Request> {
        self.locked().clone()
    }

    pub(crate) fn reset(&self) {
        self.locked().clear();
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
