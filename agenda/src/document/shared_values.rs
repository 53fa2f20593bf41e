//! Values of operations, of which equal ones are stored once.

use crate::exact_value::ExactValue;
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
    /// The type of the operation before.
    latest_type: Option<Arc<str>>,
}

impl SharedValues {
    /// This payload, or an equal one of an earlier operation.
    pub(super) fn payload(&mut self, value: Arc<Value>) -> Arc<Value> {
        let payload = ExactValue(value);
        match &self.latest {
            // a clone would write the reference count, which the reading thread writes at the same time
            Some(latest) if Arc::ptr_eq(&latest.0, &payload.0) => return payload.0,
            Some(latest) if *latest == payload => return Arc::clone(&latest.0),
            _ => {}
        }
        let known = self.payloads.get(&payload).cloned();
        let payload = known.unwrap_or_else(|| {
            self.payloads.insert(payload.clone());
            payload
        });
        Arc::clone(&self.latest.insert(payload).0)
    }

    /// This type, stored once.
    pub(super) fn handler_type(&mut self, name: &str) -> Arc<str> {
        if let Some(latest) = self.latest_type.as_ref().filter(|latest| ***latest == *name) {
            return Arc::clone(latest);
        }
        let known = self.types.get(name).cloned().unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            self.types.insert(Arc::clone(&name));
            name
        });
        Arc::clone(self.latest_type.insert(known))
    }
}
