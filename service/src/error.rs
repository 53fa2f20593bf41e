//! Errors of requests to the service.

use crate::ledger_error::LedgerError;

/// Why a request is refused. Nothing of a refused request is stored.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The request has no meaning.
    #[error("{0}")]
    BadRequest(String),
    /// There is no such object.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// Name of the kind.
        kind: &'static str,
        /// Id of the object.
        id: String,
    },
    /// No insight takes the agenda.
    #[error("no insight takes the agenda: {0}")]
    NoInsight(String),
    /// The request is understood, and its content is wrong.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// The state of the object does not permit the request.
    #[error("{0}")]
    Conflict(String),
    /// The sender no longer has the lease of the agenda. What it reports is not stored.
    #[error("the lease of agenda `{agenda}` has ended: {why}")]
    LeaseLost {
        /// Id of the agenda.
        agenda: String,
        /// Reason.
        why: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl ServiceError {
    /// A missing object.
    pub fn not_found(kind: crate::Kind, id: &str) -> Self {
        Self::NotFound { kind: kind.name(), id: id.to_owned() }
    }

    /// One problem with the content of a request.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(vec![why.into()])
    }
}
