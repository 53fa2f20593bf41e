//! The launches of an examination, and breaches found in them.

use crate::launch_record::LaunchRecord;
use crate::trial::Trial;

/// A trial of a check, and its launch.
pub(crate) struct Outcome {
    pub(crate) check: &'static str,
    pub(crate) trial: Trial,
    pub(crate) seen: LaunchRecord,
}

/// The launch that broke a promise, and what it did.
pub(crate) struct Breach {
    pub(crate) at: usize,
    pub(crate) seen: String,
}
