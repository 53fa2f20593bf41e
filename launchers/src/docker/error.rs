//! Errors of requests to the Engine.

/// Why a request to the Engine yielded no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiError {
    /// The Engine answered with a status of 400 or above.
    Refused {
        /// The status.
        status: u16,
        /// The Engine's reason.
        message: String,
    },
    /// The Engine was unreachable, or its answer was cut off or unreadable.
    Away(String),
    /// The Engine did not answer in time.
    Late,
    /// The Engine started a pull that failed.
    PullFailed(String),
}

impl ApiError {
    /// Whether the Engine was unreachable or too slow, so that a retry may succeed.
    pub(super) fn is_away(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Late)
    }

    /// The HTTP status of the answer, if there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The Engine's reason, if it gave one.
    pub(super) fn message(&self) -> Option<&str> {
        match self {
            Self::Refused { message, .. } | Self::PullFailed(message) => Some(message),
            Self::Away(_) | Self::Late => None,
        }
    }

    /// The failure of a connection, described by its innermost cause: the outer errors only say that it failed.
    pub(super) fn away(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut inner = error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        Self::Away(inner.to_string())
    }
}
