//! The handler of an operator as a program of the registry.

use crate::exchange::{payload, read_finalize, read_sync};
use pop_launchers::{CallError, HandlerCalls};
use pop_operator::{Error, FinalizeResponse, Handler, SyncRequest, SyncResponse};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A call that waits for its answer.
struct Call {
    event: &'static str,
    payload: Value,
    answer: oneshot::Sender<Result<Value, CallError>>,
}

/// Calls the handler for each parent that changes. A handler that is warm serves many calls with one process.
///
/// [`Handler::sync`] blocks its thread until the program has answered, so it must not run on the thread of the event loop.
pub struct ProgramHandler {
    calls: mpsc::UnboundedSender<Call>,
}

impl ProgramHandler {
    /// A handler whose calls run as tasks of the current Tokio runtime.
    pub fn new(handler: Arc<HandlerCalls>) -> Self {
        let (calls, received) = mpsc::unbounded_channel();
        tokio::spawn(serve(handler, received));
        Self { calls }
    }

    fn call(&self, event: &'static str, request: &SyncRequest) -> Result<Value, Error> {
        let (answer, answered) = oneshot::channel();
        let call = Call { event, payload: payload(event, request), answer };
        let ended = "the operator is ending";
        self.calls.send(call).map_err(|_| ended)?;
        answered.blocking_recv().map_err(|_| ended)?.map_err(|error| {
            let last_line = error.log_tail.last().map(|line| format!("; its last line: {line}"));
            format!("{error}{}", last_line.unwrap_or_default()).into()
        })
    }
}

impl Handler for ProgramHandler {
    fn sync(&self, request: &SyncRequest) -> Result<SyncResponse, Error> {
        read_sync(&self.call("sync", request)?)
    }

    fn finalize(&self, request: &SyncRequest) -> Result<FinalizeResponse, Error> {
        read_finalize(&self.call("finalize", request)?)
    }
}

async fn serve(handler: Arc<HandlerCalls>, mut calls: mpsc::UnboundedReceiver<Call>) {
    while let Some(Call { event, payload, answer }) = calls.recv().await {
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            // an operator that has ended needs no answer
            answer.send(handler.call(event, &payload).await).ok();
        });
    }
}
