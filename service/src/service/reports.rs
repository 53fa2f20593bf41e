//! Reports of executors.

use super::Service;
use crate::error::ServiceError;
use crate::object::{Field, Kind, Object, Query};
use crate::progress;
use crate::work::{Fence, Next, Report, WorkState};
use serde_json::Value;
use std::collections::HashMap;

impl Service<'_> {
    /// Takes a report about an agenda and its operations. The `id` carries the lease of the executor. The report of an
    /// agenda that is not to be run needs no lease.
    pub fn report(&mut self, mut report: Object) -> Result<(), ServiceError> {
        let id = report.text("id").map(str::to_owned);
        let id = id.ok_or_else(|| ServiceError::invalid("the progress has no `id`"))?;
        let fence = Fence::parse(&id);
        let (mut stored, mut work) = self.leased(fence)?;
        let kind = progress::report_of(&report);
        let is_final = kind != Report::Running;
        let next = match fence.epoch {
            None if work.state == WorkState::Parked => {
                let was_final = progress::report_of(&stored) != Report::Running;
                if is_final && !was_final {
                    work.attempts = work.attempts.saturating_add(1);
                }
                None
            }
            None => {
                let agenda = work.agenda.clone();
                return Err(ServiceError::LeaseLost { agenda, why: "the report names no lease" });
            }
            // the answer to the first one was lost
            Some(epoch) if is_final && matches!(work.state, WorkState::Ended(_)) && work.epoch == epoch => {
                return Ok(());
            }
            Some(epoch) => work.report(epoch, kind, self.now, self.rules.lease)?,
        };
        self.note_lease(&work);
        let operations = match report.0.remove("operationProgress") {
            Some(Value::Array(operations)) => operations,
            _ => Vec::new(),
        };
        self.report_operations(&stored, operations)?;
        progress::update_agenda(&mut stored, &report);
        stored.set("attemptsCompleted", work.attempts);
        match next {
            Some(Next::Requeue) => {
                progress::reset_agenda(&mut stored);
                self.queue_again(&work)?;
            }
            Some(Next::End) => {
                self.ledger.put_work(&work)?;
                self.announce_end(stored.clone())?;
            }
            None => self.ledger.put_work(&work)?,
        }
        self.store(Kind::AgendaProgress, &mut stored)?;
        Ok(())
    }

    /// Takes over the progress of operations; only those that changed are stored.
    fn report_operations(&mut self, agenda: &Object, reports: Vec<Value>) -> Result<(), ServiceError> {
        if reports.is_empty() {
            return Ok(());
        }
        let known = self.operations_of(agenda.id())?;
        let mut known: HashMap<String, Object> =
            known.into_iter().map(|one| (one.id().to_owned(), one)).collect();
        for report in reports.into_iter().filter_map(Object::of) {
            let Some(name) = report.text("operation") else { continue };
            let id = progress::operation_id(agenda.id(), name);
            let before = known.remove(&id);
            let mut stored = before.clone().unwrap_or_else(|| {
                let operation = serde_json::json!({"name": name});
                progress::of_operation(&operation, agenda).unwrap_or_default()
            });
            progress::update_operation(&mut stored, report);
            if before.as_ref() != Some(&stored) {
                self.store(Kind::OperationProgress, &mut stored)?;
            }
        }
        Ok(())
    }

    /// The progress of all agendas with a link id together.
    pub fn link_summary(&mut self, link: &str) -> Result<Value, ServiceError> {
        Ok(progress::summary(self.find(Kind::AgendaProgress, &Query::by(Field::LinkId, link))?))
    }
}
