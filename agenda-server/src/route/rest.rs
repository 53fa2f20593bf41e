//! The REST interface (openapi.json).

use super::{Interface, NoCall, Request, list, pull, query, text, words};
use crate::call::Call;
use crate::scope::Scope;
use pop_service::{Kind, Loss, Object, ServiceError};
use serde_json::{Map, Value};
use std::time::Duration;

/// Agendas that one request deletes at most.
const REAP_LIMIT: u32 = 1_000;

fn kind(collection: &str) -> Option<Kind> {
    Some(match collection {
        "agendas" => Kind::Agenda,
        "agenda-templates" => Kind::AgendaTemplate,
        "agenda-progress" => Kind::AgendaProgress,
        "operation-progress" => Kind::OperationProgress,
        "resource-pools" => Kind::ResourcePool,
        "insights" => Kind::Insight,
        "customers" => Kind::Customer,
        "schedules" => Kind::Schedule,
        "webhooks" => Kind::Webhook,
        "deliveries" => Kind::Delivery,
        _ => return None,
    })
}

pub(super) fn call(request: &Request, path: &[&str]) -> Result<Call, NoCall> {
    if let Some(call) = super::pages::call(request, path) {
        return call;
    }
    let method = request.method.as_str();
    let (allowed, call): (&'static str, Option<Call>) = match path {
        ["status"] => ("GET", (method == "GET").then_some(Call::Status)),
        ["check"] => ("POST", (method == "POST").then(|| Call::Check(request.body.clone()))),
        ["links", link] => ("GET", (method == "GET").then(|| Call::Summary((*link).to_owned()))),
        ["reap"] => ("POST", post(request, |body| reap(&body))?),
        ["tokens"] if method == "GET" => ("GET", Some(Call::Tokens)),
        ["tokens"] => ("GET, POST", post(request, issue_token)?),
        ["tokens", id] => ("DELETE", (method == "DELETE").then(|| Call::RevokeToken((*id).to_owned()))),
        ["agendas", id, "rerun"] => (
            "POST",
            post(request, |mut body| {
                Ok(Call::Rerun {
                    agenda: (*id).to_owned(),
                    words: words(&mut body, "words", Interface::Rest)?,
                })
            })?,
        ),
        ["agendas", id, "operations"] => (
            "POST",
            post(request, |mut body| {
                Ok(Call::Extend { agenda: (*id).to_owned(), operations: list(&mut body, "operations")? })
            })?,
        ),
        ["agenda-templates", id, "run"] => (
            "POST",
            post(request, |body| {
                Ok(Call::RunTemplate { template: (*id).to_owned(), payload: Value::Object(body) })
            })?,
        ),
        ["insights", id, "pull"] => (
            "POST",
            post(request, |body| {
                let (request, wait) = pull((*id).to_owned(), &body);
                Ok(Call::Pull(request, wait))
            })?,
        ),
        ["leases", fence, "renew"] => ("POST", (method == "POST").then(|| Call::Renew((*fence).to_owned()))),
        ["leases", fence, "return"] => ("POST", post(request, |body| give_back(fence, &body))?),
        ["leases", fence, "progress"] => (
            "POST",
            post(request, |body| {
                let mut report = Object(body);
                report.set("id", *fence);
                Ok(Call::Report(report))
            })?,
        ),
        [collection] => match kind(collection) {
            Some(kind) if is_made_here(kind) => ("GET", of_kind(request, kind)?),
            Some(kind) => ("GET, POST", of_kind(request, kind)?),
            None => return Err(NoCall::Unknown),
        },
        [collection, id] => match kind(collection) {
            Some(kind @ Kind::Delivery) => ("GET, DELETE", of_object(request, kind, id)?),
            Some(kind) => ("GET, PUT, DELETE", of_object(request, kind, id)?),
            None => return Err(NoCall::Unknown),
        },
        _ => return Err(NoCall::Unknown),
    };
    call.ok_or(NoCall::Method(allowed))
}

/// The call of a POST; none for another method. No body is an empty map.
fn post(
    request: &Request,
    call: impl FnOnce(Map<String, Value>) -> Result<Call, ServiceError>,
) -> Result<Option<Call>, NoCall> {
    if request.method != "POST" {
        return Ok(None);
    }
    Ok(Some(call(request.map_or_empty()?)?))
}

/// Whether only the service makes objects of a kind.
fn is_made_here(kind: Kind) -> bool {
    matches!(kind, Kind::AgendaProgress | Kind::OperationProgress | Kind::Delivery)
}

fn of_kind(request: &Request, kind: Kind) -> Result<Option<Call>, NoCall> {
    Ok(match request.method.as_str() {
        "GET" => {
            let (query, view) = query(&request.query, Interface::Rest)?;
            Some(Call::Find(kind, query, view))
        }
        "POST" if is_made_here(kind) => None,
        "POST" => Some(Call::Create(kind, request.object()?, request.body.clone())),
        _ => None,
    })
}

fn of_object(request: &Request, kind: Kind, id: &str) -> Result<Option<Call>, NoCall> {
    Ok(match request.method.as_str() {
        "GET" => Some(Call::Read(kind, id.to_owned())),
        "PUT" if kind == Kind::Delivery => None,
        "PUT" => Some(Call::Update(kind, id.to_owned(), request.object()?)),
        "DELETE" => Some(Call::Delete(kind, id.to_owned())),
        _ => None,
    })
}

fn give_back(fence: &str, body: &Map<String, Value>) -> Result<Call, ServiceError> {
    let loss = match body.get("lost") {
        None | Some(Value::Null) => Loss::HandedBack,
        Some(Value::String(why)) => Loss::ExecutorLost(why.clone()),
        Some(_) => return Err(ServiceError::invalid("`lost` must be a text: why the executor is lost")),
    };
    Ok(Call::GiveBack(fence.to_owned(), loss))
}

fn reap(body: &Map<String, Value>) -> Result<Call, ServiceError> {
    let minutes = body.get("ageMinutes").and_then(Value::as_u64);
    let minutes = minutes.ok_or_else(|| ServiceError::invalid("`ageMinutes` must be a whole number"))?;
    let limit = match body.get("limit") {
        None | Some(Value::Null) => REAP_LIMIT,
        Some(limit) => {
            let limit = limit.as_u64().and_then(|limit| u32::try_from(limit).ok());
            limit.ok_or_else(|| ServiceError::invalid("`limit` must be a whole number"))?
        }
    };
    let is_dry = match body.get("dryRun") {
        None | Some(Value::Null) => false,
        Some(is_dry) => {
            is_dry.as_bool().ok_or_else(|| ServiceError::invalid("`dryRun` must be true or false"))?
        }
    };
    let age = Duration::from_secs(minutes.saturating_mul(60));
    Ok(Call::Reap { age, limit: limit.min(REAP_LIMIT), is_dry })
}

fn issue_token(mut body: Map<String, Value>) -> Result<Call, ServiceError> {
    let scopes = list(&mut body, "scopes")?;
    let scopes = scopes.iter().map(|scope| scope.as_str().unwrap_or_default().parse::<Scope>());
    let scopes: Result<Vec<Scope>, _> = scopes.collect();
    let scopes = scopes.map_err(|error| ServiceError::invalid(error.to_string()))?;
    if scopes.is_empty() {
        return Err(ServiceError::invalid("`scopes` must be a list of submit, pull, read, admin"));
    }
    Ok(Call::IssueToken { name: text(&body, "name")?, scopes })
}
