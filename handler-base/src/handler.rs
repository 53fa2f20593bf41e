//! What a handler is: a payload in, a result out.

use crate::{About, DiagnosticEvent, HandlerError, OperationContext};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;

/// A piece of software that takes a payload, performs an operation and gives a result.
pub trait Handler {
    /// The payload.
    type Input: DeserializeOwned + JsonSchema;
    /// The result.
    type Output: Serialize + JsonSchema;

    /// What the handler says about itself when it is asked by `--describe`, besides the schemas of payload and result.
    fn about(&self) -> About {
        About::default()
    }

    /// Says what is wrong with a payload although it has the right shape; anything said here fails the operation.
    fn validate(&self, input: &Self::Input) -> Vec<DiagnosticEvent> {
        let _ = input;
        Vec::new()
    }

    /// Performs the operation.
    fn run(
        &self,
        input: Self::Input,
        context: &mut OperationContext,
    ) -> impl Future<Output = Result<Self::Output, HandlerError>>;
}
