//! The description that a handler prints for `--describe`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest description that is read, in bytes.
pub const DESCRIPTION_LIMIT: usize = 4 * 1024 * 1024;

/// Description of a handler: the output of `HANDLER --describe`, one JSON object on standard output.
///
/// Every field is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Description {
    /// Name of the handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version of the handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Purpose of the handler, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Supported actions, if there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Term>,
    /// Codes of the failures that the handler reports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Term>,
    /// Default values of payload fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Value>,
    /// JSON Schema of the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// JSON Schema of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Supported payload forms; none means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_forms: Option<Vec<PayloadForm>>,
}

/// How a payload is passed to a handler: the values of `POP_PAYLOAD_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PayloadForm {
    /// Uncompressed, in one variable.
    EnvVar,
    /// Compressed, in one or more variables.
    CompressedEnvVar,
    /// In a file whose path is in a variable.
    File,
}

/// An action or failure code of a handler, with its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Name of the action, or the failure code.
    pub name: String,
    /// Meaning, in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
}

/// Output that is not a valid description.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// The output is longer than [`DESCRIPTION_LIMIT`].
    #[error("it is longer than {DESCRIPTION_LIMIT} bytes")]
    TooLong,
    /// The output is not JSON of the expected form.
    #[error("it is not a description")]
    NoJson(#[source] serde_json::Error),
    /// A schema is neither a map nor a boolean.
    #[error("its `{0}` is not a JSON Schema (a map, or true)")]
    NoSchema(&'static str),
    /// The list of payload forms is empty.
    #[error("its `payloadForms` is empty; list `envVar`, `compressedEnvVar` or `file`")]
    NoForm,
}

impl Description {
    /// Parses the output of `--describe`.
    pub fn parse(text: &[u8]) -> Result<Self, DescriptionError> {
        if text.len() > DESCRIPTION_LIMIT {
            return Err(DescriptionError::TooLong);
        }
        let description: Self = serde_json::from_slice(text).map_err(DescriptionError::NoJson)?;
        for (name, schema) in [("input", &description.input), ("result", &description.result)] {
            if !matches!(schema, None | Some(Value::Object(_) | Value::Bool(_))) {
                return Err(DescriptionError::NoSchema(name));
            }
        }
        if description.payload_forms.as_ref().is_some_and(Vec::is_empty) {
            return Err(DescriptionError::NoForm);
        }
        Ok(description)
    }

    /// Whether the handler supports this payload form.
    pub fn reads(&self, form: PayloadForm) -> bool {
        self.payload_forms.as_ref().is_none_or(|forms| forms.contains(&form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_c8_a_description_lists_the_payload_forms() {
        let reads = |text: &str| {
            let description = Description::parse(text.as_bytes()).unwrap();
            [PayloadForm::EnvVar, PayloadForm::CompressedEnvVar, PayloadForm::File]
                .map(|form| description.reads(form))
        };
        assert_eq!(reads("{}"), [true; 3]);
        assert_eq!(reads(r#"{"payloadForms": ["envVar", "file"]}"#), [true, false, true]);
        for wrong in
            [r#"{"payloadForms": []}"#, r#"{"payloadForms": ["pigeon"]}"#, r#"{"payloadForms": "file"}"#]
        {
            assert!(Description::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
