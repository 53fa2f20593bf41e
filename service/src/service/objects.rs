//! Objects: read, find, create, update, delete.

use super::{Service, problems, webhooks};
use crate::error::ServiceError;
use crate::object::{Field, Kind, Object, Query};
use crate::work::Fence;
use serde_json::{Value, json};

impl Service<'_> {
    /// An object. The progress of an agenda comes with that of its operations; a resource pool with its insights.
    pub fn read(&mut self, kind: Kind, id: &str) -> Result<Object, ServiceError> {
        let id = if kind == Kind::AgendaProgress { Fence::parse(id).progress } else { id };
        let object = self.existing(kind, id)?;
        self.complete(kind, object)
    }

    /// Objects that match a query.
    pub fn find(&mut self, kind: Kind, query: &Query) -> Result<Vec<Object>, ServiceError> {
        let found = self.ledger.find(kind, query)?;
        found.into_iter().map(|object| self.complete(kind, object)).collect()
    }

    /// Adds what stands in other objects.
    fn complete(&mut self, kind: Kind, mut object: Object) -> Result<Object, ServiceError> {
        match kind {
            Kind::AgendaProgress => {
                let operations = self.operations_of(object.id())?;
                let values: Vec<Value> = operations.into_iter().map(Object::into_value).collect();
                object.set("operationProgress", values);
            }
            Kind::Webhook => webhooks::hide_secret(&mut object),
            Kind::ResourcePool => {
                let insights = self.insights_of(object.id())?;
                let ids: Vec<Value> = insights.iter().map(|insight| json!(insight.id())).collect();
                object.set("insightIds", ids);
            }
            _ => {}
        }
        Ok(object)
    }

    /// Progress of the operations of an agenda, in the order of the agenda.
    pub(super) fn operations_of(&mut self, progress: &str) -> Result<Vec<Object>, ServiceError> {
        Ok(self.ledger.find(Kind::OperationProgress, &Query::by(Field::AgendaProgressId, progress))?)
    }

    pub(super) fn insights_of(&mut self, pool: &str) -> Result<Vec<Object>, ServiceError> {
        Ok(self.ledger.find(Kind::Insight, &Query::by(Field::ResourcePoolId, pool))?)
    }

    /// Stores a new object that is not an agenda. One without an id gets one.
    pub fn create(&mut self, kind: Kind, mut object: Object) -> Result<Object, ServiceError> {
        if object.id().is_empty() {
            let id = self.ids.id();
            object.set("id", id);
        } else if self.ledger.object(kind, object.id())?.is_some() {
            let message = format!("there is a {} `{}` already", kind.name(), object.id());
            return Err(ServiceError::Conflict(message));
        }
        self.checked(kind, &mut object)?;
        self.store_checked(kind, object)
    }

    /// Stores an object, and returns it as it is shown.
    fn store_checked(&mut self, kind: Kind, mut object: Object) -> Result<Object, ServiceError> {
        if kind == Kind::Schedule {
            self.plan(&mut object)?;
        }
        self.store(kind, &mut object)?;
        self.complete(kind, object)
    }

    /// Updates the fields of an object that `update` has; null leaves a field as it is.
    pub fn update(&mut self, kind: Kind, id: &str, update: Object) -> Result<Object, ServiceError> {
        if kind == Kind::AgendaProgress {
            let mut report = update;
            report.set("id", id);
            self.report(report)?;
            return self.read(kind, id);
        }
        let mut object = self.existing(kind, id)?;
        if kind == Kind::Agenda && self.ledger.work(id)?.is_some_and(|work| work.is_leased()) {
            return Err(ServiceError::Conflict(format!(
                "agenda `{id}` is running; update it when it has ended"
            )));
        }
        object.merge(update);
        self.checked(kind, &mut object)?;
        self.store_checked(kind, object)
    }

    fn checked(&mut self, kind: Kind, object: &mut Object) -> Result<(), ServiceError> {
        let lower = |id: &Value| id.as_str().map_or(id.clone(), |id| json!(id.to_lowercase()));
        if let Some(Value::Array(ids)) = object.0.get("allowedCustomerIds") {
            let ids: Vec<Value> = ids.iter().map(lower).collect();
            object.set("allowedCustomerIds", ids);
        }
        let mut problems = problems(kind, object, self.calendar);
        let pool = object.text("resourcePoolId");
        if let (Kind::Insight | Kind::Customer, Some(pool)) = (kind, pool)
            && self.ledger.object(Kind::ResourcePool, pool)?.is_none()
        {
            problems.push(format!("there is no resource pool `{pool}`"));
        }
        if kind == Kind::Schedule
            && let Some(template) = object.text("agendaTemplateId")
            && self.ledger.object(Kind::AgendaTemplate, template)?.is_none()
        {
            problems.push(format!("there is no agenda template `{template}`"));
        }
        if problems.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(problems)) }
    }

    /// Deletes an object. An agenda goes with its progress; it must not be running.
    pub fn delete(&mut self, kind: Kind, id: &str) -> Result<(), ServiceError> {
        self.effects.is_change = true;
        if !self.ledger.delete(kind, id)? {
            return Err(ServiceError::not_found(kind, id));
        }
        if matches!(kind, Kind::Schedule | Kind::Delivery) {
            self.ledger.set_timer(kind, id, None)?;
        }
        if kind == Kind::Agenda
            && let Some(work) = self.ledger.work(id)?
        {
            if work.is_leased() {
                let message = format!("agenda `{id}` is running; delete it when it has ended");
                return Err(ServiceError::Conflict(message));
            }
            for operation in self.operations_of(&work.progress)? {
                self.ledger.delete(Kind::OperationProgress, operation.id())?;
            }
            self.ledger.delete(Kind::AgendaProgress, &work.progress)?;
            self.delete_run_report(&work.progress)?;
            self.ledger.delete_work(id)?;
        }
        Ok(())
    }

    /// Deletes agendas that ended before `before`, at most `limit`, and returns their ids.
    pub fn reap(&mut self, before: u64, limit: u32, is_dry: bool) -> Result<Vec<String>, ServiceError> {
        let mut reaped = Vec::new();
        for progress in self.ledger.old(Kind::AgendaProgress, crate::COMPLETE, before, limit)? {
            let agenda = self.existing(Kind::AgendaProgress, &progress)?;
            let agenda = agenda.text("agendaId").unwrap_or_default().to_owned();
            let is_over = self.ledger.work(&agenda)?.is_none_or(|work| {
                matches!(work.state, crate::WorkState::Ended(_) | crate::WorkState::Parked)
            });
            if is_over {
                if !is_dry {
                    self.delete(Kind::Agenda, &agenda)?;
                }
                reaped.push(agenda);
            }
        }
        Ok(reaped)
    }
}
