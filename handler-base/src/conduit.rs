//! The context of a method of a capability: consumer, configuration, progress and cancellation.

use crate::OperationContext;
use pop_field_retriever::{FieldError, FieldName, FieldValue, TypedFields as _};
use serde_json::Value;

/// Longest progress that is reported, in bytes of JSON: every later report repeats it.
const LONGEST_PROGRESS: usize = 16 * 1024;

/// The context of a method of a capability.
pub struct Conduit<'c> {
    context: &'c mut OperationContext,
    type_id: String,
}

impl<'c> Conduit<'c> {
    pub(crate) fn new(context: &'c mut OperationContext, type_id: &str) -> Self {
        Self { context, type_id: type_id.to_owned() }
    }

    /// The operation type of the call.
    pub fn type_id(&self) -> &str {
        &self.type_id
    }

    /// The id of the customer, else of the agenda, if either is known.
    pub fn consumer_id(&self) -> Option<String> {
        let launch = self.context.launch_data();
        launch.customer_id().or_else(|| launch.agenda_id()).map(|found| found.value)
    }

    /// Reads a property of the handler's configuration. The error about a value of the wrong kind names its origin.
    pub fn config<T: FieldValue>(&self, name: &str) -> Result<Option<T>, FieldError> {
        let found = self.context.launch_data().find(&FieldName::of_property(name.to_owned()))?;
        Ok(found.map(|found| found.value))
    }

    /// Reads a required property.
    pub fn require<T: FieldValue>(&self, name: &str) -> Result<T, FieldError> {
        Ok(self.context.launch_data().require(&FieldName::of_property(name.to_owned()))?.value)
    }

    /// Reports progress as any JSON, in `params.progress` of the operation's progress.
    ///
    /// A value of more than 16 KiB goes to the log instead.
    pub fn update_progress(&mut self, progress: impl Into<Value>) {
        let progress = progress.into();
        let text = progress.to_string();
        if text.len() > LONGEST_PROGRESS {
            self.context.log(format!("progress of {} bytes is too long to report: {text}", text.len()));
            return;
        }
        self.context.keep_param("progress", progress);
        self.context.report();
    }

    /// Whether the work must stop.
    pub fn cancelled(&self) -> bool {
        self.context.cancellation().is_cancelled()
    }

    /// The operation's context: percentages, log, external programs, waiting for cancellation.
    pub fn context(&mut self) -> &mut OperationContext {
        self.context
    }
}
