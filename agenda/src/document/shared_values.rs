//! Values of operations, of which equal ones are stored once.

use crate::exact_value::ExactValue;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// Values that several operations have.
#[derive(Debug, Default)]
pub(super) struct SharedValues {
    payloads: HashSet<ExactValue>,
    types: HashSet<Arc<str>>,
}

impl SharedValues {
    /// This payload, or an equal one of an earlier operation.
    pub(super) fn payload(&mut self, value: Value) -> Arc<Value> {
        let payload = ExactValue(Arc::new(value));
        if let Some(ExactValue(known)) = self.payloads.get(&payload) {
            return Arc::clone(known);
        }
        self.payloads.insert(payload.clone());
        payload.0
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
