//! The contract between executor and handlers: progress, result, diagnostics, and the outcome of an attempt.

mod attempt_outcome;
mod description;
mod duration_text;
mod executor_exit;
mod launch_type;
mod map_only;
mod names_and_limits;
mod progress;
mod report;
mod usage;
mod value;
mod visible;

pub use attempt_outcome::{Blame, Exit, Failure, FinalReport, judge};
pub use description::{DESCRIPTION_LIMIT, Description, DescriptionError, PayloadForm, Term};
pub use duration_text::how_long;
pub use executor_exit::ExecutorExit;
pub use launch_type::{Capabilities, LaunchType, UnknownLaunchType};
pub use names_and_limits::*;
pub use progress::{
    AgendaProgress, DiagnosticEvent, FAILED, Millis, OperationReached, PENDING, ProcessingState, Progress,
    SUCCEEDED,
};
pub use report::{
    BindReport, Call, CallEnd, Capability, CleanReport, ContentReport, DispatchReport, HandlerReport, Method,
    NOT_IMPLEMENTED, ProfileReport, REPORT_CODE, Reboot, RebootReport, wants_reboot,
};
pub use usage::Usage;
pub use value::{ValueError, parsed_size, read_json, read_value, utf8};
pub use visible::{visible, visible_text};
