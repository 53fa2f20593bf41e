//! A handler's description, as `--describe` prints it.

use crate::{About, Handler};
use pop_contract::{Description, PayloadForm};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use serde_json::Value;

/// Builds a handler's description, with the schemas of payload and result.
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
        // the toolkit reads all forms
        payload_forms: Some(vec![PayloadForm::EnvVar, PayloadForm::CompressedEnvVar, PayloadForm::File]),
    }
}

/// Closes the schema of a result as serde writes it: a map has no other fields than those of its type, and an optional
/// field is left out instead of null.
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
