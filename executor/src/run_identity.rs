//! The identity of a run: its names, its folders and its launcher.

use crate::run_folder::lock_file;
use pop_agenda::Plan;
use pop_contract::LaunchType;
use pop_handler_base::field_retriever::names::environment as variable;
use pop_telemetry::{RunTrace, TRACE_PARENT, TRACE_STATE};
use std::path::PathBuf;

/// Names and folders that all operations of a run share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// The id of the run.
    pub run: String,
    /// The mark by which pop finds the programs of the run. The mark differs from the id if another run may have the
    /// same id.
    pub mark: String,
    /// The correlation id.
    pub cid: String,
    /// The name of the agenda in messages.
    pub agenda: String,
    /// The folder of the run.
    pub folder: PathBuf,
    /// The folder in which programs start.
    pub start: PathBuf,
    /// The folder of logs.
    pub logs: PathBuf,
    /// The registry's folder, against which its relative programs are resolved.
    pub home: Option<PathBuf>,
    /// The launcher of the run's programs. Handlers launch their own programs the same way.
    pub on: LaunchType,
    /// The trace of the run.
    pub trace: RunTrace,
}

impl RunIdentity {
    /// The file of the run's lock. Its time is the time at which the last executor took it, or ended.
    pub fn lock_file(&self) -> PathBuf {
        lock_file(&self.folder)
    }

    /// The variables that every program of the run gets.
    pub fn variables(&self, plan: &Plan) -> Vec<(String, String)> {
        let identity = &plan.identity;
        let agenda_id = identity.id.as_deref().unwrap_or(&self.run);
        let all = [
            (variable::RUN_ID, Some(self.mark.as_str())),
            (variable::CID, Some(self.cid.as_str())),
            (variable::AGENDA_ID, Some(agenda_id)),
            (variable::CUSTOMER_ID, identity.customer_id.as_deref()),
            (variable::PROGRESS_ID, identity.progress_id.as_deref()),
            (variable::LAUNCH_TYPE, Some(self.on.as_str())),
            (variable::EXTERNAL_LAUNCH_TYPE, Some(self.on.as_str())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
    }

    /// Whether a variable of this process would mislead a program of the run.
    pub fn is_foreign(name: &str) -> bool {
        let payload = [variable::PAYLOAD, variable::PAYLOAD_TYPE, variable::PAYLOAD_FILE];
        let progress = [variable::LAST_PROGRESS, variable::LAST_PROGRESS_FILE];
        let own = [variable::OPERATION_NAME, variable::OPERATION_ID, variable::ATTEMPT, variable::ACTION];
        let settings = [variable::PROPERTIES, variable::PROP_FILE, variable::SERVICE_TOKEN];
        // each attempt gets its own, or that of the start
        let trace = [TRACE_PARENT, TRACE_STATE];
        [payload.as_slice(), &progress, &own, &settings, &trace].iter().any(|names| names.contains(&name))
            || name.starts_with(variable::COMPRESSED_PAYLOAD_PREFIX)
    }
}
