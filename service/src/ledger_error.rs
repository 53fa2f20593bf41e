//! Failures of the store.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {message}")]
pub struct LedgerError {
    /// What the database says.
    pub message: String,
    /// Whether the same transaction may succeed later: the connection was lost, or another transaction was in the way.
    pub is_temporary: bool,
}
