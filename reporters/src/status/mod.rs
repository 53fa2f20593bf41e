//! How a handler tells whoever launched it how far it is.

#[cfg(feature = "annotations")]
mod annotation;
#[cfg(feature = "annotations")]
mod courier;
mod log;
#[cfg(feature = "annotations")]
mod own_pod;

#[cfg(feature = "annotations")]
pub use annotation::{AnnotationReporter, PodAnnotations};
#[cfg(feature = "annotations")]
pub use courier::{Closing, Courier, Delivery, Pace};
pub use log::LogReporter;
#[cfg(feature = "annotations")]
pub use own_pod::{Annotations, Connecting, OwnPod};

use pop_contract::Progress;
use serde_json::Value;
use std::io;

/// A way to report progress, and a result with the last of it.
///
/// A report that cannot be delivered is noted by the reporter and does not stop the work.
pub trait StatusReporter {
    /// Reports progress; `result` is given with the final report only. An error says that it was not delivered.
    fn report(&mut self, progress: &Progress, result: Option<&Value>) -> io::Result<()>;
}
