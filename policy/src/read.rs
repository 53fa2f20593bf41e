//! Readers of values, shared by several policies.
#![expect(
    clippy::option_option,
    reason = "the outer option is whether the key has a valid value, the inner one is that value"
)]

use crate::Pattern;
use pop_document::{Fault, Fields, Pointer};
use serde_json::Value;

/// Reads a value with a custom reader.
pub(crate) fn with<T>(
    fields: &mut Fields<'_, '_>,
    key: &str,
    parse: impl FnOnce(&Value, &Pointer, &mut Vec<Fault>) -> Option<T>,
) -> Option<T> {
    fields.located(key).and_then(|(value, at)| parse(value, &at, fields.faults()))
}

/// Reads milliseconds.
pub(crate) fn milliseconds(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Option<u64>> {
    fields.whole(key).map(Some)
}

/// Reads `true` or `false`.
pub(crate) fn boolean(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<bool> {
    fields.boolean(key)
}

/// Reads `true` or `false`; none if absent.
pub(crate) fn permission(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Option<bool>> {
    fields.boolean(key).map(Some)
}

/// Reads a JMESPath expression.
pub(crate) fn pattern(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Option<Pattern>> {
    with(fields, key, |value, at, faults| Pattern::parse(value, key, at, faults)).map(Some)
}

/// Reads a non-empty string.
pub(crate) fn name(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Option<Box<str>>> {
    let text = fields.text(key)?;
    if text.is_empty() {
        let fault = Fault::value("wrong-value", fields.at(key), format!("`{key}` must not be empty"));
        fields.faults().push(fault);
        return None;
    }
    Some(Some(text.into()))
}
