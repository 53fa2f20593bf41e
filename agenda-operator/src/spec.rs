//! The spec of an Agenda.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a user wants to run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    pub(crate) agenda: Option<Map<String, Value>>,
    pub(crate) agenda_from: Option<AgendaFrom>,
    pub(crate) inputs: Option<Map<String, Value>>,
    pub(crate) registry: Option<String>,
    pub(crate) service_account_name: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) parallel: Option<u32>,
    pub(crate) keep_going: Option<bool>,
    pub(crate) time_limit_seconds: Option<u64>,
    pub(crate) grace_seconds: Option<u64>,
    pub(crate) cleanup_seconds: Option<u64>,
    pub(crate) resources: Option<Map<String, Value>>,
    pub(crate) runs_claim: Option<String>,
    pub(crate) executor_pods: Option<u32>,
    pub(crate) suspend: Option<bool>,
    pub(crate) cancel: Option<bool>,
    pub(crate) keep_finished_seconds: Option<u64>,
}

/// Where the text of an agenda is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgendaFrom {
    pub(crate) config_map: String,
    pub(crate) key: Option<String>,
}

impl AgendaFrom {
    pub(crate) fn key(&self) -> &str {
        self.key.as_deref().unwrap_or("agenda")
    }
}

/// Fields whose edit changes a run instead of starting another one.
const CONTROLS: [&str; 3] = ["suspend", "cancel", "keepFinishedSeconds"];

impl Spec {
    /// Reads the spec of an Agenda.
    pub(crate) fn of(parent: &Value) -> Result<Self, String> {
        let spec = parent.get("spec").unwrap_or(&Value::Null);
        let spec = if spec.is_null() { json!({}) } else { spec.clone() };
        let read: Self =
            serde_json::from_value(spec).map_err(|error| format!("the spec cannot be read: {error}"))?;
        match (&read.agenda, &read.agenda_from) {
            (None, None) => Err("the spec has neither `agenda` nor `agendaFrom`: add one of them".to_owned()),
            (Some(_), Some(_)) => {
                Err("the spec has both `agenda` and `agendaFrom`: remove one of them".to_owned())
            }
            _ => Ok(read),
        }
    }

    /// A hash of what a run depends on.
    pub(crate) fn run_key(parent: &Value) -> String {
        let mut fields = parent.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
        // maps of serde_json are sorted, so equal specs have equal texts
        fields.retain(|name, value| !CONTROLS.contains(&name.as_str()) && !value.is_null());
        let text = Value::Object(fields).to_string();
        blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspend == Some(true)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel == Some(true)
    }

    pub(crate) fn most_pods(&self) -> u32 {
        self.executor_pods.unwrap_or(6)
    }

    pub(crate) fn grace(&self) -> u64 {
        self.grace_seconds.unwrap_or(30)
    }

    pub(crate) fn cleanup(&self) -> u64 {
        self.cleanup_seconds.unwrap_or(60)
    }
}
