//! The toolkit for handlers: a handler is a function from a typed payload to a typed result that reports progress.
//!
//! ```no_run
//! use pop_handler_base::{About, Handler, HandlerError, JsonSchema, OperationContext, run_handler};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[schemars(crate = "pop_handler_base::schemars")]
//! struct Greeting { name: String }
//! #[derive(Serialize, JsonSchema)]
//! #[schemars(crate = "pop_handler_base::schemars")]
//! struct GreetingText { text: String }
//!
//! struct Hello;
//! impl Handler for Hello {
//!     type Input = Greeting;
//!     type Output = GreetingText;
//!     fn about(&self) -> About {
//!         About::new(env!("CARGO_PKG_VERSION"), "greets somebody")
//!     }
//!     async fn run(&self, input: Greeting, context: &mut OperationContext) -> Result<GreetingText, HandlerError> {
//!         context.progress(50.0);
//!         Ok(GreetingText { text: format!("hello, {}", input.name) })
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     run_handler(&Hello)
//! }
//! ```
//!
//! The same handler runs as a program ([`run_handler`]), inside a test ([`run_in_memory`]) and inside
//! the executor ([`process`]).

mod about;
mod cancel;
mod capability;
mod clients;
mod cluster;
mod conduit;
mod context;
mod description;
mod entry_point;
mod error;
mod external;
mod external_pod;
mod ffmpeg;
mod handler;
mod in_memory;
mod panics;
mod processor;
mod program;
mod sample;
mod serve;
mod strict;

pub use about::About;
pub use cancel::{Cancellation, Canceller};
pub use capability::{
    BindHandler, Binding, CallPayload, CallResult, Capabilities, ContentHandler, Options, SystemHandler,
};
pub use cluster::cluster;
pub use conduit::Conduit;
pub use context::{ContextParts, OperationContext};
pub use description::describe;
pub use entry_point::run_handler;
pub use error::HandlerError;
pub use external::{External, ExternalEnd};
pub use ffmpeg::FfmpegProgress;
pub use handler::Handler;
pub use in_memory::{InMemory, InMemoryRun, run_in_memory};
pub use processor::{Report, process};
pub use program::{EXIT_BAD_LAUNCH_DATA, EXIT_FAILED, EXIT_SUCCEEDED};
pub use sample::{SampleHandler, SamplePayload};

pub use pop_contract::{
    BindReport, CleanReport, ContentReport, Description, DiagnosticEvent, Exit, HandlerReport, Method,
    Millis, ProcessingState, ProfileReport, Progress, RebootReport,
};
pub use pop_field_retriever as field_retriever;
pub use pop_launchers::{LaunchEnd, LaunchEvent, Line, Program, Stream};
pub use pop_reporters::status::StatusReporter;
/// For the derived schemas of payloads and results: `#[derive(JsonSchema)]` with `#[schemars(crate = "pop_handler_base::schemars")]`.
pub use schemars;
pub use schemars::JsonSchema;

// compiles and runs the examples of the guide
#[cfg(doctest)]
#[doc = include_str!("../../docs/handlers.md")]
struct Guide;
