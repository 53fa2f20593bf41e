//! Why a handler could not do its work.

use crate::DiagnosticEvent;
use serde_json::Value;
use std::error::Error;

/// Why a handler could not do its work: a message, and what else its diagnostic is to say.
///
/// Any error becomes one by `?`, with its causes in the message.
#[derive(Debug, Clone, PartialEq)]
pub struct HandlerError {
    diagnostics: Vec<DiagnosticEvent>,
}

impl HandlerError {
    /// An error that is a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { diagnostics: vec![DiagnosticEvent::new(message)] }
    }

    /// Several things that are wrong at once.
    pub fn several(diagnostics: Vec<DiagnosticEvent>) -> Self {
        Self { diagnostics }
    }

    /// The same with a code that `retry.on` and `ignoreErrors` can name.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        if let Some(first) = self.diagnostics.first_mut() {
            first.status_code = Some(code.into());
        }
        self
    }

    /// The same with more to read: the last lines of a log, for example.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Value>) -> Self {
        if let Some(first) = self.diagnostics.first_mut() {
            first.payload = Some(payload.into());
        }
        self
    }

    /// The same with the place in the code.
    #[must_use]
    pub fn trace(mut self, trace: impl Into<String>) -> Self {
        if let Some(first) = self.diagnostics.first_mut() {
            first.stack_trace = Some(trace.into());
        }
        self
    }

    /// What it says in one sentence.
    pub fn message(&self) -> &str {
        self.diagnostics.first().map_or("failed", |first| first.message.as_str())
    }

    /// What its report carries.
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
