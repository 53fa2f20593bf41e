//! Agendas: created, made from templates, extended, run again.

use super::{DEFAULT_CUSTOMER, Service};
use crate::error::ServiceError;
use crate::insight::select;
use crate::object::{Kind, Object};
use crate::progress;
use crate::rerun::{RerunEffect, RerunWords, Reset};
use crate::template::instantiate;
use crate::work::{Work, WorkState};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Param that keeps an agenda out of the queue.
const DO_NOT_RUN: &str = "doNotRun";
/// Param by which agendas of an insight are ordered, larger first.
const PRIORITY: &str = "priority";

/// A stored agenda with its progress.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatedAgenda {
    /// The agenda.
    pub agenda: Object,
    /// Id of its progress.
    pub progress: String,
}

impl Service<'_> {
    /// Stores an agenda and its progress, and queues it unless a param says `doNotRun`. The caller has checked its
    /// operations.
    pub fn create_agenda(&mut self, mut agenda: Object) -> Result<CreatedAgenda, ServiceError> {
        let problems = operation_problems(agenda.list("operations"), &BTreeSet::new());
        if agenda.list("operations").is_empty() {
            return Err(ServiceError::invalid("an agenda needs operations"));
        }
        if !problems.is_empty() {
            return Err(ServiceError::Invalid(problems));
        }
        let customer = agenda.text("customerId").unwrap_or(DEFAULT_CUSTOMER).to_owned();
        let owner = self.existing(Kind::Customer, &customer)?;
        let pool = owner.text("resourcePoolId").unwrap_or_default().to_owned();
        let insights = self.insights_of(&pool)?;
        let insight = select(&agenda, &insights, &customer).ok_or_else(|| {
            ServiceError::NoInsight(format!(
                "none of the {} insights of resource pool `{pool}` that customer `{customer}` may use has a mapper for it",
                insights.len()
            ))
        })?;
        let (id, progress_id) = (self.ids.id(), self.ids.id());
        agenda.set("id", id.as_str());
        agenda.set("customerId", customer.as_str());
        agenda.set("progressId", progress_id.as_str());
        agenda.set("agendaInsight", json!({"insightId": insight.id(), "resourcePoolId": pool}));
        let mut work = Work {
            agenda: id,
            progress: progress_id.clone(),
            insight: insight.id().to_owned(),
            customer,
            priority: agenda.param(PRIORITY).and_then(Value::as_i64).unwrap_or_default(),
            round: 0,
            sequence: 0,
            queued: self.now,
            state: WorkState::Parked,
            epoch: 0,
            generation: 0,
            attempts: 0,
            max_attempts: progress::maximum_attempts(&agenda),
            deliveries: 0,
        };
        self.store(Kind::Agenda, &mut agenda)?;
        let mut of_agenda = progress::of_agenda(&agenda, &progress_id);
        self.store(Kind::AgendaProgress, &mut of_agenda)?;
        self.store_operations(&of_agenda, agenda.list("operations"))?;
        if agenda.param(DO_NOT_RUN).is_some() {
            self.ledger.put_work(&work)?;
        } else {
            self.queue(&mut work)?;
        }
        Ok(CreatedAgenda { agenda, progress: progress_id })
    }

    fn store_operations(&mut self, progress: &Object, operations: &[Value]) -> Result<(), ServiceError> {
        for operation in operations {
            if let Some(mut made) = progress::of_operation(operation, progress) {
                self.store(Kind::OperationProgress, &mut made)?;
            }
        }
        Ok(())
    }

    /// Makes an agenda from a template and a payload, without storing it.
    pub fn instantiate(&mut self, template: &str, payload: &Value) -> Result<Object, ServiceError> {
        let template = self.existing(Kind::AgendaTemplate, template)?;
        let mut agenda = instantiate(&template, payload)?;
        for name in ["customerId", "cid"] {
            if agenda.text(name).is_none()
                && let Some(value) = template.0.get(name)
            {
                agenda.set(name, value.clone());
            }
        }
        Ok(agenda)
    }

    /// Adds operations to an agenda. One that the agenda has already, with the same content, is not added again.
    pub fn extend_agenda(&mut self, id: &str, operations: &[Value]) -> Result<Object, ServiceError> {
        let mut agenda = self.existing(Kind::Agenda, id)?;
        let known = agenda.list("operations").to_vec();
        let added: Vec<Value> = operations.iter().filter(|one| !known.contains(one)).cloned().collect();
        let names = known.iter().filter_map(lower_name).collect();
        let problems = operation_problems(&added, &names);
        if !problems.is_empty() {
            return Err(ServiceError::Invalid(problems));
        }
        let all: Vec<Value> = known.into_iter().chain(added.iter().cloned()).collect();
        agenda.set("operations", all);
        self.store(Kind::Agenda, &mut agenda)?;
        let progress = self.existing(Kind::AgendaProgress, agenda.text("progressId").unwrap_or_default())?;
        self.store_operations(&progress, &added)?;
        Ok(agenda)
    }

    /// Runs an agenda again. Operations that the words reset lose their outcome.
    pub fn rerun(&mut self, id: &str, words: &RerunWords) -> Result<(), ServiceError> {
        let mut agenda = self.existing(Kind::Agenda, id)?;
        let mut work = self.ledger.work(id)?.ok_or_else(|| ServiceError::not_found(Kind::Agenda, id))?;
        let effect = RerunEffect::of(&words.reset, agenda.list("operations"))?;
        if words.is_skipped || agenda.param(DO_NOT_RUN).is_some() {
            work.park()?;
            self.ledger.put_work(&work)?;
        } else {
            self.queue(&mut work)?;
        }
        if words.reset == Reset::All {
            work.attempts = 0;
            self.ledger.put_work(&work)?;
        }
        let id_of = |name: &String| progress::operation_id(&work.progress, name);
        for name in &effect.deleted {
            self.ledger.delete(Kind::OperationProgress, &id_of(name))?;
        }
        for name in &effect.reset {
            if let Some(mut operation) = self.ledger.object(Kind::OperationProgress, &id_of(name))? {
                progress::reset_operation(&mut operation);
                self.store(Kind::OperationProgress, &mut operation)?;
            }
        }
        if !effect.deleted.is_empty() {
            let is_kept = |one: &&Value| {
                !one.get("name").and_then(Value::as_str).is_some_and(|name| effect.deleted.contains(name))
            };
            let kept: Vec<Value> = agenda.list("operations").iter().filter(is_kept).cloned().collect();
            agenda.set("operations", kept);
            self.store(Kind::Agenda, &mut agenda)?;
        }
        // the new run has a report of its own
        self.delete_run_report(&work.progress)?;
        let mut of_agenda = self.existing(Kind::AgendaProgress, &work.progress)?;
        progress::reset_agenda(&mut of_agenda);
        of_agenda.set("attemptsCompleted", work.attempts);
        self.store(Kind::AgendaProgress, &mut of_agenda)?;
        Ok(())
    }
}

fn lower_name(operation: &Value) -> Option<String> {
    operation.get("name")?.as_str().map(str::to_lowercase)
}

/// Problems of operations beside others with these names, in lower case.
fn operation_problems(operations: &[Value], others: &BTreeSet<String>) -> Vec<String> {
    let mut names = others.clone();
    let mut problems = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        match lower_name(operation).filter(|name| !name.is_empty()) {
            None => problems.push(format!("operation {index} has no name")),
            Some(name) if !names.insert(name.clone()) => {
                problems.push(format!("the operation name `{name}` is not unique"));
            }
            Some(_) => {}
        }
    }
    problems
}
