//! Common parts of payloads: numbers that may come as text, and all faults in one message.

use pop_handler_base::DiagnosticEvent;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;

/// A number of a payload; it may be written as text, for the fallback of a reference is always text.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    value: f64,
    written: String,
}

impl Number {
    /// Its value; not a number if something else was written.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Whether it is a whole number of at least `least` that a size or count can be.
    fn is_whole_from(&self, least: f64) -> bool {
        (least..=f64::from(u16::MAX)).contains(&self.value) && self.value.fract() == 0.0
    }

    /// The same as a duration. None for 0, which stands for unknown.
    pub(crate) fn known(&self) -> Option<f64> {
        Some(self.value).filter(|value| *value > 0.0)
    }

    /// The same as a size or count; its payload was found good before.
    pub(crate) fn whole(&self) -> u32 {
        self.value as u32
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self { value, written: value.to_string() }
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["number", "string"], "description": "a number, or one written as text"})
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (value, written) = match Value::deserialize(from)? {
            Value::Number(number) => (number.as_f64(), number.to_string()),
            Value::String(text) => (text.trim().parse().ok(), text),
            other => (None, other.to_string()),
        };
        Ok(Self { value: value.unwrap_or(f64::NAN), written })
    }
}

/// What is wrong with a payload: everything, so that it can be mended at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<DiagnosticEvent>);

impl Problems {
    pub(crate) fn say(&mut self, message: impl Into<String>) {
        let code = Some("payload".to_owned());
        self.0.push(DiagnosticEvent { status_code: code, ..DiagnosticEvent::new(message) });
    }

    /// A path must not be empty.
    pub(crate) fn path(&mut self, field: &str, path: &str) {
        if path.trim().is_empty() {
            self.say(format!("`{field}` must be a path, not empty"));
        }
    }

    /// A file must not be written over the one that is read.
    pub(crate) fn output(&mut self, input: &str, output: &str) {
        self.path("input", input);
        self.path("output", output);
        if !output.is_empty() && input == output {
            self.say(format!("`output` must be another file than `input`, not `{output}` too"));
        }
    }

    pub(crate) fn above_zero(&mut self, field: &str, number: &Number) {
        if !(number.value.is_finite() && number.value > 0.0) {
            self.say(format!("`{field}` must be a number above 0, not `{}`", number.written));
        }
    }

    pub(crate) fn not_negative(&mut self, field: &str, number: &Number) {
        if !(number.value.is_finite() && number.value >= 0.0) {
            self.say(format!("`{field}` must be a number of at least 0, not `{}`", number.written));
        }
    }

    /// A duration may be missing or 0 if it is unknown.
    pub(crate) fn duration(&mut self, field: &str, number: Option<&Number>) {
        if let Some(number) = number {
            self.not_negative(field, number);
        }
    }

    pub(crate) fn count(&mut self, field: &str, number: &Number) {
        if !number.is_whole_from(1.0) {
            self.say(format!("`{field}` must be a whole number of at least 1, not `{}`", number.written));
        }
    }

    /// Pictures of the usual 4:2:0 colours have even sizes.
    pub(crate) fn even(&mut self, field: &str, number: &Number) {
        if !(number.is_whole_from(2.0) && number.value % 2.0 == 0.0) {
            self.say(format!("`{field}` must be an even whole number, not `{}`", number.written));
        }
    }

    pub(crate) fn into_diagnostics(self) -> Vec<DiagnosticEvent> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_may_be_text() {
        for (written, value) in
            [(json!(2.5), 2.5), (json!("2.5"), 2.5), (json!(" 720 "), 720.0), (json!(-1), -1.0)]
        {
            assert_eq!(serde_json::from_value::<Number>(written).unwrap().value(), value);
        }
        for written in [json!("abc"), json!(""), json!([1]), json!(true), json!(null)] {
            assert!(serde_json::from_value::<Number>(written).unwrap().value().is_nan());
        }
    }

    #[test]
    fn sizes_are_even_whole_and_of_this_world() {
        for (value, good) in [
            (2.0, true),
            (720.0, true),
            (0.0, false),
            (-2.0, false),
            (3.0, false),
            (2.5, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
            (1e9, false),
        ] {
            let mut problems = Problems::default();
            problems.even("height", &Number::from(value));
            assert_eq!(problems.into_diagnostics().is_empty(), good, "{value}");
        }
    }
}
