//! Handler `{{name}}`: repeats a text.

use pop_handler_base::{
    About, DiagnosticEvent, Handler, HandlerError, JsonSchema, OperationContext,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(crate = "pop_handler_base::schemars")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepeatPayload {
    /// The text.
    pub text: String,
    /// How often the result has it.
    #[schemars(range(min = 1, max = 999))]
    pub times: u32,
    /// How long each time takes, in seconds.
    #[serde(default)]
    pub pause_seconds: u32,
}

/// The result.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "pop_handler_base::schemars")]
#[serde(rename_all = "camelCase")]
pub struct Repeated {
    /// The text, as often as was asked for.
    pub text: String,
    /// How often that is.
    pub times: u32,
}

/// Repeats a text.
#[derive(Debug, Clone, Copy)]
pub struct Repeat;

impl Handler for Repeat {
    type Input = RepeatPayload;
    type Output = Repeated;

    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "repeats a text")
            .error("payload", "the payload is not one of this handler")
            .error("cancelled", "it was asked to stop")
    }

    // what is wrong although the payload has the right shape; all of it is said at once
    fn validate(&self, input: &Self::Input) -> Vec<DiagnosticEvent> {
        let mut wrong = Vec::new();
        if !(1..=999).contains(&input.times) {
            let message = format!("`times` is {}: 1 to 999 are allowed", input.times);
            wrong.push(DiagnosticEvent {
                status_code: Some("payload".into()),
                ..DiagnosticEvent::new(message)
            });
        }
        wrong
    }

    async fn run(
        &self,
        input: Self::Input,
        context: &mut OperationContext,
    ) -> Result<Self::Output, HandlerError> {
        let pause = Duration::from_secs(input.pause_seconds.into());
        // an earlier attempt may have come this far
        let done = context
            .prior_param("done")
            .and_then(|done| u32::try_from(done.as_u64()?).ok())
            .unwrap_or(0);
        for number in done + 1..=input.times {
            // the work; whoever waits for anything also waits for being asked to stop
            let cancellation = context.cancellation().clone();
            tokio::select! {
                () = cancellation.asked() => return Err(HandlerError::new("asked to stop").code("cancelled")),
                () = tokio::time::sleep(pause) => {}
            }
            context.log(format!("{number} of {}", input.times));
            context.keep_param("done", number);
            context.progress(100.0 * f64::from(number) / f64::from(input.times));
        }
        let text = vec![input.text; input.times as usize].join(" ");
        Ok(Repeated {
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
    async fn a_text_is_repeated_with_progress() {
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
    async fn a_wrong_payload_fails_with_a_code() {
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
