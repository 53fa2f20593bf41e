//! What a method of a capability has at hand: who it works for, its configuration, progress, being asked to stop.

use crate::OperationContext;
use pop_field_retriever::{FieldError, FieldName, FieldValue, TypedFields as _};
use serde_json::Value;

/// The longest progress that is reported, as JSON: every later progress carries it too.
const LONGEST_PROGRESS: usize = 16 * 1024;

/// What a method of a capability has at hand while it works.
pub struct Conduit<'c> {
    context: &'c mut OperationContext,
    type_id: String,
}

impl<'c> Conduit<'c> {
    pub(crate) fn new(context: &'c mut OperationContext, type_id: &str) -> Self {
        Self { context, type_id: type_id.to_owned() }
    }

    /// The type that is meant.
    pub fn type_id(&self) -> &str {
        &self.type_id
    }

    /// Who it works for: the customer, else the agenda, if either is known.
    pub fn consumer_id(&self) -> Option<String> {
        let launch = self.context.launch_data();
        launch.customer_id().or_else(|| launch.agenda_id()).map(|found| found.value)
    }

    /// A property of the handler's configuration. A value of another kind is an error that says where it stands.
    pub fn config<T: FieldValue>(&self, name: &str) -> Result<Option<T>, FieldError> {
        let found = self.context.launch_data().find(&FieldName::of_property(name.to_owned()))?;
        Ok(found.map(|found| found.value))
    }

    /// A property that must be given.
    pub fn require<T: FieldValue>(&self, name: &str) -> Result<T, FieldError> {
        Ok(self.context.launch_data().require(&FieldName::of_property(name.to_owned()))?.value)
    }

    /// Reports how far the work is, in whatever form: `params.progress` of the operation's progress.
    ///
    /// What has more than 16 KiB as JSON is written into the log instead.
    pub fn update_progress(&mut self, progress: impl Into<Value>) {
        let progress = progress.into();
        let text = progress.to_string();
        if text.len() > LONGEST_PROGRESS {
            self.context.log(format!("progress of {} bytes, too long to be reported: {text}", text.len()));
            return;
        }
        self.context.keep_param("progress", progress);
        self.context.report();
    }

    /// Whether the work is to stop.
    pub fn cancelled(&self) -> bool {
        self.context.cancellation().is_asked()
    }

    /// Everything else: percentages, log, external programs, waiting for being asked to stop.
    pub fn context(&mut self) -> &mut OperationContext {
        self.context
    }
}
