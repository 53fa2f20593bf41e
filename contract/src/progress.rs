//! Progress of an operation, in the JSON form of POP deployments.

use super::map_only::MapOnly;
use super::read_json;
use pop_document::kind_of;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A point in time: milliseconds since 1970 (UTC).
pub type Millis = u64;

/// `processingStateMessage` of COMPLETE after a success.
pub const SUCCEEDED: &str = "succeeded";
/// `processingStateMessage` of COMPLETE after a failure.
pub const FAILED: &str = "failed";
/// `processingStateMessage` of WAITING.
pub const PENDING: &str = "pending";

/// State of an operation or agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProcessingState {
    /// Not started.
    Waiting,
    /// Running.
    Executing,
    /// Ended. The message tells success from failure.
    Complete,
}

/// Progress of an operation. Unknown fields are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, remote = "Self")]
pub struct Progress {
    /// `<progress id>-<operation name>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// State of the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_state: Option<ProcessingState>,
    /// Free text while EXECUTING; `succeeded` or `failed` when COMPLETE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_state_message: Option<String>,
    /// Percentage from 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_complete: Option<f64>,
    /// Start time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_time: Option<Millis>,
    /// End time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_time: Option<Millis>,
    /// Diagnostic events.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub diagnostic_events: Vec<DiagnosticEvent>,
    /// The handler's own data, passed to its next attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Map<String, Value>>,
}

impl Progress {
    /// Whether this is a final report.
    pub fn is_final(&self) -> bool {
        self.processing_state == Some(ProcessingState::Complete)
    }

    /// Whether this is a final report of success, in any letter case.
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

// derived code would also accept a list, with the fields in order
macro_rules! impl_from_map_only {
    ($($type:ident),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::deserialize(MapOnly(from))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, into)
            }
        }
    )*};
}

impl_from_map_only!(Progress, DiagnosticEvent);

/// Progress of an agenda, as an earlier run reported it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgendaProgress {
    /// Progress of the operations, in document order.
    pub operation_progress: Vec<OperationReached>,
    /// Errors of the entries that were skipped.
    pub refused: Vec<String>,
}

/// Progress and result of an operation in an earlier run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OperationReached {
    /// Progress of the operation.
    pub progress: Progress,
    /// Result of the operation, if the entry has one.
    pub result: Option<Value>,
}

impl AgendaProgress {
    /// Parses the progress of an agenda. Invalid entries are skipped, and their errors added to `refused`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Value::Object(mut root) = root else {
            return Err(format!("the progress of an agenda must be a map, not {}", kind_of(&root)));
        };
        let entries = match root.remove("operationProgress") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(other) => {
                return Err(format!("`operationProgress` must be a list, not {}", kind_of(&other)));
            }
        };
        let mut read = Self::default();
        for (index, entry) in entries.into_iter().enumerate() {
            let name = entry.get("operation").and_then(Value::as_str).map(|name| format!(" (`{name}`)"));
            match OperationReached::read(entry) {
                Ok(reached) => read.operation_progress.push(reached),
                Err(why) => {
                    let name = name.unwrap_or_default();
                    read.refused.push(format!("entry {index}{name} of `operationProgress`: {why}"));
                }
            }
        }
        Ok(read)
    }
}

impl OperationReached {
    fn read(entry: Value) -> Result<Self, String> {
        let Value::Object(mut fields) = entry else {
            return Err(format!("it must be a map, not {}", kind_of(&entry)));
        };
        // POP writes the result as JSON text
        let result = match fields.remove("resultPayload") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.trim().is_empty() => None,
            Some(Value::String(text)) => Some(
                read_json(text.as_bytes())
                    .map_err(|error| format!("its `resultPayload` is not a JSON text: {error}"))?,
            ),
            Some(other) => Some(other),
        };
        let progress = serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
        Ok(Self { progress, result })
    }
}

/// A diagnostic message of a handler or the executor about an operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, remote = "Self")]
pub struct DiagnosticEvent {
    /// Message.
    pub message: String,
    /// Code that `ignoreErrors` and `retry.on` match.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "code_text")]
    pub status_code: Option<String>,
    /// Time of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Millis>,
    /// Stack trace in the handler's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_trace: Option<String>,
    /// Additional data, for example the last lines of a log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

impl DiagnosticEvent {
    /// A diagnostic with only a message.
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
    fn progress_of_pop_is_parsed_without_unknown_fields() {
        let text = r#"{"processingState":"EXECUTING","processingStateMessage":null,"percentComplete":40.0,
            "startedTime":1700000000000,"params":{"jobInfo":{"jobId":"j-9"}},"diagnosticEvents":null,"addedTime":1,
            "attemptCount":0}"#;
        let progress: Progress = serde_json::from_str(text).unwrap();
        assert!(!progress.is_final());
        assert_eq!(progress.percent_complete, Some(40.0));
        assert_eq!(progress.params.unwrap()["jobInfo"]["jobId"], "j-9");
    }

    #[test]
    fn progress_of_an_agenda_is_parsed() {
        let text = r#"{"id":"p","operationProgress":[{"operation":"a","processingState":"COMPLETE",
            "processingStateMessage":"succeeded","resultPayload":"{\"w\":1}"},{"operation":"b","resultPayload":null}]}"#;
        let progress = AgendaProgress::parse(text).unwrap();
        let first = &progress.operation_progress[0];
        assert!(first.progress.is_succeeded());
        assert_eq!(first.result, Some(serde_json::json!({"w": 1})));
        assert_eq!(progress.operation_progress[1].result, None);
        let none = AgendaProgress::parse(r#"{"operationProgress":null}"#).unwrap();
        assert!(none.operation_progress.is_empty());
    }

    #[test]
    fn fr_l13_an_invalid_entry_is_skipped() {
        let text = r#"{"operationProgress": [
            {"operation": "a", "processingState": "COMPLETE", "resultPayload": "no JSON"},
            {"operation": "b", "processingState": "DONE"}, 7, ["c"],
            {"operation": "d", "processingState": "COMPLETE", "resultPayload": " "},
            {"operation": "e", "resultPayload": "null"}, {"operation": "f", "resultPayload": {"w": 1}}]}"#;
        let progress = AgendaProgress::parse(text).unwrap();
        let read: Vec<_> = progress
            .operation_progress
            .iter()
            .map(|reached| (reached.progress.operation.as_deref().unwrap(), reached.result.clone()))
            .collect();
        let w = serde_json::json!({"w": 1});
        assert_eq!(read, [("d", None), ("e", Some(Value::Null)), ("f", Some(w))]);
        let errors = progress.refused.join("\n");
        for part in [
            "entry 0 (`a`) of `operationProgress`: its `resultPayload` is not a JSON text",
            "entry 1 (`b`)",
            "entry 2",
            "entry 3",
        ] {
            assert!(errors.contains(part), "{errors}");
        }
        assert_eq!(progress.refused.len(), 4);
    }

    #[test]
    fn fr_l10_a_list_is_not_a_map() {
        for text in [r#"[null,null,"COMPLETE","failed"]"#, "[]", r#"{"diagnosticEvents": [["message"]]}"#] {
            let error = serde_json::from_str::<Progress>(text).unwrap_err().to_string();
            assert!(error.contains("invalid type: sequence, expected"), "{error}");
            assert!(
                serde_json::from_str::<Value>(text).and_then(serde_json::from_value::<Progress>).is_err()
            );
        }
        let read: Progress = serde_json::from_str(r#"{"id": "x", "more": [1, {"a": 2}]}"#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"id":"x"}"#);
        for (text, why) in [
            ("[]", "must be a map, not a list"),
            ("7", "must be a map, not a number"),
            (r#"{"operationProgress": {}}"#, "must be a list, not a map"),
        ] {
            assert!(AgendaProgress::parse(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn status_codes_may_be_numbers_or_text() {
        let events: Vec<DiagnosticEvent> =
            serde_json::from_str(r#"[{"message":"m","statusCode":11002},{"message":"n","statusCode":"E7"}]"#)
                .unwrap();
        assert_eq!(events[0].status_code.as_deref(), Some("11002"));
        assert_eq!(events[1].status_code.as_deref(), Some("E7"));
    }

    #[test]
    fn f23_percent_is_clamped_and_never_decreases() {
        let at = |percent| Progress { percent_complete: Some(percent), ..Progress::default() };
        assert_eq!(at(30.0).percent_after(40.0), 40.0);
        assert_eq!(at(1e9).percent_after(40.0), 100.0);
        assert_eq!(at(f64::NAN).percent_after(40.0), 40.0);
        assert_eq!(at(-5.0).percent_after(0.0), 0.0);
    }
}
