//! Handler `{{name}}`: repeats a text.

use pop_handler_base::{
    About, DiagnosticEvent, Handler, HandlerError, JsonSchema, OperationContext,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Payload of the handler.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(crate = "pop_handler_base::schemars")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepeatPayload {
    /// Text to repeat.
    pub text: String,
    /// Number of repetitions, 1 to 999.
    #[schemars(range(min = 1, max = 999))]
    pub times: u32,
    /// Pause before each repetition, in seconds.
    #[serde(default)]
    pub pause_seconds: u32,
}

/// Result of the handler.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "pop_handler_base::schemars")]
#[serde(rename_all = "camelCase")]
pub struct RepeatResult {
    /// The repeated text, separated by spaces.
    pub text: String,
    /// Number of repetitions.
    pub times: u32,
}

/// Repeats a text.
#[derive(Debug, Clone, Copy)]
pub struct Repeat;

impl Handler for Repeat {
    type Input = RepeatPayload;
    type Output = RepeatResult;

    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "repeats a text")
            .error("payload", "the payload is not valid")
            .error("cancelled", "the operation was cancelled")
    }

    // checks that the types cannot express; return all faults at once
    fn validate(&self, input: &Self::Input) -> Vec<DiagnosticEvent> {
        let mut faults = Vec::new();
        if !(1..=999).contains(&input.times) {
            let message = format!("`times` must be from 1 to 999, not {}", input.times);
            faults.push(DiagnosticEvent {
                status_code: Some("payload".into()),
                ..DiagnosticEvent::new(message)
            });
        }
        faults
    }

    async fn run(
        &self,
        input: Self::Input,
        context: &mut OperationContext,
    ) -> Result<Self::Output, HandlerError> {
        let pause = Duration::from_secs(input.pause_seconds.into());
        // continue after the last repetition of an earlier attempt
        let done = context
            .prior_param("done")
            .and_then(|done| u32::try_from(done.as_u64()?).ok())
            .unwrap_or(0);
        for number in done + 1..=input.times {
            // wait for cancellation together with everything else that takes time
            let cancellation = context.cancellation().clone();
            tokio::select! {
                () = cancellation.cancelled() => return Err(HandlerError::new("asked to stop").code("cancelled")),
                () = tokio::time::sleep(pause) => {}
            }
            context.log(format!("{number} of {}", input.times));
            context.keep_param("done", number);
            context.progress(100.0 * f64::from(number) / f64::from(input.times));
        }
        let text = vec![input.text; input.times as usize].join(" ");
        Ok(RepeatResult {
            text,
            times: input.times,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_handler_base::run_in_memory;
    use serde_json::json;

    #[tokio::test]
    async fn text_is_repeated_with_progress() {
        let run = run_in_memory(&Repeat, &json!({"text": "la", "times": 2}), []).await;
        assert_eq!(
            run.report.result,
            Some(json!({"text": "la la", "times": 2}))
        );
        let percents: Vec<_> = run
            .progress
            .iter()
            .filter_map(|progress| progress.percent_complete)
            .collect();
        assert_eq!(percents, [50.0, 100.0, 100.0]);
        assert_eq!(run.log, ["1 of 2", "2 of 2"]);
    }

    #[tokio::test]
    async fn wrong_payload_fails_with_a_code() {
        for payload in [
            json!({"text": "la", "times": 0}),
            json!({"text": "la"}),
            json!(null),
        ] {
            let run = run_in_memory(&Repeat, &payload, []).await;
            let codes: Vec<_> = run
                .report
                .progress
                .diagnostic_events
                .iter()
                .map(|event| &event.status_code)
                .collect();
            assert_eq!(codes, [&Some("payload".to_owned())], "{payload}");
        }
    }
}
