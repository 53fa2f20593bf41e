//! Handlers whose errors become a status: validate, then children, then status.

use crate::backoff::Backoff;
use crate::handler::{Error, FinalizeResponse, Handler, SyncRequest, SyncResponse};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::time::Duration;

/// How far a failable handler came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandlerResult<V, E> {
    /// The parent is not valid.
    ValidationFailed(E),
    /// The parent is valid, but its children could not be determined.
    SyncFailed {
        /// What validation returned.
        validated: V,
        /// Reason.
        error: E,
    },
    /// The children are known.
    SyncSuccess(V),
    /// The clean-up failed.
    FinalizeFailed(E),
    /// The clean-up is done. The status is not written any more, because the parent goes.
    FinalizeSuccess,
}

/// A handler in three parts. An error in one of them keeps the children as they are, and the status can show it.
pub trait FailableHandler: Send + Sync + 'static {
    /// A valid parent.
    type Validated;
    /// What can go wrong.
    type Error: Display;
    /// Status of the parent.
    type Status: Serialize;

    /// Checks the parent.
    fn validate(&self, request: &SyncRequest) -> Result<Self::Validated, Self::Error>;

    /// The children that a valid parent should have.
    fn sync_children(
        &self,
        validated: &mut Self::Validated,
        request: &SyncRequest,
    ) -> Result<Vec<Value>, Self::Error>;

    /// The status of the parent.
    fn determine_status(
        &self,
        request: &SyncRequest,
        result: HandlerResult<Self::Validated, Self::Error>,
    ) -> Self::Status;

    /// Cleans up before the parent is deleted. By default there is nothing to do.
    fn finalize(&self, _request: &SyncRequest) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A [`FailableHandler`] as a [`Handler`].
#[derive(Debug, Clone)]
pub struct Failable<H> {
    handler: H,
    backoff: Backoff,
    regular_resync: Option<Duration>,
}

impl<H: FailableHandler> Failable<H> {
    /// A handler that repeats failed calls after 500 ms at first and 10 minutes at most.
    pub fn new(handler: H) -> Self {
        let backoff = Backoff { initial: Duration::from_millis(500), ..Backoff::default() };
        Self { handler, backoff, regular_resync: None }
    }

    /// The same handler with other times between failed calls.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// The same handler, called again that long after a success if nothing changes.
    #[must_use]
    pub fn with_regular_resync(self, after: Duration) -> Self {
        Self { regular_resync: Some(after), ..self }
    }

    fn delay(&self, request: &SyncRequest) -> Option<Duration> {
        self.backoff.delay(request.parent_uid(), request.failures.saturating_add(1))
    }
}

impl<H: FailableHandler> Handler for Failable<H> {
    fn sync(&self, request: &SyncRequest) -> Result<SyncResponse, Error> {
        let (result, children) = match self.handler.validate(request) {
            Err(error) => (HandlerResult::ValidationFailed(error), None),
            Ok(mut validated) => match self.handler.sync_children(&mut validated, request) {
                Err(error) => (HandlerResult::SyncFailed { validated, error }, None),
                Ok(children) => (HandlerResult::SyncSuccess(validated), Some(children)),
            },
        };
        let mut response = SyncResponse::from_status(self.handler.determine_status(request, result))?;
        match children {
            Some(children) => {
                response.children = children;
                response.resync = self.regular_resync;
            }
            None => {
                response.has_failed = true;
                response.resync = self.delay(request);
                response.keep_children(request);
            }
        }
        Ok(response)
    }

    fn finalize(&self, request: &SyncRequest) -> Result<FinalizeResponse, Error> {
        match self.handler.finalize(request) {
            Ok(()) => {
                let status = self.handler.determine_status(request, HandlerResult::FinalizeSuccess);
                FinalizeResponse::done().with_status(status)
            }
            Err(error) => {
                let message = error.to_string();
                let status = self.handler.determine_status(request, HandlerResult::FinalizeFailed(error));
                match self.delay(request) {
                    Some(after) => {
                        let response = FinalizeResponse::retry(after).with_status(status)?;
                        Ok(FinalizeResponse { has_failed: true, ..response })
                    }
                    None => Err(message.into()),
                }
            }
        }
    }
}
