//! Progress of an operation, in the shape that POP deployments read and write.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A point in time: milliseconds since 1970 (UTC).
pub type Millis = u64;

/// The message of a COMPLETE that succeeded.
pub const SUCCEEDED: &str = "succeeded";
/// The message of a COMPLETE that failed.
pub const FAILED: &str = "failed";
/// The message of a WAITING.
pub const PENDING: &str = "pending";

/// How far an operation or agenda is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProcessingState {
    /// Not begun.
    Waiting,
    /// Under way.
    Executing,
    /// Ended, well or not: the message says which.
    Complete,
}

/// Progress of an operation. Fields that are not known here are ignored when read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// `<progress id>-<operation name>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The operation's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_state: Option<ProcessingState>,
    /// Free text while EXECUTING; `succeeded` or `failed` when COMPLETE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_state_message: Option<String>,
    /// From 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_complete: Option<f64>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_time: Option<Millis>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_time: Option<Millis>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub diagnostic_events: Vec<DiagnosticEvent>,
    /// The handler's own data, given back to it when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Map<String, Value>>,
}

impl Progress {
    /// Whether this is a final report.
    pub fn is_final(&self) -> bool {
        self.processing_state == Some(ProcessingState::Complete)
    }

    /// Whether this is a final report of success; the word is compared without regard to case.
    pub fn is_succeeded(&self) -> bool {
        let message = self.processing_state_message.as_deref();
        self.is_final() && message.is_some_and(|word| word.eq_ignore_ascii_case(SUCCEEDED))
    }

    /// The percentage to show after `earlier`: within 0 and 100, and never backwards.
    pub fn percent_after(&self, earlier: f64) -> f64 {
        match self.percent_complete {
            Some(percent) if percent.is_finite() => percent.clamp(0.0, 100.0).max(earlier),
            _ => earlier,
        }
    }
}

/// Progress of an agenda, as an earlier run reported it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgendaProgress {
    /// Progress of its operations.
    #[serde(deserialize_with = "null_is_default")]
    pub operation_progress: Vec<OperationReached>,
}

/// What an operation had reached in an earlier run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OperationReached {
    /// Its progress.
    pub progress: Progress,
    /// Its result: JSON, written as text.
    pub result_payload: Option<String>,
}

impl<'de> Deserialize<'de> for OperationReached {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // one map holds both: a progress with one more field
        let mut fields = Map::<String, Value>::deserialize(from)?;
        let result_payload = match fields.remove("resultPayload") {
            Some(Value::String(text)) => Some(text),
            None | Some(Value::Null) => None,
            Some(other) => Some(other.to_string()),
        };
        let progress = serde_json::from_value(Value::Object(fields)).map_err(serde::de::Error::custom)?;
        Ok(Self { progress, result_payload })
    }
}

/// Something that a handler or the executor has to say about an operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DiagnosticEvent {
    /// What happened.
    pub message: String,
    /// A code that `ignoreErrors` and `retry.on` can name.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "code_text")]
    pub status_code: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Millis>,
    /// Where in the handler's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_trace: Option<String>,
    /// Anything else; the last lines of a log, for example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

impl DiagnosticEvent {
    /// A diagnostic that is a message alone.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn code_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(from)? {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p15_a_progress_of_the_original_is_read_and_unknown_fields_are_ignored() {
        let text = r#"{"processingState":"EXECUTING","processingStateMessage":null,"percentComplete":40.0,
            "startedTime":1700000000000,"params":{"jobInfo":{"jobId":"j-9"}},"diagnosticEvents":null,"addedTime":1,
            "attemptCount":0}"#;
        let progress: Progress = serde_json::from_str(text).unwrap();
        assert!(!progress.is_final());
        assert_eq!(progress.percent_complete, Some(40.0));
        assert_eq!(progress.params.unwrap()["jobInfo"]["jobId"], "j-9");
    }

    #[test]
    fn p27_the_progress_of_an_agenda_is_read() {
        let text = r#"{"id":"p","operationProgress":[{"operation":"a","processingState":"COMPLETE",
            "processingStateMessage":"succeeded","resultPayload":"{\"w\":1}"},{"operation":"b","resultPayload":null}]}"#;
        let progress: AgendaProgress = serde_json::from_str(text).unwrap();
        let first = &progress.operation_progress[0];
        assert!(first.progress.is_succeeded());
        assert_eq!(first.result_payload.as_deref(), Some("{\"w\":1}"));
        assert_eq!(progress.operation_progress[1].result_payload, None);
        let none: AgendaProgress = serde_json::from_str(r#"{"operationProgress":null}"#).unwrap();
        assert!(none.operation_progress.is_empty());
    }

    #[test]
    fn p16_status_codes_may_be_numbers_or_text() {
        let events: Vec<DiagnosticEvent> =
            serde_json::from_str(r#"[{"message":"m","statusCode":11002},{"message":"n","statusCode":"E7"}]"#)
                .unwrap();
        assert_eq!(events[0].status_code.as_deref(), Some("11002"));
        assert_eq!(events[1].status_code.as_deref(), Some("E7"));
    }

    #[test]
    fn f23_percent_is_clamped_and_never_goes_back() {
        let at = |percent| Progress { percent_complete: Some(percent), ..Progress::default() };
        assert_eq!(at(30.0).percent_after(40.0), 40.0);
        assert_eq!(at(1e9).percent_after(40.0), 100.0);
        assert_eq!(at(f64::NAN).percent_after(40.0), 40.0);
        assert_eq!(at(-5.0).percent_after(0.0), 0.0);
    }
}
