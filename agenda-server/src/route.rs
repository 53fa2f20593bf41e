//! Requests become calls. Pure: method, path, query and body in, call or refusal out.

mod pages;
mod pop;
mod rest;

use crate::call::Call;
use pop_document::{Fault, PlacedFault, Source};
use pop_service::{COMPLETE, EXECUTING, Object, RerunWords, ServiceError, WAITING};
use serde_json::{Map, Value};

/// Longest wait of a request for agendas, in milliseconds.
const LONGEST_WAIT_MS: u64 = 60_000;

/// The two interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interface {
    /// POP's paths below `/pop`: objects in `all`, errors in `errorResponse`.
    Pop,
    /// REST below `/v1`: plain objects, errors as problem details.
    Rest,
}

impl Interface {
    /// The interface to which a path belongs.
    pub(crate) fn of(path: &str) -> Self {
        match path.split('/').find(|part| !part.is_empty()) {
            Some("pop") => Self::Pop,
            _ => Self::Rest,
        }
    }
}

/// A request, without its connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// Method, in capital letters.
    pub(crate) method: String,
    /// Path, decoded.
    pub(crate) path: String,
    /// Query parameters, decoded.
    pub(crate) query: Vec<(String, String)>,
    /// Body.
    pub(crate) body: String,
    /// Whether the body is YAML, which the REST interface reads like JSON.
    pub(crate) is_yaml: bool,
}

/// Why a request is no call.
#[derive(Debug)]
pub(crate) enum NoCall {
    /// There is nothing at the path.
    Unknown,
    /// The path has other methods.
    Method(&'static str),
    /// The request is wrong.
    Refused(ServiceError),
}

impl From<ServiceError> for NoCall {
    fn from(error: ServiceError) -> Self {
        Self::Refused(error)
    }
}

/// The call of a request.
pub(crate) fn call(request: &Request) -> Result<Call, NoCall> {
    let path: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    match path.as_slice() {
        ["pop", rest @ ..] => pop::call(request, rest),
        ["v1", rest @ ..] => rest::call(request, rest),
        ["healthz" | "healthcheck" | "openapi.json"] if request.method != "GET" => Err(NoCall::Method("GET")),
        ["healthz" | "healthcheck"] => Ok(Call::Health),
        ["openapi.json"] => Ok(Call::OpenApi),
        _ => Err(NoCall::Unknown),
    }
}

impl Request {
    /// The body as a map.
    fn map(&self) -> Result<Map<String, Value>, ServiceError> {
        let bad = |message: String| ServiceError::BadRequest(message);
        if self.is_yaml {
            return self.yaml_map().map_err(bad);
        }
        match serde_json::from_str(&self.body) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(bad("the body must be a JSON map".to_owned())),
            Err(error) => Err(bad(format!("the body is not JSON: {error}"))),
        }
    }

    fn yaml_map(&self) -> Result<Map<String, Value>, String> {
        let at = |fault: &Fault| format!("the body is not YAML: {}", fault.message);
        let source = Source::new("body.yaml", self.body.as_bytes()).map_err(|fault| at(&fault))?;
        match source.read() {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err("the body must be a YAML map".to_owned()),
            Err(faults) => {
                let placed = PlacedFault::all(&source, &faults);
                let first = placed.first().and_then(|first| Some((first.fault, first.place.as_ref()?)));
                Err(first.map_or_else(
                    || "the body is not YAML".to_owned(),
                    |(fault, place)| {
                        format!("{}, at line {}, column {}", at(fault), place.line, place.column)
                    },
                ))
            }
        }
    }

    /// The body as a map; no body is an empty one.
    fn map_or_empty(&self) -> Result<Map<String, Value>, ServiceError> {
        if self.body.trim().is_empty() { Ok(Map::new()) } else { self.map() }
    }

    fn object(&self) -> Result<Object, ServiceError> {
        self.map().map(Object)
    }
}

/// A text that must be there.
fn text(map: &Map<String, Value>, name: &str) -> Result<String, ServiceError> {
    let found = map.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.map(str::to_owned).ok_or_else(|| ServiceError::invalid(format!("`{name}` is missing")))
}

/// A list that may be missing.
fn list(map: &mut Map<String, Value>, name: &str) -> Result<Vec<Value>, ServiceError> {
    match map.remove(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(ServiceError::invalid(format!("`{name}` must be a list"))),
    }
}

/// Words of a rerun. POP ignores unknown ones; REST refuses them, because a misspelt word would reset everything.
fn words(map: &mut Map<String, Value>, name: &str, of: Interface) -> Result<RerunWords, ServiceError> {
    let words = list(map, name)?;
    if words.iter().any(|word| !word.is_string()) {
        return Err(ServiceError::invalid(format!("`{name}` must be a list of strings")));
    }
    let words = || words.iter().filter_map(Value::as_str);
    let unknown: Vec<String> = words()
        .filter(|word| of == Interface::Rest && !RerunWords::knows(word))
        .map(|word| format!("`{word}` is not a word of a rerun; use {}", RerunWords::KNOWN.join(", ")))
        .collect();
    if unknown.is_empty() { Ok(RerunWords::parse(words())) } else { Err(ServiceError::Invalid(unknown)) }
}

/// The request for agendas in a body, and how long it waits.
fn pull(insight: String, map: &Map<String, Value>) -> (pop_service::PullRequest, std::time::Duration) {
    let number = |name: &str| map.get(name).and_then(Value::as_i64);
    let request = pop_service::PullRequest {
        insight,
        count: number("count").unwrap_or_default(),
        puller: map.get("puller").and_then(Value::as_str).unwrap_or("unnamed").to_owned(),
        lease: number("leaseMs").and_then(|lease| lease.try_into().ok()),
    };
    let wait = number("waitMs").and_then(|wait| u64::try_from(wait).ok()).unwrap_or_default();
    (request, std::time::Duration::from_millis(wait.min(LONGEST_WAIT_MS)))
}

/// The query parameters of a search.
fn query(
    parameters: &[(String, String)],
    of: Interface,
) -> Result<(pop_service::Query, crate::call::View), ServiceError> {
    let (mut query, mut view) = (pop_service::Query::default(), crate::call::View::default());
    for (name, value) in parameters {
        let Some(by) = name.strip_prefix("by") else {
            return Err(ServiceError::BadRequest(format!("unknown query parameter `{name}`")));
        };
        let field = pop_service::Field::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(by));
        let states = [WAITING, EXECUTING, COMPLETE];
        if of == Interface::Rest
            && field == Some(pop_service::Field::ProcessingState)
            && !states.contains(&value.as_str())
        {
            // an empty list would look like a queue without agendas
            let message = format!("`{name}` has no value `{value}`; use {}", states.join(", "));
            return Err(ServiceError::BadRequest(message));
        }
        match (field, by.to_ascii_lowercase().as_str()) {
            (Some(field), _) => query.fields.push((field, value.clone())),
            (None, "fields") => view.fields = value.split(',').map(|name| name.trim().to_owned()).collect(),
            (None, "limit") => {
                let limit = value.parse();
                let limit =
                    limit.map_err(|_| ServiceError::BadRequest(format!("`{name}` must be a number")))?;
                query.limit = Some(limit);
            }
            (None, "count") => view.is_count = true,
            _ => return Err(ServiceError::BadRequest(format!("unknown query parameter `{name}`"))),
        }
    }
    Ok((query, view))
}
