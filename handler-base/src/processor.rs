//! One operation from payload to final report, the same for a program, a test and the executor.

use crate::panics::{Panic, caught};
use crate::strict::from_json;
use crate::{DiagnosticEvent, Handler, HandlerError, OperationContext, ProcessingState, Progress};
use pop_contract::{FAILED, SUCCEEDED};
use serde_json::Value;

/// The final report of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// COMPLETE, with `succeeded` or `failed`.
    pub progress: Progress,
    /// The result, if it succeeded.
    pub result: Option<Value>,
}

impl Report {
    /// Whether the operation succeeded.
    pub fn is_succeeded(&self) -> bool {
        self.progress.is_succeeded()
    }
}

/// Carries an operation out: reads the payload, validates it, runs the handler, reports the end.
///
/// Whatever goes wrong, a panic included, ends in a report of failure that says so.
pub async fn process<H: Handler>(handler: &H, payload: &str, context: &mut OperationContext) -> Report {
    let outcome = attempt(handler, payload, context).await;
    let report = match outcome {
        Ok(result) => Report {
            progress: Progress {
                processing_state_message: Some(SUCCEEDED.to_owned()),
                percent_complete: Some(100.0),
                ..context.in_state(ProcessingState::Complete)
            },
            result: Some(result),
        },
        Err(error) => Report {
            progress: Progress {
                processing_state_message: Some(FAILED.to_owned()),
                percent_complete: context.percent(),
                diagnostic_events: stamped(error.into_diagnostics(), context),
                ..context.in_state(ProcessingState::Complete)
            },
            result: None,
        },
    };
    context.report_final(&report.progress, report.result.as_ref());
    report
}

async fn attempt<H: Handler>(
    handler: &H,
    payload: &str,
    context: &mut OperationContext,
) -> Result<Value, HandlerError> {
    // an operation without a payload has the payload null; a handler whose fields are all optional takes that too
    let read = from_json(payload);
    let read = if read.is_err() && payload.trim() == "null" { from_json("{}") } else { read };
    let input: H::Input = read.map_err(|error| {
        let wanted = std::any::type_name::<H::Input>();
        // without what it is filled with
        let wanted = wanted.split('<').next().unwrap_or(wanted);
        let wanted = wanted.rsplit("::").next().unwrap_or(wanted);
        HandlerError::new(format!("the payload is no {wanted}: {error}")).code("payload")
    })?;
    let wrong = handler.validate(&input);
    if !wrong.is_empty() {
        return Err(HandlerError::several(wrong));
    }
    let output = match caught(handler.run(input, context)).await {
        Ok(output) => output?,
        Err(Panic { message, place }) => {
            return Err(HandlerError::new(format!("the handler panicked: {message}"))
                .code("panic")
                .trace(place));
        }
    };
    serde_json::to_value(output).map_err(|error| HandlerError::new(format!("the result is no JSON: {error}")))
}

fn stamped(diagnostics: Vec<DiagnosticEvent>, context: &OperationContext) -> Vec<DiagnosticEvent> {
    let now = context.in_state(ProcessingState::Complete).completed_time;
    diagnostics.into_iter().map(|event| DiagnosticEvent { time: event.time.or(now), ..event }).collect()
}
