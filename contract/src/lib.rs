//! What executor and handler say to one another: progress, result, diagnostics, and how an attempt ends.

mod description;
mod ending;
mod json;
mod launch_type;
mod map_only;
mod names;
mod progress;
mod report;

pub use description::{DESCRIPTION_LIMIT, Description, NoDescription, PayloadForm, Word};
pub use ending::{Blame, Exit, Failure, FinalReport, judge};
pub use json::utf8;
pub use json::{Unreadable, parsed_size, read_json, read_value};
pub use launch_type::{Capabilities, LaunchType, UnknownLaunchType};
pub use names::*;
pub use progress::{
    AgendaProgress, DiagnosticEvent, FAILED, Millis, OperationReached, PENDING, ProcessingState, Progress,
    SUCCEEDED,
};
pub use report::{
    BindReport, Call, CallEnd, Capability, CleanReport, ContentReport, DispatchReport, HandlerReport, Method,
    NOT_IMPLEMENTED, ProfileReport, REPORT_CODE, Reboot, RebootReport, wants_reboot,
};
