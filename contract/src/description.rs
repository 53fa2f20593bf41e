//! What a handler says about itself when it is asked by `--describe`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest description that is read.
pub const DESCRIPTION_LIMIT: usize = 4 * 1024 * 1024;

/// What a handler says about itself: the answer to `HANDLER --describe`, one JSON object on standard output.
///
/// Only what is there is used: a handler in any language may leave out what it does not know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Description {
    /// What the handler is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it does, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What it can be asked to do, if that is more than one thing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Word>,
    /// The codes of the failures that it reports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Word>,
    /// What stands in for fields of the payload that are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Value>,
    /// The JSON Schema of its payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The JSON Schema of its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The forms of payload that it reads; none: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_forms: Option<Vec<PayloadForm>>,
}

/// How a payload travels to a handler: the words of `POP_PAYLOAD_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PayloadForm {
    /// As it is, in one variable.
    EnvVar,
    /// Compressed, in as many variables as it takes.
    CompressedEnvVar,
    /// In a file, whose path stands in a variable.
    File,
}

/// A word that a handler uses, and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The word.
    pub name: String,
    /// What it means, in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
}

/// An answer that is no description.
#[derive(Debug, thiserror::Error)]
pub enum NoDescription {
    /// It is longer than [`DESCRIPTION_LIMIT`].
    #[error("it is longer than {DESCRIPTION_LIMIT} bytes")]
    TooLong,
    /// It is not the JSON that was asked for.
    #[error("it is no description")]
    NoJson(#[source] serde_json::Error),
    /// A schema in it is neither a map nor a truth value.
    #[error("its `{0}` is no JSON Schema: that is a map, or true")]
    NoSchema(&'static str),
    /// It says that the handler reads no form of payload.
    #[error("its `payloadForms` is empty: name `envVar`, `compressedEnvVar` or `file`")]
    NoForm,
}

impl Description {
    /// Reads an answer.
    pub fn parse(text: &[u8]) -> Result<Self, NoDescription> {
        if text.len() > DESCRIPTION_LIMIT {
            return Err(NoDescription::TooLong);
        }
        let description: Self = serde_json::from_slice(text).map_err(NoDescription::NoJson)?;
        for (name, schema) in [("input", &description.input), ("result", &description.result)] {
            if !matches!(schema, None | Some(Value::Object(_) | Value::Bool(_))) {
                return Err(NoDescription::NoSchema(name));
            }
        }
        if description.payload_forms.as_ref().is_some_and(Vec::is_empty) {
            return Err(NoDescription::NoForm);
        }
        Ok(description)
    }

    /// Whether the handler reads payloads in this form.
    pub fn reads(&self, form: PayloadForm) -> bool {
        self.payload_forms.as_ref().is_none_or(|forms| forms.contains(&form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_c8_a_handler_says_which_forms_of_payload_it_reads() {
        let reads = |text: &str| {
            let described = Description::parse(text.as_bytes()).unwrap();
            [PayloadForm::EnvVar, PayloadForm::CompressedEnvVar, PayloadForm::File]
                .map(|form| described.reads(form))
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
