//! priority: which of the operations that can start goes first.

use crate::policy::Policy;
use crate::read;
use pop_document::{Fault, Pointer};
use serde_json::Value;

pub(crate) const PRIORITY: Policy<i32> =
    Policy::new("priority", |fields, key| read::with(fields, key, parse), i32::to_string);

/// Reads a whole number, which may be negative.
fn parse(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Option<i32> {
    // POP also writes numbers as text
    let number = value.as_str().map_or_else(|| value.as_i64(), |text| text.trim().parse().ok());
    let found = number.and_then(|number| i32::try_from(number).ok());
    if found.is_none() {
        let message =
            format!("`priority` must be a whole number from {} to {}, not `{value}`", i32::MIN, i32::MAX);
        let code = if value.is_number() { "wrong-value" } else { "wrong-type" };
        let fault = Fault::value(code, at.clone(), message);
        faults.push(fault.hint("a larger number starts first; without one it is 0"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn priority_is_a_whole_number() {
        let read = |value: Value| parse(&value, &Pointer::root(), &mut Vec::new());
        assert_eq!([json!(5), json!(-3), json!("7")].map(read), [Some(5), Some(-3), Some(7)]);
        for value in [json!(1.5), json!("high"), json!(1_u64 << 40), json!([])] {
            let mut faults = Vec::new();
            assert_eq!(parse(&value, &Pointer::root(), &mut faults), None);
            assert!(faults[0].hint.is_some(), "{value}");
        }
    }
}
