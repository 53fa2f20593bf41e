//! Reports and logs that executors send beside their progress, for people. Each has the lease of its executor, a limit of
//! size, and the life of its agenda.

use super::Service;
use crate::error::ServiceError;
use crate::object::{Kind, Object};
use crate::progress::operation_id;
use crate::work::Fence;
use pop_contract::Millis;
use serde_json::Value;
use std::collections::BTreeSet;

/// Longest report of a run, in bytes of JSON.
pub const LONGEST_REPORT: usize = 8 * 1024 * 1024;
/// Longest log of an operation, in bytes.
pub const LONGEST_LOG: usize = 64 * 1024;
/// Most operations of an agenda that have a log.
pub const MOST_LOGS: usize = 500;

/// The end of the log of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    /// Name of the operation.
    pub operation: String,
    /// Number of the attempt, from 1.
    pub attempt: u64,
    /// The last lines.
    pub text: String,
    /// Whether lines before them are left out.
    pub is_cut: bool,
}

impl Service<'_> {
    /// Stores the report of the run that an executor executes. It replaces the one before it. An empty map deletes that: the
    /// report has become too long.
    pub fn put_run_report(&mut self, fence: &str, report: Value) -> Result<(), ServiceError> {
        let progress = self.reporter(fence)?;
        if report.as_object().is_some_and(serde_json::Map::is_empty) {
            self.ledger.delete(Kind::RunReport, &progress)?;
            self.effects.is_change = true;
            return Ok(());
        }
        if report.to_string().len() > LONGEST_REPORT {
            return Err(ServiceError::invalid(format!("the report has more than {LONGEST_REPORT} bytes")));
        }
        let mut stored = Object::default();
        stored.set("id", progress.as_str());
        stored.set("agendaProgressId", progress);
        stored.set("report", report);
        Ok(self.store(Kind::RunReport, &mut stored)?)
    }

    /// Stores ends of logs; each replaces the one of its operation.
    pub fn put_logs(&mut self, fence: &str, logs: &[LogTail]) -> Result<(), ServiceError> {
        let progress = self.reporter(fence)?;
        if let Some(log) = logs.iter().find(|log| log.text.len() > LONGEST_LOG) {
            let name = &log.operation;
            return Err(ServiceError::invalid(format!(
                "the log of `{name}` has more than {LONGEST_LOG} bytes"
            )));
        }
        let known: BTreeSet<String> = self.logs_of(&progress)?.into_iter().collect();
        let mut count = known.len();
        for log in logs {
            let id = operation_id(&progress, &log.operation);
            if !known.contains(&id) {
                if count >= MOST_LOGS {
                    continue;
                }
                count += 1;
            }
            let mut stored = Object::default();
            stored.set("id", id);
            stored.set("agendaProgressId", progress.as_str());
            stored.set("operation", log.operation.as_str());
            stored.set("attempt", log.attempt);
            stored.set("text", log.text.as_str());
            stored.set("isCut", log.is_cut);
            self.store(Kind::OperationLog, &mut stored)?;
        }
        Ok(())
    }

    /// The last report of an executor about an agenda with its time; none if there is none.
    pub fn run_report(&mut self, agenda: &str) -> Result<Option<(Value, Millis)>, ServiceError> {
        let (_, work) = self.with_work(agenda)?;
        let report = self.ledger.object(Kind::RunReport, &work.progress)?;
        Ok(report.and_then(|mut report| {
            let time = report.updated();
            Some((report.0.remove("report")?, time))
        }))
    }

    /// The end of the log of an operation.
    pub fn operation_log(&mut self, agenda: &str, operation: &str) -> Result<Object, ServiceError> {
        let (_, work) = self.with_work(agenda)?;
        self.existing(Kind::OperationLog, &operation_id(&work.progress, operation))
    }

    /// Deletes report and logs of an agenda.
    pub(super) fn delete_run_report(&mut self, progress: &str) -> Result<(), ServiceError> {
        self.ledger.delete(Kind::RunReport, progress)?;
        for log in self.logs_of(progress)? {
            self.ledger.delete(Kind::OperationLog, &log)?;
        }
        Ok(())
    }

    /// Time of the last report of an executor, and the names of operations that have a log.
    pub(super) fn reported(&mut self, progress: &str) -> Result<(Option<Millis>, Vec<String>), ServiceError> {
        let report = self.ledger.of_progress(Kind::RunReport, progress)?;
        let prefix = operation_id(progress, "");
        let logs = self.logs_of(progress)?;
        let names = logs.iter().filter_map(|id| Some(id.strip_prefix(&prefix)?.to_owned()));
        Ok((report.first().map(|(_, time)| *time), names.collect()))
    }

    /// Ids of the logs of an agenda.
    fn logs_of(&mut self, progress: &str) -> Result<Vec<String>, ServiceError> {
        let logs = self.ledger.of_progress(Kind::OperationLog, progress)?;
        Ok(logs.into_iter().map(|(id, _)| id).collect())
    }

    /// Id of the progress of the executor with this lease. Its last report may come after the outcome, so the lease may
    /// be over. It must be the newest one.
    fn reporter(&mut self, fence: &str) -> Result<String, ServiceError> {
        let fence = Fence::parse(fence);
        let (_, work) = self.leased(fence)?;
        if fence.epoch != Some(work.epoch) {
            let why = "another puller has got the agenda, or it was cancelled";
            return Err(ServiceError::LeaseLost { agenda: work.agenda, why });
        }
        Ok(work.progress)
    }
}
