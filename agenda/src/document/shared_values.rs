//! Values of operations, of which equal ones are stored once.

use crate::exact_value::{ExactValue, is_exactly};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// Values that several operations have.
#[derive(Debug, Default)]
pub(super) struct SharedValues {
    payloads: HashSet<ExactValue>,
    /// The payload of the operation before: many operations in a row have the same.
    latest: Option<ExactValue>,
    types: HashSet<Arc<str>>,
}

impl SharedValues {
    /// This payload, or an equal one of an earlier operation.
    pub(super) fn payload(&mut self, value: Value) -> Arc<Value> {
        if let Some(latest) = self.latest.as_ref().filter(|latest| is_exactly(&latest.0, &value)) {
            return Arc::clone(&latest.0);
        }
        let payload = ExactValue(Arc::new(value));
        let known = self.payloads.get(&payload).cloned();
        let payload = known.unwrap_or_else(|| {
            self.payloads.insert(payload.clone());
            payload
        });
        Arc::clone(&self.latest.insert(payload).0)
    }

    /// This type, stored once.
    pub(super) fn handler_type(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.types.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.types.insert(Arc::clone(&name));
        name
    }
}
