//! The error of a handler.

use crate::DiagnosticEvent;
use serde_json::Value;
use std::error::Error;

/// The failure of a handler as one or more diagnostic events.
///
/// `?` converts any error, with its causes in the message.
#[derive(Debug, Clone, PartialEq)]
pub struct HandlerError {
    diagnostics: Vec<DiagnosticEvent>,
}

impl HandlerError {
    /// Creates an error with a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { diagnostics: vec![DiagnosticEvent::new(message)] }
    }

    /// Creates an error with several diagnostic events.
    pub fn several(diagnostics: Vec<DiagnosticEvent>) -> Self {
        Self { diagnostics }
    }

    /// Sets the code, which `retry.on` and `ignoreErrors` of an agenda can name.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        if let Some(first) = self.diagnostics.first_mut() {
            first.status_code = Some(code.into());
        }
        self
    }

    /// Sets further data about the failure, for example the last lines of a log.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Value>) -> Self {
        if let Some(first) = self.diagnostics.first_mut() {
            first.payload = Some(payload.into());
        }
        self
    }

    /// Sets the place in the code.
    #[must_use]
    pub fn trace(mut self, trace: impl Into<String>) -> Self {
        if let Some(first) = self.diagnostics.first_mut() {
            first.stack_trace = Some(trace.into());
        }
        self
    }

    /// The message of the first diagnostic event.
    pub fn message(&self) -> &str {
        self.diagnostics.first().map_or("failed", |first| first.message.as_str())
    }

    /// Returns the diagnostic events.
    pub fn into_diagnostics(self) -> Vec<DiagnosticEvent> {
        self.diagnostics
    }
}

impl<E: Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message = format!("{message}: {inner}");
            cause = inner.source();
        }
        Self::new(message)
    }
}
