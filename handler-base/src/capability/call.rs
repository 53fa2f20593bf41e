//! The payload and the result of a call.

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
    /// `install`, `bind`, `reboot` or another method.
    pub method: String,
    /// The operation type that selected the handler.
    #[serde(rename = "type")]
    pub type_id: String,
    /// The units to install, update or uninstall.
    pub units: Option<Vec<U>>,
    /// The binding to add.
    pub binding: Option<Binding>,
    /// The repository to unbind.
    pub repo_id: Option<String>,
    /// Options of the method, as defined by the handler.
    #[serde(default)]
    pub options: Options,
}

/// A binding of a machine to a repository.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct Binding {
    /// Identifier of the repository.
    pub repo_id: String,
    /// Data that the machine needs to use the repository, for example its URL.
    #[serde(default)]
    pub details: Map<String, Value>,
}

/// A handler report as the result of an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct CallResult(pub HandlerReport);

impl JsonSchema for CallResult {
    fn schema_name() -> Cow<'static, str> {
        "HandlerReport".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "succeeded": {"type": "boolean", "description": "Whether the method succeeded."},
                "details": {"type": "object", "description": "What the method did, or why it failed."},
                "num_changes": {"type": "integer", "minimum": 0, "description": "Number of changes."},
                "repo_id": {"type": "string", "description": "The repository of a binding."},
                "reboot_scheduled": {"type": "boolean", "description": "Whether the machine will restart."},
            },
            "required": ["succeeded", "details", "num_changes"],
        })
    }
}
