//! Shows a run: bars on a terminal, lines in files and pipes, JSON for programs, a summary at the end.

#[cfg(feature = "annotations")]
mod agenda_progress;
mod bars;
#[cfg(feature = "annotations")]
mod document_delivery;
mod estimate;
mod event_text;
mod followed_run;
mod json;
mod lines;
#[cfg(feature = "annotations")]
mod progress_delivery;
#[cfg(feature = "annotations")]
mod service_client;
mod sink_thread;
mod spool;
mod summary;
mod terminal_block;
mod usage_text;
mod waits;

#[cfg(feature = "annotations")]
pub use agenda_progress::ProgressIds;
pub use bars::{Bars, EarlierDurations, Suspension, TerminalSize};
#[cfg(feature = "annotations")]
pub use document_delivery::{Document, DocumentDelivery, MakeDocuments};
pub use estimate::Durations;
pub use event_text::{failure_with_blame, stop_words};
pub use followed_run::{FollowedRun, Follower};
pub use json::{JsonEvents, files_json, operation_json, run_json};
pub use lines::Lines;
pub use pop_contract::{how_long, visible, visible_text};
#[cfg(feature = "annotations")]
pub use progress_delivery::{ProgressDelivery, ProgressSource};
#[cfg(feature = "annotations")]
pub use service_client::{InvalidAddress, ServiceAddress};
pub use sink_thread::{Redraw, SinkThread};
pub use spool::{Spool, SpoolLoss};
pub use summary::{closing_line, summary, tail_lines};
pub use usage_text::{size_text, usage_text};
