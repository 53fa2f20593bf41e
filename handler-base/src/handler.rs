//! The trait of a handler.

use crate::{About, DiagnosticEvent, HandlerError, OperationContext};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;

/// Runs operations of a type: takes a payload and returns a result.
pub trait Handler {
    /// The payload.
    type Input: DeserializeOwned + JsonSchema;
    /// The result.
    type Output: Serialize + JsonSchema;

    /// The handler's description for `--describe`, without the schemas of payload and result.
    fn about(&self) -> About {
        About::default()
    }

    /// Checks rules that the payload's type cannot express. Any returned event fails the operation.
    fn validate(&self, input: &Self::Input) -> Vec<DiagnosticEvent> {
        let _ = input;
        Vec::new()
    }

    /// Runs the operation.
    fn run(
        &self,
        input: Self::Input,
        context: &mut OperationContext,
    ) -> impl Future<Output = Result<Self::Output, HandlerError>>;
}
