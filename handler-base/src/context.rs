//! What a handler has at hand while it works.

use crate::cancel::Cancellation;
use crate::external::External;
use crate::{Millis, ProcessingState, Program, Progress, StatusReporter};
use pop_field_retriever::LaunchDataWrapper;
use pop_launchers::Launcher;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Percent must grow by this much to be reported again.
const PERCENT_STEP: f64 = 0.1;

/// What surrounds an operation; tests give their own.
pub struct Surroundings {
    /// Arguments, environment and properties.
    pub launch: Arc<dyn LaunchDataWrapper>,
    /// Who is told of progress.
    pub reporter: Box<dyn StatusReporter>,
    /// Asks the operation to stop.
    pub cancellation: Cancellation,
    /// Starts external programs.
    pub launcher: Arc<dyn Launcher>,
    /// The wall clock.
    pub clock: fn() -> Millis,
    /// The correlation id.
    pub cid: String,
    /// The progress of an earlier attempt.
    pub prior: Option<Progress>,
    /// The operation's name, if it has one.
    pub operation: Option<String>,
    /// Takes each line of the operation's log.
    pub log: Box<dyn FnMut(&str)>,
}

/// What a handler has at hand while it works: progress, launch data, external programs, being asked to stop.
pub struct OperationContext {
    around: Surroundings,
    started: Millis,
    percent: Option<f64>,
    message: Option<String>,
    params: Option<Map<String, Value>>,
    is_heard: bool,
}

impl OperationContext {
    /// A context in these surroundings, from now on.
    pub fn new(around: Surroundings) -> Self {
        let started = (around.clock)();
        Self { around, started, percent: None, message: None, params: None, is_heard: false }
    }

    /// Arguments, environment and properties of this process.
    pub fn launch_data(&self) -> &dyn LaunchDataWrapper {
        self.around.launch.as_ref()
    }

    /// The correlation id: the one that was given, or one made for this process.
    pub fn cid(&self) -> &str {
        &self.around.cid
    }

    /// The operation's name, if it has one.
    pub fn operation(&self) -> Option<&str> {
        self.around.operation.as_deref()
    }

    /// What an earlier attempt reported last, if there was one.
    pub fn prior_progress(&self) -> Option<&Progress> {
        self.around.prior.as_ref()
    }

    /// A value that an earlier attempt kept in its progress.
    pub fn prior_param(&self, name: &str) -> Option<&Value> {
        self.around.prior.as_ref()?.params.as_ref()?.get(name).filter(|value| !value.is_null())
    }

    /// Writes a line into the operation's log.
    pub fn log(&mut self, line: impl AsRef<str>) {
        (self.around.log)(line.as_ref());
    }

    /// Tells when the operation is to stop.
    pub fn cancellation(&self) -> &Cancellation {
        &self.around.cancellation
    }

    /// Reports how far the work is, from 0 to 100. Steps too small to matter are not reported.
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

    /// Reports in words what is being done.
    pub fn message(&mut self, message: impl Into<String>) {
        self.message = Some(message.into());
        self.report();
    }

    /// Keeps a value in the progress, for a later attempt to find.
    pub fn keep_param(&mut self, name: &str, value: impl Into<Value>) {
        self.params.get_or_insert_default().insert(name.to_owned(), value.into());
    }

    pub(crate) fn report(&mut self) {
        let progress = Progress {
            processing_state_message: self.message.clone(),
            percent_complete: Some(self.percent.unwrap_or_default()),
            ..self.in_state(ProcessingState::Executing)
        };
        // the reporter notes it, and a later report may be heard again
        self.around.reporter.report(&progress, None).ok();
    }

    /// An external program, to be started by the launcher that externalLaunchType names.
    pub fn external(&mut self, program: Program) -> External<'_> {
        External::new(self, program)
    }

    pub(crate) fn in_state(&self, state: ProcessingState) -> Progress {
        Progress {
            operation: self.around.operation.clone(),
            processing_state: Some(state),
            started_time: Some(self.started),
            completed_time: (state == ProcessingState::Complete).then(|| (self.around.clock)()),
            params: self.params.clone(),
            ..Progress::default()
        }
    }

    pub(crate) fn percent(&self) -> Option<f64> {
        self.percent
    }

    pub(crate) fn launcher(&self) -> Arc<dyn Launcher> {
        Arc::clone(&self.around.launcher)
    }

    pub(crate) fn report_final(&mut self, progress: &Progress, result: Option<&Value>) {
        self.is_heard = self.around.reporter.report(progress, result).is_ok();
    }

    /// Whether the final report was delivered.
    pub(crate) fn is_heard(&self) -> bool {
        self.is_heard
    }
}
