//! How urgently a launch must stop.

/// How urgently a launch must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StopRequest {
    /// No stop is requested.
    None,
    /// SIGTERM is requested.
    Terminate,
    /// SIGKILL is requested.
    Kill,
}
