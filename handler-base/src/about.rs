//! What a handler says about itself.

use crate::Handler;
use pop_contract::{Description, PayloadForm, Term};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use serde_json::Value;

/// What the author of a handler says about it.
///
/// ```
/// let about = pop_handler_base::About::new(env!("CARGO_PKG_VERSION"), "takes one picture out of a video")
///     .error("no-picture", "the video has no picture at that time");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    version: Option<String>,
    sentence: Option<String>,
    actions: Vec<Term>,
    errors: Vec<Term>,
    defaults: Option<Value>,
}

impl About {
    /// The handler's version, and what it does in one sentence.
    pub fn new(version: impl Into<String>, about: impl Into<String>) -> Self {
        Self { version: Some(version.into()), sentence: Some(about.into()), ..Self::default() }
    }

    /// The same with something that it can be asked to do.
    #[must_use]
    pub fn action(mut self, name: &str, about: &str) -> Self {
        self.actions.push(Term { name: name.to_owned(), about: about.to_owned() });
        self
    }

    /// The same with the code of a failure that it reports.
    #[must_use]
    pub fn error(mut self, code: &str, about: &str) -> Self {
        self.errors.push(Term { name: code.to_owned(), about: about.to_owned() });
        self
    }

    /// The same with what stands in for fields of the payload that are left out.
    #[must_use]
    pub fn defaults(mut self, defaults: impl Into<Value>) -> Self {
        self.defaults = Some(defaults.into());
        self
    }

    /// The same with what another says about the same program.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.version = self.version.or(other.version);
        self.sentence = match (self.sentence, other.sentence) {
            (Some(one), Some(other)) => Some(format!("{one}; {other}")),
            (one, other) => one.or(other),
        };
        self.actions.extend(other.actions);
        for error in other.errors {
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
        self.defaults = self.defaults.or(other.defaults);
        self
    }
}

/// What a handler says about itself, its schemas included.
pub fn describe<H: Handler>(handler: &H) -> Description {
    let About { version, sentence, actions, errors, defaults } = handler.about();
    let input = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut result =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<H::Output>();
    RecursiveTransform(close).transform(&mut result);
    Description {
        name: None,
        version,
        about: sentence,
        actions,
        errors,
        defaults,
        input: Some(input.into_root_schema_for::<H::Input>().into()),
        result: Some(result.into()),
        // the toolkit reads every form
        payload_forms: Some(vec![PayloadForm::EnvVar, PayloadForm::CompressedEnvVar, PayloadForm::File]),
    }
}

/// Says of a map that it has the fields of its type and no others, and of a field that may be left out that it is
/// left out instead of null: so it is with what serde writes.
fn close(schema: &mut Schema) {
    let is_open = schema.get("properties").is_some()
        && ["additionalProperties", "patternProperties", "$ref", "anyOf", "oneOf", "allOf"]
            .into_iter()
            .all(|keyword| schema.get(keyword).is_none());
    if !is_open {
        return;
    }
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        for keyword in ["type", "anyOf"] {
            if let Some(Value::Array(all)) = property.get_mut(keyword) {
                all.retain(|one| one != "null" && one["type"] != "null");
            }
        }
    }
}
