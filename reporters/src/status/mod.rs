//! How a handler tells whoever launched it how far it is.

mod log;

pub use log::LogReporter;

use pop_registry::contract::Progress;
use serde_json::Value;

/// A way to report progress, and a result with the last of it.
///
/// A report that cannot be delivered is noted by the reporter and does not stop the work.
pub trait StatusReporter {
    /// Reports progress; `result` is given with the final report only.
    fn report(&mut self, progress: &Progress, result: Option<&Value>);
}
