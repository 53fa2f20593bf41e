//! Reports of a handler to its launcher.

#[cfg(feature = "annotations")]
mod annotation;
#[cfg(feature = "annotations")]
mod delivery_thread;
mod log;
#[cfg(feature = "annotations")]
mod own_pod;

#[cfg(feature = "annotations")]
pub use annotation::{AnnotationReporter, PodAnnotations};
#[cfg(feature = "annotations")]
pub use delivery_thread::{Delivery, DeliveryThread, FinalWait, Pace};
pub use log::LogReporter;
#[cfg(feature = "annotations")]
pub use own_pod::{Annotations, ConnectFuture, OwnPod};

use pop_contract::Progress;
use serde_json::Value;
use std::io;

/// Reports progress, and the result with the final report.
///
/// The reporter logs a failed delivery; the work continues.
pub trait StatusReporter {
    /// Reports progress. Only the final report has a `result`. An error means that the report was not delivered.
    fn report(&mut self, progress: &Progress, result: Option<&Value>) -> io::Result<()>;
}
