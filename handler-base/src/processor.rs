//! Runs one operation from payload to final report, for a program, a test and the executor.

use crate::panics::{Panic, catch_panic};
use crate::strict::from_json;
use crate::{DiagnosticEvent, Handler, HandlerError, OperationContext, ProcessingState, Progress};
use pop_contract::{FAILED, SUCCEEDED};
use serde_json::Value;

/// The final report of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The final progress: COMPLETE with `succeeded` or `failed`.
    pub progress: Progress,
    /// The result of a succeeded operation.
    pub result: Option<Value>,
}

impl Report {
    /// Whether the operation succeeded.
    pub fn is_succeeded(&self) -> bool {
        self.progress.is_succeeded()
    }
}

/// Runs an operation: reads and validates the payload, runs the handler and reports the end.
///
/// Every error, including a panic, ends in a failed report.
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
                diagnostic_events: with_time(error.into_diagnostics(), context),
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
    // a missing payload is null: read it as `{}` for handlers whose fields are all optional
    let read = from_json(payload);
    let read = if read.is_err() && payload.trim() == "null" { from_json("{}") } else { read };
    let input: H::Input = read.map_err(|error| {
        let input = std::any::type_name::<H::Input>();
        // the name without type parameters and path
        let input = input.split('<').next().unwrap_or(input);
        let input = input.rsplit("::").next().unwrap_or(input);
        HandlerError::new(format!("the payload is not a valid {input}: {error}")).code("payload")
    })?;
    let faults = handler.validate(&input);
    if !faults.is_empty() {
        return Err(HandlerError::several(faults));
    }
    let output = match catch_panic(handler.run(input, context)).await {
        Ok(output) => output?,
        Err(Panic { message, location }) => {
            return Err(HandlerError::new(format!("the handler panicked: {message}"))
                .code("panic")
                .trace(location));
        }
    };
    serde_json::to_value(output)
        .map_err(|error| HandlerError::new(format!("the result is not JSON: {error}")))
}

fn with_time(diagnostics: Vec<DiagnosticEvent>, context: &OperationContext) -> Vec<DiagnosticEvent> {
    let now = context.in_state(ProcessingState::Complete).completed_time;
    diagnostics.into_iter().map(|event| DiagnosticEvent { time: event.time.or(now), ..event }).collect()
}
