//! The status of an Agenda: what the last sync wrote, and what this one writes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The status of an Agenda.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) phase: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_key: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) executor_pods: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) lost_pods: u32,
    /// Number of the last executor pod that the user has stopped.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) stopped_pod: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) percent_complete: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_code: Option<i64>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) counts: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completed_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_progress: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) faults: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<Condition>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// One condition of a status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_transition_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
}

/// Phases of an Agenda.
pub(crate) mod phase {
    pub(crate) const INVALID: &str = "Invalid";
    pub(crate) const WAITING: &str = "Waiting";
    pub(crate) const PENDING: &str = "Pending";
    pub(crate) const RUNNING: &str = "Running";
    pub(crate) const STOPPING: &str = "Stopping";
    pub(crate) const SUSPENDED: &str = "Suspended";
    pub(crate) const SUCCEEDED: &str = "Succeeded";
    pub(crate) const FAILED: &str = "Failed";
    pub(crate) const CANCELLED: &str = "Cancelled";
}

impl Status {
    /// The status that an Agenda has; an empty one if it has none or another program wrote it.
    pub(crate) fn of(parent: &Value) -> Self {
        Self::deserialize(&parent["status"]).unwrap_or_default()
    }

    /// Whether the run has an outcome.
    pub(crate) fn has_ended(&self) -> bool {
        self.completed_time.is_some()
    }

    /// Takes over the progress of an executor.
    pub(crate) fn take_progress(&mut self, document: &str) {
        let percent =
            serde_json::from_str::<Value>(document).ok().and_then(|read| read["percentComplete"].as_f64());
        if let Some(percent) = percent {
            self.percent_complete = Some(percent.clamp(0.0, 100.0) as u32);
            self.last_progress = Some(document.to_owned());
        }
    }

    /// Sets the conditions, with the times of those that do not change.
    pub(crate) fn set_conditions(&mut self, new: Vec<Condition>, now: Timestamp) {
        let earlier = std::mem::take(&mut self.conditions);
        let at = |condition: &Condition| {
            let known = earlier.iter().find(|known| known.kind == condition.kind);
            known
                .filter(|known| known.status == condition.status)
                .and_then(|known| known.last_transition_time)
        };
        self.conditions = new
            .into_iter()
            .map(|condition| {
                let time = at(&condition).unwrap_or(now);
                Condition { last_transition_time: Some(time), ..condition }
            })
            .collect();
    }
}

impl Condition {
    pub(crate) fn new(kind: &str, holds: bool, reason: &str, message: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            status: if holds { "True" } else { "False" }.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            ..Self::default()
        }
    }
}
