//! Elements of a list that is read one by one.

use serde_json::Value;
use std::sync::Arc;

/// An element of a list, without one of its members. That member is often equal to that of the element before.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// The element without the member.
    pub value: Value,
    /// The member; none if the element has none. Elements in a row share it if their texts are equal.
    pub member: Option<Arc<Value>>,
}

impl Element {
    /// Takes the member with this name out of an element.
    pub fn of(mut value: Value, member: &str) -> Self {
        let member = value.as_object_mut().and_then(|members| members.remove(member));
        Self { value, member: member.map(Arc::new) }
    }
}
