//! Calls that the web pages need beside those on objects: lists, one agenda with its report, decisions, changes.

use crate::scope::Scope;
use pop_service::{LogTail, Object, RunFilter};
use serde_json::{Map, Value};
use std::time::Duration;

/// What a page, or an executor for the pages, asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PageCall {
    /// Who the caller is, and what the caller may do.
    Session,
    /// A page of agendas.
    Runs(RunFilter),
    /// What waits and what runs.
    Queue { insight: Option<String>, customer: Option<String>, limit: u32 },
    /// One agenda, without its operations.
    Overview(String),
    /// Operations of one agenda, as the page of reports shows them.
    RunReport(String),
    /// The end of the log of an operation.
    Log { agenda: String, operation: String },
    /// The end of an agenda before its outcome.
    Cancel(String),
    /// The end of a lease.
    Reclaim(String),
    /// Waits for a change after a version.
    Changes { since: Option<u64>, wait: Duration },
    /// Entries of the audit log, the newest first, before an offset in the file, without those of some calls.
    Audit { limit: usize, before: Option<u64>, without: Vec<String> },
    /// An agenda from a template, with values of its inputs.
    FromTemplate { template: String, inputs: Map<String, Value>, payload: Value, fields: Object },
    /// The report of an executor.
    PutReport { fence: String, report: Value },
    /// Logs of an executor.
    PutLogs { fence: String, logs: Vec<LogTail> },
}

impl PageCall {
    pub(crate) fn scope(&self) -> Option<Scope> {
        Some(match self {
            Self::Session => return None,
            Self::Runs(_)
            | Self::Queue { .. }
            | Self::Overview(_)
            | Self::RunReport(_)
            | Self::Log { .. }
            | Self::Changes { .. } => Scope::Read,
            Self::Cancel(_) | Self::FromTemplate { .. } => Scope::Submit,
            Self::PutReport { .. } | Self::PutLogs { .. } => Scope::Pull,
            Self::Reclaim(_) | Self::Audit { .. } => Scope::Admin,
        })
    }

    /// Whether the audit log has the call. Reports and logs of executors are too many, and change nothing else.
    pub(crate) fn is_change(&self) -> bool {
        matches!(self, Self::Cancel(_) | Self::Reclaim(_) | Self::FromTemplate { .. })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Runs(_) => "runs",
            Self::Queue { .. } => "queue",
            Self::Overview(_) => "overview",
            Self::RunReport(_) => "run-report",
            Self::Log { .. } => "log",
            Self::Cancel(_) => "cancel",
            Self::Reclaim(_) => "reclaim",
            Self::Changes { .. } => "changes",
            Self::Audit { .. } => "audit",
            Self::FromTemplate { .. } => "from-template",
            Self::PutReport { .. } => "put-report",
            Self::PutLogs { .. } => "put-logs",
        }
    }
}
