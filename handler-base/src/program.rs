//! What a handler program needs whether it serves one operation or many: exit status, secrets, earlier progress.

use crate::{HandlerError, Progress, StatusReporter};
use pop_contract::Millis;
use pop_field_retriever::LaunchDataWrapper;
use pop_field_retriever::names::environment;
use pop_launchers::Mask;
use serde_json::Value;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::warn;

/// Exit status of a succeeded operation.
pub const EXIT_SUCCEEDED: u8 = 0;
/// Exit status of a failed operation; the report has the reason.
pub const EXIT_FAILED: u8 = 1;
/// Exit status for wrong launch data; the work did not start.
pub const EXIT_BAD_LAUNCH_DATA: u8 = 2;

/// Time from a stop request to the end of a handler that does not stop by itself.
pub(crate) const GRACE: Duration = Duration::from_secs(8);

/// A mask for this program's secrets: the values of the variables that `POP_SECRETS` names.
pub(crate) fn own_secrets() -> Mask {
    let names = std::env::var(environment::SECRETS).unwrap_or_default();
    let values = names.split(',').filter(|name| !name.is_empty()).filter_map(|name| std::env::var(name).ok());
    Mask::new(values.filter(|value| value.len() >= Mask::SHORTEST))
}

/// A reporter that masks secrets.
pub(crate) struct MaskingReporter {
    pub(crate) reporter: Box<dyn StatusReporter>,
    pub(crate) mask: Mask,
}

impl StatusReporter for MaskingReporter {
    fn report(&mut self, progress: &Progress, result: Option<&Value>) -> std::io::Result<()> {
        if self.mask.is_empty() {
            return self.reporter.report(progress, result);
        }
        let mut masked = serde_json::to_value(progress)?;
        self.mask.value(&mut masked);
        let progress: Progress = serde_json::from_value(masked)?;
        let result = result.cloned().map(|mut result| {
            self.mask.value(&mut result);
            result
        });
        self.reporter.report(&progress, result.as_ref())
    }
}

/// The progress of an earlier attempt; none if it cannot be read as such.
pub(crate) fn prior_progress(launch: &dyn LaunchDataWrapper) -> Result<Option<Progress>, String> {
    let found =
        launch.last_progress().map_err(|error| format!("error: {}", HandlerError::from(error).message()))?;
    Ok(found.and_then(|found| {
        serde_json::from_str(&found.value)
            .inspect_err(|error| warn!("cannot read the last progress, ignoring it: {error}"))
            .ok()
    }))
}

pub(crate) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}

/// Writes a line to standard error.
pub(crate) fn say(message: &str) {
    // an error of standard error cannot be reported
    writeln!(std::io::stderr(), "{message}").ok();
}
