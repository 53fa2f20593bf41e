//! Results of calls as JSON, in the form of each interface.

use crate::check::Faults;
use crate::route::Interface;
use pop_service::{Object, PulledAgenda, ServiceError};
use serde_json::{Value, json};

/// Problems that an error lists at most.
const MOST_PROBLEMS: usize = 10;

/// The result of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// One object; true if it is new.
    Object(Object, bool),
    /// Objects, perhaps with a few fields only.
    Objects(Vec<Object>, Vec<String>),
    /// The number of objects.
    Count(usize),
    /// New agendas, and problems of those that were not stored.
    Agendas(Vec<Object>, Vec<String>),
    /// Agendas with leases.
    Pulled(Vec<PulledAgenda>),
    /// Another value.
    Value(Value),
    /// Success without a value.
    Done,
}

/// A refused request: HTTP status, words, and faults of an agenda.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) detail: String,
    pub(crate) faults: Vec<Value>,
    /// Header with its value.
    pub(crate) header: Option<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), faults: Vec::new(), header: None }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    /// An agenda with faults.
    pub(crate) fn faulty(faults: Faults) -> Self {
        Self { faults: faults.list, ..ServiceError::Invalid(faults.errors).into() }
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        let status = match &error {
            ServiceError::BadRequest(_) => 400,
            ServiceError::NotFound { .. } | ServiceError::NoInsight(_) => 404,
            ServiceError::Invalid(_) => 422,
            ServiceError::Conflict(_) => 409,
            ServiceError::LeaseLost { .. } => 410,
            ServiceError::Ledger(error) if error.is_temporary => 503,
            ServiceError::Ledger(_) => 500,
        };
        let detail = match &error {
            ServiceError::Invalid(problems) if problems.len() > MOST_PROBLEMS => {
                let more = problems.len() - MOST_PROBLEMS;
                format!("{}; and {more} more problems", problems[..MOST_PROBLEMS].join("; "))
            }
            error => error.to_string(),
        };
        Self::new(status, detail)
    }
}

/// Names of HTTP statuses.
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad request",
        401 => "Token missing or unknown",
        403 => "Forbidden",
        404 => "Not found",
        405 => "Method not allowed",
        408 => "Request timeout",
        409 => "Conflict",
        410 => "Lease lost",
        413 => "Body too large",
        415 => "Body is not JSON",
        422 => "Invalid content",
        429 => "Too many requests",
        503 => "Unavailable",
        _ => "Internal error",
    }
}

/// Status and body of a result.
pub(crate) fn render(interface: Interface, result: Result<Reply, Refusal>, cid: &str) -> (u16, Value) {
    match (interface, result) {
        (Interface::Pop, Ok(reply)) => (200, pop(reply, cid)),
        (Interface::Pop, Err(refusal)) => (refusal.status, pop_error(refusal, cid)),
        (Interface::Rest, Ok(reply)) => rest(reply),
        (Interface::Rest, Err(refusal)) => {
            let mut body = json!({
                "type": "about:blank", "title": title(refusal.status), "status": refusal.status,
                "detail": refusal.detail, "cid": cid,
            });
            if !refusal.faults.is_empty() {
                body["faults"] = refusal.faults.into();
            }
            (refusal.status, body)
        }
    }
}

fn pop_error(refusal: Refusal, cid: &str) -> Value {
    let Refusal { status, detail, faults, .. } = refusal;
    let mut error = json!({
        "title": title(status), "description": detail, "responseCode": status, "correlationId": cid,
    });
    if !faults.is_empty() {
        error["faults"] = faults.into();
    }
    json!({"errorResponse": error, "cid": cid})
}

fn values(objects: Vec<Object>, fields: &[String]) -> Vec<Value> {
    let kept = |mut object: Object| {
        if !fields.is_empty() {
            object.0.retain(|name, _| fields.contains(name));
        }
        // nulls are not sent
        object.0.retain(|_, value| !value.is_null());
        object.into_value()
    };
    objects.into_iter().map(kept).collect()
}

fn pop(reply: Reply, cid: &str) -> Value {
    match reply {
        Reply::Object(object, _) => json!({"all": values(vec![object], &[]), "count": 1, "cid": cid}),
        Reply::Objects(objects, fields) => {
            json!({"count": objects.len(), "all": values(objects, &fields), "cid": cid})
        }
        Reply::Count(count) => json!({"all": [], "count": count, "cid": cid}),
        Reply::Agendas(agendas, problems) => {
            let agendas = values(agendas, &[]);
            let mut body = json!({"agendas": agendas, "all": agendas, "count": agendas.len(), "cid": cid});
            if !problems.is_empty() {
                let refusal = Refusal::from(ServiceError::Invalid(problems));
                body["errorResponse"] = pop_error(refusal, cid)["errorResponse"].take();
            }
            body
        }
        Reply::Pulled(pulled) => {
            let leases: Vec<Value> = pulled.iter().map(lease).collect();
            let progresses: Vec<Value> =
                pulled.iter().filter_map(|one| one.progress.clone()).map(Object::into_value).collect();
            let agendas = values(pulled.into_iter().map(|one| one.agenda).collect(), &[]);
            json!({"agendas": agendas, "all": agendas, "agendaProgresses": progresses, "leases": leases, "cid": cid})
        }
        Reply::Value(Value::Object(mut map)) => {
            map.insert("cid".to_owned(), cid.into());
            Value::Object(map)
        }
        Reply::Value(other) => other,
        Reply::Done => json!({"cid": cid}),
    }
}

fn lease(pulled: &PulledAgenda) -> Value {
    json!({
        "agendaId": pulled.agenda.id(), "progressId": pulled.agenda.text("progressId"),
        "generation": pulled.generation, "leaseMs": pulled.lease,
    })
}

fn rest(reply: Reply) -> (u16, Value) {
    match reply {
        Reply::Object(object, is_new) => {
            let object = values(vec![object], &[]).pop().unwrap_or_default();
            (if is_new { 201 } else { 200 }, object)
        }
        Reply::Objects(objects, fields) => {
            (200, json!({"count": objects.len(), "items": values(objects, &fields)}))
        }
        Reply::Count(count) => (200, json!({"count": count})),
        Reply::Agendas(agendas, _) => (201, json!({"items": values(agendas, &[])})),
        Reply::Pulled(pulled) => {
            let items: Vec<Value> = pulled
                .into_iter()
                .map(|one| {
                    let mut item = lease(&one);
                    item["agenda"] = one.agenda.into_value();
                    item["progress"] = one.progress.map(Object::into_value).unwrap_or_default();
                    item
                })
                .collect();
            (200, json!({"items": items}))
        }
        Reply::Value(value) => (200, value),
        Reply::Done => (200, json!({})),
    }
}
