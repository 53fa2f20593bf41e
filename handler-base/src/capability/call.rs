//! The payload of a call and its result, as they are read and written.

use crate::Options;
use pop_contract::HandlerReport;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The payload of a call.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CallPayload<U> {
    /// `content`, `bind` or `system`.
    pub capability: String,
    /// What is to be done: `install`, `bind`, `reboot` and others.
    pub method: String,
    /// The type by which the handler was found.
    #[serde(rename = "type")]
    pub type_id: String,
    /// The units to install, update or uninstall.
    pub units: Option<Vec<U>>,
    /// The binding to add.
    pub binding: Option<Binding>,
    /// The repository to unbind.
    pub repo_id: Option<String>,
    /// What else is wanted.
    #[serde(default)]
    pub options: Options,
}

/// A repository that a machine is to use.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct Binding {
    /// The repository.
    pub repo_id: String,
    /// What is needed to use it.
    #[serde(default)]
    pub details: Map<String, Value>,
}

/// A report as the result of an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Reported(pub HandlerReport);

impl JsonSchema for Reported {
    fn schema_name() -> Cow<'static, str> {
        "HandlerReport".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "succeeded": {"type": "boolean", "description": "Whether it succeeded."},
                "details": {"type": "object", "description": "What it did, or why it could not."},
                "num_changes": {"type": "integer", "minimum": 0, "description": "How many changes it made."},
                "repo_id": {"type": "string", "description": "The repository of a binding."},
                "reboot_scheduled": {"type": "boolean", "description": "Whether the machine will restart."},
            },
            "required": ["succeeded", "details", "num_changes"],
        })
    }
}
