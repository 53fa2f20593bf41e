//! The context of a running operation.

use crate::cancel::Cancellation;
use crate::{Millis, ProcessingState, Progress, StatusReporter};
use pop_field_retriever::LaunchDataWrapper;
use pop_launchers::Launcher;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Smallest increase that is reported, in percentage points.
const PERCENT_STEP: f64 = 0.1;

/// The parts of an [`OperationContext`], which a program, the executor or a test supplies.
pub struct ContextParts {
    /// Arguments, environment and properties.
    pub launch: Arc<dyn LaunchDataWrapper>,
    /// Receives progress and the final report.
    pub reporter: Box<dyn StatusReporter>,
    /// Receives the stop request.
    pub cancellation: Cancellation,
    /// Starts external programs.
    pub launcher: Arc<dyn Launcher>,
    /// The wall clock.
    pub clock: fn() -> Millis,
    /// The correlation id.
    pub cid: String,
    /// The last progress of an earlier attempt.
    pub prior: Option<Progress>,
    /// The operation's name, if it has one.
    pub operation: Option<String>,
    /// Receives each line of the operation's log.
    pub log: Box<dyn FnMut(&str)>,
}

/// The context of a running operation: progress, launch data, external programs, cancellation and log.
pub struct OperationContext {
    parts: ContextParts,
    started: Millis,
    percent: Option<f64>,
    message: Option<String>,
    params: Option<Map<String, Value>>,
    is_delivered: bool,
}

impl OperationContext {
    /// Creates a context; the operation starts now.
    pub fn new(parts: ContextParts) -> Self {
        let started = (parts.clock)();
        Self { parts, started, percent: None, message: None, params: None, is_delivered: false }
    }

    /// Arguments, environment and properties of this process.
    pub fn launch_data(&self) -> &dyn LaunchDataWrapper {
        self.parts.launch.as_ref()
    }

    /// The correlation id from launch data, else a generated one.
    pub fn cid(&self) -> &str {
        &self.parts.cid
    }

    /// The operation's name, if it has one.
    pub fn operation(&self) -> Option<&str> {
        self.parts.operation.as_deref()
    }

    /// The last progress of an earlier attempt.
    pub fn prior_progress(&self) -> Option<&Progress> {
        self.parts.prior.as_ref()
    }

    /// A value that an earlier attempt saved with [`keep_param`](Self::keep_param).
    pub fn prior_param(&self, name: &str) -> Option<&Value> {
        self.parts.prior.as_ref()?.params.as_ref()?.get(name).filter(|value| !value.is_null())
    }

    /// Writes a line to the operation's log.
    pub fn log(&mut self, line: impl AsRef<str>) {
        (self.parts.log)(line.as_ref());
    }

    /// The stop request of the operation, to check or await.
    pub fn cancellation(&self) -> &Cancellation {
        &self.parts.cancellation
    }

    /// Reports progress in percent, from 0 to 100. Increases below 0.1 are not reported.
    pub fn progress(&mut self, percent: f64) {
        if !percent.is_finite() {
            return;
        }
        let percent = percent.clamp(0.0, 100.0);
        if self.percent.is_none_or(|last| percent >= last + PERCENT_STEP) {
            self.percent = Some(percent);
            self.report();
        }
    }

    /// Reports a message about the current work.
    pub fn message(&mut self, message: impl Into<String>) {
        self.message = Some(message.into());
        self.report();
    }

    /// Saves a value in the progress, for a later attempt.
    pub fn keep_param(&mut self, name: &str, value: impl Into<Value>) {
        self.params.get_or_insert_default().insert(name.to_owned(), value.into());
    }

    pub(crate) fn report(&mut self) {
        let progress = Progress {
            processing_state_message: self.message.clone(),
            percent_complete: Some(self.percent.unwrap_or_default()),
            ..self.in_state(ProcessingState::Executing)
        };
        // the reporter logs the error; a later report may succeed
        self.parts.reporter.report(&progress, None).ok();
    }

    pub(crate) fn in_state(&self, state: ProcessingState) -> Progress {
        Progress {
            operation: self.parts.operation.clone(),
            processing_state: Some(state),
            started_time: Some(self.started),
            completed_time: (state == ProcessingState::Complete).then(|| (self.parts.clock)()),
            params: self.params.clone(),
            ..Progress::default()
        }
    }

    pub(crate) fn percent(&self) -> Option<f64> {
        self.percent
    }

    pub(crate) fn launcher(&self) -> Arc<dyn Launcher> {
        Arc::clone(&self.parts.launcher)
    }

    pub(crate) fn report_final(&mut self, progress: &Progress, result: Option<&Value>) {
        self.is_delivered = self.parts.reporter.report(progress, result).is_ok();
    }

    /// Whether the final report was delivered.
    pub(crate) fn is_delivered(&self) -> bool {
        self.is_delivered
    }
}
