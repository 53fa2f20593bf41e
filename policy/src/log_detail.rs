//! logDetail: a detailed log of an operation, regardless of the log level of the run.

use crate::policy::Policy;
use pop_document::Fields;
use serde_json::Value;

pub(crate) const LOG_DETAIL: Policy<bool> =
    Policy::new("logDetail", read, bool::to_string).for_parts().descriptor_property();

/// Reads `true`, `false`, or Rierino's `always`.
fn read(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<bool> {
    match fields.any(key) {
        Some(Value::String(word)) if word.eq_ignore_ascii_case("always") => Some(true),
        _ => fields.boolean(key),
    }
}
