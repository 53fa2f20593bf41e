//! The handlers that are part of the executor: logMessages and updateAgenda.

use pop_handler_base::schemars::{self, JsonSchema};
use pop_handler_base::{Handler, HandlerError, OperationContext};
use serde::Deserialize;
use serde_json::{Value, json};

/// `logMessages`: writes each message into the operation's log.
pub(super) struct LogMessages;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Messages {
    #[serde(default)]
    log_messages: Vec<String>,
}

impl Handler for LogMessages {
    type Input = Messages;
    type Output = Value;

    async fn run(&self, input: Messages, context: &mut OperationContext) -> Result<Value, HandlerError> {
        for message in &input.log_messages {
            context.log(message);
        }
        Ok(json!({}))
    }
}

/// `updateAgenda`: returns the operations of its payload, each with `generatedOperationParent` in its params.
pub(super) struct UpdateAgenda;

#[derive(Deserialize, JsonSchema)]
pub(super) struct Update {
    operations: Vec<Value>,
    #[serde(default)]
    params: Option<Value>,
    /// Whether the operations are only reported, and not added.
    #[serde(default, rename = "logOnly")]
    log_only: bool,
}

impl Handler for UpdateAgenda {
    type Input = Update;
    type Output = Value;

    async fn run(&self, mut input: Update, context: &mut OperationContext) -> Result<Value, HandlerError> {
        let generator = context.operation().unwrap_or_default().to_owned();
        for operation in &mut input.operations {
            let Value::Object(fields) = operation else {
                return Err(HandlerError::new("each of `operations` must be a map").code("payload"));
            };
            let params = fields.entry("params").or_insert_with(|| json!({}));
            if let Value::Object(params) = params {
                params.insert("generatedOperationParent".to_owned(), json!(generator));
            }
        }
        let mut result = json!({"operations": input.operations, "params": input.params});
        if input.log_only {
            result["logOnly"] = json!(true);
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_handler_base::run_in_memory;

    #[tokio::test]
    async fn p26_log_messages_writes_each_message() {
        let run = run_in_memory(&LogMessages, &json!({"logMessages": ["a", "b"]}), []).await;
        assert_eq!((run.log, run.report.result), (vec!["a".to_owned(), "b".to_owned()], Some(json!({}))));
    }

    #[tokio::test]
    async fn p26_update_agenda_stamps_and_hands_on() {
        let payload = json!({"operations": [{"name": "x", "type": "sample"}], "params": {"parts": 3}});
        let result = run_in_memory(&UpdateAgenda, &payload, []).await.report.result.unwrap();
        assert_eq!(result["operations"][0]["params"]["generatedOperationParent"], "");
        assert_eq!(result["params"]["parts"], 3);
    }
}
