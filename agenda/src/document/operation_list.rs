//! Operations of one list, read one by one.

use super::shared_values::SharedValues;
use super::{Operation, PAYLOAD};
use pop_document::{Element, ElementPointer, Fault, Pointer};
use serde_json::Value;
use std::sync::Arc;

/// Operations of one list. Equal payloads, and equal types, are stored once.
#[derive(Debug)]
pub struct OperationList {
    at: Arc<Pointer>,
    /// Number of elements so far, also of those that are no operations.
    count: u32,
    shared: SharedValues,
    pub(crate) operations: Vec<Operation>,
    /// Names of operations that cannot be read.
    pub(crate) unread: Vec<String>,
    pub(crate) faults: Vec<Fault>,
}

impl OperationList {
    /// An empty list at this place of its document, with capacity for `count` operations.
    pub(crate) fn with_capacity(at: Pointer, count: usize) -> Self {
        Self {
            at: Arc::new(at),
            count: 0,
            shared: SharedValues::default(),
            operations: Vec::with_capacity(count),
            unread: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The list at this place, with these elements.
    pub(crate) fn of(items: Vec<Value>, at: Pointer) -> Self {
        let mut list = Self::with_capacity(at, items.len());
        for item in items {
            list.push(Element::of(item, PAYLOAD));
        }
        list
    }

    /// Pointer to the next element.
    pub fn next(&self) -> ElementPointer {
        ElementPointer::new(Arc::clone(&self.at), self.count)
    }

    /// Reads the next element. Returns the operation if it is one.
    pub fn push(&mut self, item: Element) -> Option<&Operation> {
        let read = Operation::parse(item, self.next(), &mut self.shared, &mut self.faults);
        self.count += 1;
        match read {
            Ok(operation) => {
                self.operations.push(operation);
                self.operations.last()
            }
            Err(name) => {
                self.unread.extend(name);
                None
            }
        }
    }
}
