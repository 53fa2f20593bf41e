//! POP's sample handler: it logs, fails or runs an external program, and returns a result from its payload.

use crate::{About, Handler, HandlerError, OperationContext, Program};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The payload of the sample handler.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SamplePayload {
    /// Actions, in order.
    actions: Option<Vec<SampleAction>>,
    /// The result of the operation.
    result_payload: Option<Value>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SampleAction {
    action: String,
    #[serde(default)]
    params_map: Option<SampleParams>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct SampleParams {
    log_message: Option<Scalar>,
    exception_message: Option<Scalar>,
    external_args: Option<Vec<Scalar>>,
    sleep_milliseconds: Option<Scalar>,
}

/// A value of `paramsMap`. POP accepts any scalar as text, and a number that is written as text.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Boolean(bool),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
        }
    }
}

impl SampleParams {
    /// Pause before an action, in milliseconds; a negative value counts as 0.
    fn sleep_milliseconds(&self) -> Result<u64, HandlerError> {
        let Some(scalar) = self.sleep_milliseconds.clone() else { return Ok(0) };
        let text = scalar.into_text();
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| {
            HandlerError::new(format!("`sleepMilliseconds` must be a number, not `{text}`")).code("payload")
        })?;
        // the conversion rounds towards zero and saturates
        Ok(number as u64)
    }
}

/// POP's sample handler: the actions `log`, `exception` and `externalExecute`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SampleHandler;

impl Handler for SampleHandler {
    type Input = SamplePayload;
    type Output = Value;

    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "logs, fails or runs an external program, and echoes a result")
            .action("log", "writes `logMessage` to the log")
            .action("exception", "fails with `exceptionMessage`")
            .action("externalExecute", "runs the program of `externalArgs`")
            .error("exception", "the payload has the action `exception`")
            .error("payload", "the payload is not valid")
    }

    async fn run(&self, input: SamplePayload, context: &mut OperationContext) -> Result<Value, HandlerError> {
        if let Some(job) = context.prior_param("jobInfo") {
            let line = format!("an earlier attempt worked on {job}");
            context.log(line);
        }
        for action in input.actions.unwrap_or_default() {
            let params = action.params_map.unwrap_or_default();
            pretend_to_work(params.sleep_milliseconds()?, context).await?;
            match action.action.as_str() {
                "log" => context.log(params.log_message.map(Scalar::into_text).unwrap_or_default()),
                "exception" => {
                    let message = params.exception_message.map(Scalar::into_text);
                    let message = message.unwrap_or_else(|| "exception".to_owned());
                    return Err(HandlerError::new(message).code("exception"));
                }
                "externalExecute" => {
                    let argv = params.external_args.unwrap_or_default();
                    execute(argv.into_iter().map(Scalar::into_text).collect(), context).await?;
                }
                other => {
                    let known = "log, exception or externalExecute";
                    return Err(
                        HandlerError::new(format!("unknown action `{other}`; use {known}")).code("payload")
                    );
                }
            }
        }
        Ok(input.result_payload.unwrap_or_else(|| Value::Object(serde_json::Map::new())))
    }
}

/// Waits and reports progress once a second; below 100 percent, because the action follows.
async fn pretend_to_work(milliseconds: u64, context: &mut OperationContext) -> Result<(), HandlerError> {
    if milliseconds == 0 {
        return Ok(());
    }
    let steps = (milliseconds / 1_000).max(1);
    context.keep_param("jobInfo", serde_json::json!({"jobId": context.cid()}));
    let cancellation = context.cancellation().clone();
    for step in 0..steps {
        context.progress(step as f64 / steps as f64 * 100.0);
        let pause = Duration::from_millis(milliseconds / steps);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancellation.cancelled() => return Err(HandlerError::new("stopped while working").code("cancelled")),
        }
    }
    Ok(())
}

async fn execute(argv: Vec<String>, context: &mut OperationContext) -> Result<(), HandlerError> {
    if argv.is_empty() {
        return Err(HandlerError::new("`externalArgs` must begin with a program").code("payload"));
    }
    let program = Program { argv, ..Program::default() };
    context.external(program).on_line(|line, context| context.log(&line.text)).run().await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exit, InMemory, LaunchEnd, LaunchEvent, Line, Stream, run_in_memory};
    use serde_json::json;

    fn ended(exit: Exit) -> LaunchEvent {
        LaunchEvent::Ended(Box::new(LaunchEnd::exited(exit)))
    }

    fn percents(progress: &[crate::Progress]) -> Vec<u64> {
        progress
            .iter()
            .filter_map(|progress| progress.percent_complete)
            .map(|percent| percent as u64)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn cancelled_handler_stops_and_the_next_attempt_reads_its_progress() {
        let payload = json!({"actions": [{"action": "log", "paramsMap": {"sleepMilliseconds": 4000, "logMessage": "hi"}}]});
        let stopped = InMemory::default().stopped_at(25.0).run(&SampleHandler, &payload).await;
        assert_eq!(percents(&stopped.progress), [0, 25, 25]);
        assert_eq!(stopped.report.progress.diagnostic_events[0].status_code.as_deref(), Some("cancelled"));
        let last = stopped.progress.last().unwrap().clone();
        let again = InMemory::default().prior(last).run(&SampleHandler, &payload).await;
        assert!(again.report.is_succeeded());
        assert!(again.log[0].starts_with("an earlier attempt worked on "), "{:?}", again.log);
    }

    #[tokio::test(start_paused = true)]
    async fn exception_fails_after_progress_without_a_result() {
        let payload = json!({"actions": [{"action": "log", "paramsMap": {"sleepMilliseconds": 3000, "logMessage": "hi"}},
            {"action": "exception", "paramsMap": {"exceptionMessage": "boom"}}], "resultPayload": {"k": "v"}});
        let run = run_in_memory(&SampleHandler, &payload, []).await;
        assert_eq!(percents(&run.progress), [0, 33, 66, 66]);
        assert!(!run.report.is_succeeded());
        assert_eq!(run.report.result, None);
        assert_eq!(run.report.progress.diagnostic_events[0].message, "boom");
    }

    #[tokio::test(start_paused = true)]
    async fn fr_l6_numbers_may_be_text_and_scalars_are_logged() {
        let log = |params: Value| json!({"action": "log", "paramsMap": params});
        let payload = json!({"actions": [
            log(json!({"sleepMilliseconds": "2000", "logMessage": 45})),
            log(json!({"sleepMilliseconds": " 10.0 ", "logMessage": true})),
            log(json!({"sleepMilliseconds": -5, "logMessage": 1.5})),
            {"action": "exception", "paramsMap": {"exceptionMessage": 7}},
        ]});
        let run = run_in_memory(&SampleHandler, &payload, []).await;
        assert_eq!(run.log, ["45", "true", "1.5"]);
        assert_eq!(percents(&run.progress), [0, 50, 50]);
        assert_eq!(run.report.progress.diagnostic_events[0].message, "7");
        let external =
            json!({"actions": [{"action": "externalExecute", "paramsMap": {"externalArgs": ["ls", 1]}}]});
        let run = run_in_memory(&SampleHandler, &external, [vec![ended(Exit::Code(0))]]).await;
        assert_eq!(run.external[0].argv, ["ls", "1"]);
        let soon = json!({"actions": [log(json!({"sleepMilliseconds": "soon"}))]});
        let run = run_in_memory(&SampleHandler, &soon, []).await;
        let diagnostic = &run.report.progress.diagnostic_events[0];
        assert_eq!(diagnostic.message, "`sleepMilliseconds` must be a number, not `soon`");
        assert_eq!(diagnostic.status_code.as_deref(), Some("payload"));
    }

    #[tokio::test]
    async fn success_echoes_the_result_with_100_percent() {
        let run =
            run_in_memory(&SampleHandler, &json!({"actions": null, "resultPayload": {"k": [1]}}), []).await;
        assert_eq!(run.report.result, Some(json!({"k": [1]})));
        assert_eq!(percents(&run.progress), [100]);
    }

    #[tokio::test]
    async fn failure_of_an_external_program_fails_the_operation() {
        let payload = json!({"actions": [{"action": "externalExecute", "paramsMap": {"externalArgs": ["ffmpeg", "-h"]}}]});
        let line = Line { stream: Stream::Stderr, text: "no such file".to_owned() };
        let answer = vec![LaunchEvent::Lines(vec![line]), ended(Exit::Code(1))];
        let run = run_in_memory(&SampleHandler, &payload, [answer]).await;
        assert_eq!(run.external[0].argv, ["ffmpeg", "-h"]);
        let diagnostic = &run.report.progress.diagnostic_events[0];
        assert_eq!(diagnostic.message, "`ffmpeg` ended with exit status 1: no such file");
        let run = run_in_memory(&SampleHandler, &payload, [vec![ended(Exit::Code(0))]]).await;
        assert!(run.report.is_succeeded());
    }

    #[tokio::test]
    async fn payload_of_the_wrong_type_fails() {
        let run = run_in_memory(&SampleHandler, &json!({"actions": 7}), []).await;
        let diagnostic = &run.report.progress.diagnostic_events[0];
        assert!(diagnostic.message.starts_with("the payload is not a valid SamplePayload: invalid type"));
        assert!(run_in_memory(&SampleHandler, &Value::Null, []).await.report.is_succeeded());
        let run = run_in_memory(&SampleHandler, &json!({"actions": [{"action": "lgo"}]}), []).await;
        assert!(run.report.progress.diagnostic_events[0].message.contains("unknown action `lgo`"));
    }

    struct PanickingHandler;
    impl Handler for PanickingHandler {
        type Input = Value;
        type Output = Value;
        async fn run(&self, _: Value, _: &mut OperationContext) -> Result<Value, HandlerError> {
            panic!("on purpose")
        }
    }

    #[tokio::test]
    async fn u14_panic_is_a_failed_report_with_message_and_trace() {
        let run = run_in_memory(&PanickingHandler, &json!({}), []).await;
        let diagnostic = &run.report.progress.diagnostic_events[0];
        assert_eq!(diagnostic.message, "the handler panicked: on purpose");
        assert!(diagnostic.stack_trace.as_ref().unwrap().contains("sample.rs"));
        assert!(!run.report.is_succeeded());
    }
}
