//! POP's paths: existing pullers, executors and clients use them.

use super::{Interface, NoCall, Request, list, pull, query, text, words};
use crate::call::Call;
use pop_service::{Kind, Object, ServiceError};
use serde_json::Value;

pub(super) fn call(request: &Request, path: &[&str]) -> Result<Call, NoCall> {
    // pullers know the address of this service only
    if let ["resourcepool", "service", lease @ ..] = path
        && lease.first() == Some(&"leases")
    {
        return super::rest::call(request, lease);
    }
    let services = ["agenda", "resourcepool", "progress/agenda"];
    for of in services {
        let below: Vec<&str> = of.split('/').chain(std::iter::once("service")).collect();
        if let Some(name) = path.strip_prefix(below.as_slice()) {
            return service(request, of, name);
        }
    }
    let kind = |path: &[&str]| Kind::ALL.into_iter().find(|kind| kind.path() == path.join("/"));
    if let Some(kind) = kind(path) {
        return objects(request, kind);
    }
    match path.split_last() {
        Some((id, of)) => kind(of).map_or(Err(NoCall::Unknown), |kind| object(request, kind, id)),
        None => Err(NoCall::Unknown),
    }
}

fn objects(request: &Request, kind: Kind) -> Result<Call, NoCall> {
    match request.method.as_str() {
        "GET" => {
            let is_id = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("byId");
            if let Some((_, id)) = request.query.iter().find(is_id) {
                return Ok(Call::Read(kind, id.clone()));
            }
            let (query, view) = query(&request.query, Interface::Pop)?;
            Ok(Call::Find(kind, query, view))
        }
        "POST" => Ok(Call::Create(kind, request.object()?, request.body.clone())),
        _ => Err(NoCall::Method("GET, POST")),
    }
}

fn object(request: &Request, kind: Kind, id: &str) -> Result<Call, NoCall> {
    let id = id.to_owned();
    match request.method.as_str() {
        "GET" => Ok(Call::Read(kind, id)),
        "PUT" => Ok(Call::Update(kind, id, request.object()?)),
        "DELETE" => Ok(Call::Delete(kind, id)),
        _ => Err(NoCall::Method("GET, PUT, DELETE")),
    }
}

fn service(request: &Request, of: &str, name: &[&str]) -> Result<Call, NoCall> {
    let known = matches!(
        (of, name),
        ("agenda", ["run" | "rerun"])
            | ("resourcepool", ["getAgenda" | "createAgenda" | "updateAgenda" | "updateAgendaProgress"])
            | ("progress/agenda", [])
    );
    if !known {
        return Err(NoCall::Unknown);
    }
    if request.method != "POST" {
        return Err(NoCall::Method("POST"));
    }
    let mut body = request.map()?;
    let objects = |values: Vec<Value>, name: &str| {
        let objects: Option<Vec<Object>> = values.into_iter().map(Object::of).collect();
        objects.ok_or_else(|| ServiceError::invalid(format!("`{name}` must be a list of maps")))
    };
    Ok(match (of, name) {
        ("agenda", ["run"]) => {
            let payload = match body.get("payload") {
                Some(Value::String(text)) => serde_json::from_str(text).map_err(|error| {
                    ServiceError::invalid(format!("`payload` is not a JSON text: {error}"))
                })?,
                Some(other) => other.clone(),
                None => return Err(ServiceError::invalid("`payload` is missing").into()),
            };
            Call::RunTemplate { template: text(&body, "agendaTemplateId")?, payload }
        }
        ("agenda", _) => Call::Rerun {
            agenda: text(&body, "agendaId")?,
            words: words(&mut body, "params", Interface::Pop)?,
        },
        (_, ["getAgenda"]) => {
            let insight = text(&body, "insightId")?;
            let (request, wait) = pull(insight, &body);
            Call::Pull(request, wait)
        }
        (_, ["createAgenda"]) => Call::CreateAgendas(objects(list(&mut body, "agendas")?, "agendas")?),
        (_, ["updateAgenda"]) => {
            let agenda = text(&body, "agendaId")?;
            Call::Extend { agenda, operations: list(&mut body, "operations")? }
        }
        (_, ["updateAgendaProgress"]) => match body.remove("agendaProgress").and_then(Object::of) {
            Some(progress) => Call::Report(progress),
            None => return Err(ServiceError::invalid("`agendaProgress` is missing").into()),
        },
        _ => Call::Summary(text(&body, "linkId")?),
    })
}
