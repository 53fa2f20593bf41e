//! Why a request to the Engine brought no answer that can be used.

/// Why a request to the Engine brought no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiError {
    /// The Engine answered with a status from 400 on.
    Refused {
        /// The status.
        status: u16,
        /// The Engine's reason.
        message: String,
    },
    /// The Engine could not be reached, or its answer broke off or could not be read.
    Away(String),
    /// The Engine did not answer in time.
    Late,
    /// The Engine began a pull and could not end it.
    PullFailed(String),
}

impl ApiError {
    /// Whether the Engine could not be asked, or did not answer in time: it may do so later.
    pub(super) fn is_away(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Late)
    }

    /// The Engine's status, if it answered with one.
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

    /// The failure of a connection, told by its innermost cause: what lies above it says only that there is one.
    pub(super) fn away(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut inner = error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        Self::Away(inner.to_string())
    }
}
