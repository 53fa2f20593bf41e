//! The command of an `exec` operation, for cache keys and for the files that it names.

use serde_json::Value;

/// The command of an `exec` operation with its references filled.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecProgram {
    /// The arguments, the program first.
    pub command: Vec<String>,
    /// The image, if the launcher needs one.
    pub image: Option<String>,
    /// Working directory, relative to the folder in which the run's programs start.
    pub working_directory: Option<String>,
    /// The variables in the payload's `env`.
    pub env: Value,
    /// Standard input; null for an empty one.
    pub stdin: Value,
}

impl ExecProgram {
    /// The command of a payload; fields that the payload lacks are empty.
    pub(crate) fn of(payload: &Value) -> Self {
        let text = |field: &str| payload[field].as_str().map(str::to_owned);
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let words = |item: &Value| match item.get("spread").and_then(Value::as_array) {
            Some(items) => items.iter().map(word).collect(),
            None => vec![word(item)],
        };
        let script = text("shell").map(|script| vec!["sh".to_owned(), script]);
        Self {
            command: script.unwrap_or_else(|| {
                payload["command"].as_array().into_iter().flatten().flat_map(words).collect()
            }),
            image: text("image"),
            working_directory: text("workingDirectory"),
            env: payload["env"].clone(),
            stdin: payload["stdin"].clone(),
        }
    }
}
