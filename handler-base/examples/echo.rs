//! A handler that returns its payload, for benchmarks.

use pop_handler_base::{About, Handler, HandlerError, OperationContext, run_handler};
use serde_json::Value;

struct Echo;

impl Handler for Echo {
    type Input = Value;
    type Output = Value;

    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "returns its payload")
    }

    async fn run(&self, input: Value, _: &mut OperationContext) -> Result<Value, HandlerError> {
        Ok(input)
    }
}

fn main() -> std::process::ExitCode {
    run_handler(&Echo)
}
