//! What people look at and decide: lists of agendas, one agenda, cancel and reclaim.

use super::Service;
use crate::error::ServiceError;
use crate::ledger::QueueDepth;
use crate::object::{Kind, Object};
use crate::progress;
use crate::references::dependencies;
use crate::run_list::{RunFilter, RunOrder, RunRow, RunState};
use crate::work::{Next, Work};
use pop_contract::Millis;
use serde_json::Value;
use std::collections::HashMap;

/// Most waiting agendas that are counted to find the place of one.
const MOST_AHEAD: u32 = 1_000;

/// An agenda as a page shows it, without its operations.
#[derive(Debug, Clone, PartialEq)]
pub struct AgendaOverview {
    /// The agenda without `operations`.
    pub agenda: Object,
    /// Number of operations.
    pub operations: usize,
    /// The progress, without that of operations.
    pub progress: Object,
    /// The work.
    pub work: Work,
    /// Number of agendas of the insight that are given out earlier; none if it does not wait, or if 1,000 or more are.
    pub ahead: Option<usize>,
    /// Time of the last report of an executor, in epoch milliseconds.
    pub report_time: Option<Millis>,
    /// Operations of which the service has a log.
    pub logs: Vec<String>,
}

/// An operation with its progress and the operations that it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationStatus {
    /// The operation as the agenda has it; empty for one that only the progress has.
    pub operation: Value,
    /// Its progress.
    pub progress: Object,
    /// Names of the operations that it waits for.
    pub depends_on: Vec<String>,
}

impl Service<'_> {
    /// Agendas for a list.
    pub fn runs(&mut self, filter: &RunFilter) -> Result<Vec<RunRow>, ServiceError> {
        Ok(self.ledger.runs(filter)?)
    }

    /// How many agendas of each insight wait and run.
    pub fn depth(&mut self) -> Result<Vec<QueueDepth>, ServiceError> {
        Ok(self.ledger.depth()?)
    }

    /// An agenda as a page shows it.
    pub fn overview(&mut self, id: &str) -> Result<AgendaOverview, ServiceError> {
        let (mut agenda, work) = self.with_work(id)?;
        let progress = self.existing(Kind::AgendaProgress, &work.progress)?;
        let operations = agenda.list("operations").len();
        agenda.0.remove("operations");
        let ahead = if RunState::of(&work) == RunState::Waiting {
            let filter = RunFilter {
                states: vec![RunState::Waiting],
                insight: Some(work.insight.clone()),
                order: RunOrder::Queue,
                limit: MOST_AHEAD,
                ..RunFilter::default()
            };
            self.ledger.runs(&filter)?.iter().position(|row| row.work.agenda == work.agenda)
        } else {
            None
        };
        let (report_time, logs) = self.reported(&work.progress)?;
        Ok(AgendaOverview { agenda, operations, progress, work, ahead, report_time, logs })
    }

    /// The operations of an agenda, as executors have reported them.
    pub fn operation_status(&mut self, id: &str) -> Result<(Object, Vec<OperationStatus>), ServiceError> {
        let (agenda, work) = self.with_work(id)?;
        let of_agenda = self.existing(Kind::AgendaProgress, &work.progress)?;
        let operations = self.operations_of(&work.progress)?;
        let by_name: HashMap<&str, &Value> = agenda
            .list("operations")
            .iter()
            .filter_map(|one| Some((one.get("name")?.as_str()?, one)))
            .collect();
        let status = operations.into_iter().map(|progress| {
            let operation = by_name.get(progress.text("operation").unwrap_or_default()).copied();
            let depends_on = operation.map(dependencies).unwrap_or_default().into_iter().collect();
            OperationStatus { operation: operation.cloned().unwrap_or_default(), progress, depends_on }
        });
        Ok((of_agenda, status.collect()))
    }

    /// Ends an agenda that has no outcome yet. An executor that runs it is stopped when it, or its puller, reports next.
    pub fn cancel(&mut self, id: &str, by: &str) -> Result<(), ServiceError> {
        let (_, mut work) = self.with_work(id)?;
        work.cancel()?;
        self.ledger.put_work(&work)?;
        for mut operation in self.operations_of(&work.progress)? {
            if operation.text("processingState") == Some(progress::EXECUTING) {
                progress::cancel(&mut operation, self.now);
                self.store(Kind::OperationProgress, &mut operation)?;
            }
        }
        let mut of_agenda = self.existing(Kind::AgendaProgress, &work.progress)?;
        progress::cancel(&mut of_agenda, self.now);
        let message = format!("cancelled by {by}");
        progress::add_diagnostic(&mut of_agenda, &message, progress::CANCELLED, self.now);
        self.store(Kind::AgendaProgress, &mut of_agenda)?;
        self.announce_end(of_agenda)
    }

    /// Takes an agenda away from the puller that has it. It waits again, or fails if no attempt is left.
    pub fn reclaim(&mut self, id: &str, by: &str) -> Result<(), ServiceError> {
        let (_, mut work) = self.with_work(id)?;
        let before = work.attempts;
        let next = work.reclaim()?;
        self.settle_loss(&work, before, next, &format!("the lease was taken back by {by}"))
    }

    /// An agenda and its work.
    pub(super) fn with_work(&mut self, id: &str) -> Result<(Object, Work), ServiceError> {
        let agenda = self.existing(Kind::Agenda, id)?;
        let work = self.ledger.work(id)?.ok_or_else(|| ServiceError::not_found(Kind::Agenda, id))?;
        Ok((agenda, work))
    }

    /// Stores what follows from a lost attempt.
    pub(super) fn settle_loss(
        &mut self,
        work: &Work,
        attempts_before: u32,
        next: Next,
        why: &str,
    ) -> Result<(), ServiceError> {
        let mut of_agenda = self.existing(Kind::AgendaProgress, &work.progress)?;
        if work.attempts > attempts_before {
            progress::add_lost(&mut of_agenda, why, self.now);
            of_agenda.set("attemptsCompleted", work.attempts);
        }
        match next {
            Next::Requeue => {
                self.queue_again(work)?;
                progress::reset_agenda(&mut of_agenda);
                self.store(Kind::AgendaProgress, &mut of_agenda)?;
            }
            Next::End => {
                self.ledger.put_work(work)?;
                progress::fail(&mut of_agenda, self.now);
                self.store(Kind::AgendaProgress, &mut of_agenda)?;
                self.announce_end(of_agenda)?;
            }
        }
        Ok(())
    }
}
