//! Performs the calls of the web pages.

use crate::audit::read_audit;
use crate::check::set_inputs;
use crate::clock::now;
use crate::desk::{Caller, Desk};
use crate::page_call::PageCall;
use crate::reply::{Refusal, Reply};
use crate::scope::Scope;
use crate::status_report::{cut, status_report};
use pop_service::{
    AgendaOverview, Object, RunFilter, RunOrder, RunRow, RunState, ServiceError, Work, WorkState,
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// Most bytes of a text in a list.
const LONGEST_TEXT: usize = 500;
/// Wait for a change if other processes use the same store: their changes are not announced here.
const SHARED_WAIT: Duration = Duration::from_secs(3);

impl Desk {
    /// Performs a call. `caller` is none for one on this machine that needs no token, or for one that has none yet.
    pub(crate) async fn perform_page(
        &self,
        call: PageCall,
        cid: &str,
        caller: Option<&Caller>,
        needs_token: bool,
    ) -> Result<Reply, Refusal> {
        let by = caller.map_or_else(|| "a caller on this machine".to_owned(), |caller| caller.name.clone());
        Ok(match call {
            PageCall::Session => Reply::Value(session(caller, needs_token)),
            PageCall::Runs(filter) => self.runs(filter).await?,
            PageCall::Queue { insight, customer, limit } => self.queue(insight, customer, limit).await?,
            PageCall::Overview(id) => {
                let overview = self.transact(move |service| service.overview(&id)).await?;
                Reply::Value(overview_value(overview))
            }
            PageCall::RunReport(id) => self.run_report(id).await?,
            PageCall::Log { agenda, operation } => {
                let read =
                    move |service: &mut pop_service::Service<'_>| service.operation_log(&agenda, &operation);
                Reply::Object(self.transact(read).await?, false)
            }
            PageCall::Cancel(id) => {
                self.transact(move |service| service.cancel(&id, &by)).await?;
                Reply::Done
            }
            PageCall::Reclaim(id) => {
                self.transact(move |service| service.reclaim(&id, &by)).await?;
                Reply::Done
            }
            PageCall::Changes { since, wait } => Reply::Value(self.wait_for_change(since, wait).await),
            PageCall::Audit { limit, before, without } => self.audit(limit, before, without).await?,
            PageCall::FromTemplate { template, inputs, payload, fields } => {
                self.fill_template(template, inputs, payload, fields, cid).await?
            }
            PageCall::PutReport { fence, report } => {
                self.transact(move |service| service.put_run_report(&fence, report.clone())).await?;
                Reply::Done
            }
            PageCall::PutLogs { fence, logs } => {
                self.transact(move |service| service.put_logs(&fence, &logs)).await?;
                Reply::Done
            }
        })
    }

    async fn runs(&self, filter: RunFilter) -> Result<Reply, ServiceError> {
        let limit = filter.limit as usize;
        let mut rows = self
            .transact(move |service| {
                // one more says whether another page follows
                service.runs(&RunFilter { limit: filter.limit + 1, ..filter.clone() })
            })
            .await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|row| row.place);
        let items: Vec<Value> = rows.iter().map(row_value).collect();
        Ok(Reply::Value(json!({"items": items, "next": next})))
    }

    async fn queue(
        &self,
        insight: Option<String>,
        customer: Option<String>,
        limit: u32,
    ) -> Result<Reply, ServiceError> {
        let (waiting, running, depth) = self
            .transact(move |service| {
                let filter = |state| RunFilter {
                    states: vec![state],
                    insight: insight.clone(),
                    customer: customer.clone(),
                    text: None,
                    order: RunOrder::Queue,
                    limit,
                };
                let waiting = service.runs(&filter(RunState::Waiting))?;
                let running = service.runs(&filter(RunState::Running))?;
                Ok((waiting, running, service.depth()?))
            })
            .await?;
        let rows = |rows: &[RunRow]| rows.iter().map(row_value).collect::<Vec<_>>();
        let depth: Vec<Value> = depth
            .iter()
            .map(|one| json!({"insightId": one.insight, "waiting": one.waiting, "leased": one.leased}))
            .collect();
        Ok(Reply::Value(json!({"queues": depth, "waiting": rows(&waiting), "running": rows(&running)})))
    }

    /// What the executor has reported; else what the progress of operations says.
    async fn run_report(&self, id: String) -> Result<Reply, ServiceError> {
        let (report, status) = self
            .transact(move |service| {
                let report = service.run_report(&id)?;
                let status = if report.is_none() { Some(service.operation_status(&id)?) } else { None };
                Ok((report, status))
            })
            .await?;
        let mut value = match (report, status) {
            (Some((report, time)), _) => json!({
                "source": "executor", "time": time, "ageMs": now().saturating_sub(time), "data": report,
            }),
            (None, Some((agenda, operations))) => {
                let time = now();
                json!({
                    "source": "progress", "time": time, "ageMs": 0,
                    "data": status_report(&agenda, &operations, time),
                })
            }
            (None, None) => Value::Null,
        };
        if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
            // an executor may not make the page follow another address
            data.remove("live");
        }
        Ok(Reply::Value(value))
    }

    /// Waits until something has changed since a version.
    async fn wait_for_change(&self, since: Option<u64>, wait: Duration) -> Value {
        let (mut activity, mut stop) = (self.activity(), self.stopped());
        let is_shared = self.is_shared();
        let wait = if is_shared { wait.min(SHARED_WAIT) } else { wait };
        let changed = async {
            activity.wait_for(|version| since.is_none_or(|since| since != *version)).await.map(drop).ok();
        };
        let is_stopped = async {
            stop.wait_for(|stop| *stop).await.map(drop).ok();
        };
        let is_changed = tokio::select! {
            ended = timeout(wait, changed) => ended.is_ok() || is_shared,
            () = is_stopped => false,
        };
        json!({"version": *activity.borrow(), "changed": is_changed})
    }

    async fn audit(&self, limit: usize, before: Option<u64>, without: Vec<String>) -> Result<Reply, Refusal> {
        let Some(path) = self.audit_path.clone() else {
            return Err(Refusal::new(404, "this service writes no audit log"));
        };
        let read = tokio::task::spawn_blocking(move || read_audit(&path, limit, before, &without)).await;
        let failed = |error: String| Refusal::new(500, format!("the audit log cannot be read: {error}"));
        let (items, next) =
            read.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        Ok(Reply::Value(json!({"items": items, "next": next})))
    }

    async fn fill_template(
        &self,
        template: String,
        inputs: Map<String, Value>,
        payload: Value,
        fields: Object,
        cid: &str,
    ) -> Result<Reply, Refusal> {
        let made = move |service: &mut pop_service::Service<'_>| service.instantiate(&template, &payload);
        let mut agenda = self.transact(made).await?;
        agenda.merge(fields);
        set_inputs(&mut agenda, inputs).map_err(Refusal::faulty)?;
        let faults = self.check.faults(&Value::Object(agenda.0.clone()).to_string());
        if !faults.errors.is_empty() {
            return Err(Refusal::faulty(faults));
        }
        Ok(Reply::Object(self.create_agenda(agenda, cid).await?, true))
    }
}

fn session(caller: Option<&Caller>, needs_token: bool) -> Value {
    let scopes: Vec<&str> = match caller {
        Some(caller) => caller.scopes.iter().map(|scope| scope.as_str()).collect(),
        None if needs_token => Vec::new(),
        None => vec![Scope::Admin.as_str()],
    };
    json!({
        "isSignedIn": caller.is_some() || !needs_token, "needsToken": needs_token,
        "name": caller.map(|caller| caller.name.as_str()), "scopes": scopes, "version": env!("CARGO_PKG_VERSION"),
    })
}

/// What a list shows of an agenda.
fn row_value(row: &RunRow) -> Value {
    let mut value = work_value(&row.work);
    for name in [
        "title",
        "linkId",
        "cid",
        "processingStateMessage",
        "percentComplete",
        "addedTime",
        "startedTime",
        "completedTime",
    ] {
        if let Some(known) = row.progress.0.get(name).filter(|known| !known.is_null()) {
            value[name] = match known {
                Value::String(text) => cut(text, LONGEST_TEXT).into(),
                other => other.clone(),
            };
        }
    }
    value
}

fn work_value(work: &Work) -> Value {
    let lease = match &work.state {
        WorkState::Leased(lease) => Some(json!({
            "puller": lease.puller, "until": lease.until, "isStarted": lease.is_started,
        })),
        _ => None,
    };
    json!({
        "agendaId": work.agenda, "progressId": work.progress, "insightId": work.insight, "customerId": work.customer,
        "state": RunState::of(work).word(), "priority": work.priority, "queuedTime": work.queued,
        "generation": work.generation, "attempts": work.attempts, "maximumAttempts": work.max_attempts,
        "lease": lease,
    })
}

fn overview_value(overview: AgendaOverview) -> Value {
    let AgendaOverview { agenda, operations, progress, work, ahead, report_time, logs } = overview;
    json!({
        "agenda": agenda.into_value(), "operations": operations, "progress": progress.into_value(),
        "work": work_value(&work), "ahead": ahead, "reportTime": report_time, "logs": logs,
    })
}
