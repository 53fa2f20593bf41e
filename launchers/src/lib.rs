//! Starts one program and follows it to its end: as a process; later as a container, as a pod.
//!
//! Two kinds of callers launch programs through the one port, [`Launcher`]: the executor its operations, a
//! handler its external programs. A launcher knows nothing of agendas and runs; it is given an order and speaks
//! back in [`LaunchEvent`]s.

mod choose;
mod log;
mod output;
mod port;
pub mod process;
mod report_lines;

pub use choose::choose;
pub use log::{LOG_HEAD_LIMIT, LOG_TAIL_LINES, Log, LogSummary, log_failure};
pub use port::{
    CAPTURE_LIMIT, Captured, Ended, LaunchEvent, LaunchId, LaunchOrder, Launched, Launcher, Line, Program,
    Stream,
};
pub use process::ProcessLauncher;
pub use report_lines::{ReportLines, Sayings};
