//! Routes of the REST interface that the web pages need, and of what executors send for them.

use super::{LONGEST_WAIT_MS, NoCall, Request, list, text};
use crate::call::Call;
use crate::page_call::PageCall;
use pop_service::{LogTail, Object, RunFilter, RunOrder, RunState, ServiceError};
use serde_json::{Map, Value};
use std::time::Duration;

/// Agendas of one page, unless the request says otherwise, and at most.
const PAGE: u32 = 50;
const LONGEST_PAGE: u32 = 500;
/// Most entries of the audit log in one answer.
const LONGEST_AUDIT: u32 = 1_000;

/// The call of a path; none if the path belongs to others.
pub(super) fn call(request: &Request, path: &[&str]) -> Option<Result<Call, NoCall>> {
    let read = |call: &dyn Fn(&Request) -> Result<PageCall, ServiceError>| {
        if request.method == "GET" { call(request).map_err(NoCall::from) } else { Err(NoCall::Method("GET")) }
    };
    let post = |call: &dyn Fn(Map<String, Value>) -> Result<PageCall, ServiceError>| {
        if request.method != "POST" {
            return Err(NoCall::Method("POST"));
        }
        request.map_or_empty().and_then(call).map_err(NoCall::from)
    };
    let own = |id: &&str| (*id).to_owned();
    let call = match path {
        ["session"] => read(&|_| Ok(PageCall::Session)),
        ["runs"] => read(&|request| Ok(PageCall::Runs(filter(&request.query)?))),
        ["queue"] => read(&|request| queue(&request.query)),
        ["changes"] => read(&|request| changes(&request.query)),
        ["audit"] => read(&|request| audit(&request.query)),
        ["agendas", id, "overview"] => read(&|_| Ok(PageCall::Overview(own(id)))),
        ["agendas", id, "report"] => read(&|_| Ok(PageCall::RunReport(own(id)))),
        // names of operations may have slashes
        ["agendas", id, "logs", operation @ ..] if !operation.is_empty() => {
            read(&|_| Ok(PageCall::Log { agenda: own(id), operation: operation.join("/") }))
        }
        ["agendas", id, "cancel"] => post(&|_| Ok(PageCall::Cancel(own(id)))),
        ["agendas", id, "reclaim"] => post(&|_| Ok(PageCall::Reclaim(own(id)))),
        ["agenda-templates", id, "agendas"] => post(&|body| from_template(own(id), body)),
        ["leases", fence, "report"] => {
            post(&|body| Ok(PageCall::PutReport { fence: own(fence), report: Value::Object(body) }))
        }
        ["leases", fence, "logs"] => {
            post(&|mut body| Ok(PageCall::PutLogs { fence: own(fence), logs: logs(&mut body)? }))
        }
        _ => return None,
    };
    Some(call.map(Call::Page))
}

fn bad(message: impl Into<String>) -> ServiceError {
    ServiceError::BadRequest(message.into())
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, ServiceError> {
    value.parse().map_err(|_| bad(format!("`{name}` must be a whole number from 0, not `{value}`")))
}

/// The value of a parameter that is not empty.
fn given(value: &str) -> Option<String> {
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn unknown(name: &str, known: &str) -> ServiceError {
    bad(format!("unknown query parameter `{name}`; use {known}"))
}

fn filter(query: &[(String, String)]) -> Result<RunFilter, ServiceError> {
    let mut filter = RunFilter { limit: PAGE, ..RunFilter::default() };
    for (name, value) in query {
        match name.as_str() {
            "state" => {
                for word in value.split(',').filter(|word| !word.is_empty()) {
                    let known = RunState::ALL.map(RunState::word).join(", ");
                    let state = RunState::parse(word)
                        .ok_or_else(|| bad(format!("`state` has no value `{word}`; use {known}")))?;
                    filter.states.push(state);
                }
            }
            "customerId" => filter.customer = given(value),
            "insightId" => filter.insight = given(value),
            "text" => filter.text = given(value),
            "before" => filter.order = RunOrder::Before(number(name, value)?),
            "limit" => filter.limit = number::<u32>(name, value)?.clamp(1, LONGEST_PAGE),
            _ => return Err(unknown(name, "state, customerId, insightId, text, before or limit")),
        }
    }
    Ok(filter)
}

fn queue(query: &[(String, String)]) -> Result<PageCall, ServiceError> {
    let (mut insight, mut customer, mut limit) = (None, None, PAGE);
    for (name, value) in query {
        match name.as_str() {
            "insightId" => insight = given(value),
            "customerId" => customer = given(value),
            "limit" => limit = number::<u32>(name, value)?.clamp(1, LONGEST_PAGE),
            _ => return Err(unknown(name, "insightId, customerId or limit")),
        }
    }
    Ok(PageCall::Queue { insight, customer, limit })
}

fn changes(query: &[(String, String)]) -> Result<PageCall, ServiceError> {
    let (mut since, mut wait) = (None, 0);
    for (name, value) in query {
        match name.as_str() {
            "since" => since = Some(number(name, value)?),
            "waitMs" => wait = number(name, value)?,
            _ => return Err(unknown(name, "since or waitMs")),
        }
    }
    Ok(PageCall::Changes { since, wait: Duration::from_millis(wait.min(LONGEST_WAIT_MS)) })
}

fn audit(query: &[(String, String)]) -> Result<PageCall, ServiceError> {
    let (mut limit, mut before, mut without) = (PAGE, None, Vec::new());
    for (name, value) in query {
        match name.as_str() {
            "without" => without = value.split(',').map(str::to_owned).collect(),
            "limit" => limit = number::<u32>(name, value)?.clamp(1, LONGEST_AUDIT),
            "before" => before = Some(number(name, value)?),
            _ => return Err(unknown(name, "without, limit or before")),
        }
    }
    Ok(PageCall::Audit { limit: limit as usize, before, without })
}

fn from_template(template: String, mut body: Map<String, Value>) -> Result<PageCall, ServiceError> {
    let mut map = |name: &str| match body.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(ServiceError::invalid(format!("`{name}` must be a map"))),
    };
    let (inputs, payload) = (map("inputs")?, Value::Object(map("payload")?));
    let known = ["title", "linkId", "customerId", "cid"];
    if let Some(name) = body.keys().find(|name| !known.contains(&name.as_str())) {
        let message = format!("unknown field `{name}`; use inputs, payload, {}", known.join(", "));
        return Err(ServiceError::invalid(message));
    }
    if let Some((name, _)) = body.iter().find(|(_, value)| !value.is_string() && !value.is_null()) {
        return Err(ServiceError::invalid(format!("`{name}` must be a text")));
    }
    Ok(PageCall::FromTemplate { template, inputs, payload, fields: Object(body) })
}

fn logs(body: &mut Map<String, Value>) -> Result<Vec<LogTail>, ServiceError> {
    let logs = list(body, "logs")?;
    let read = |log: Value| {
        let Value::Object(log) = log else {
            return Err(ServiceError::invalid("`logs` must be a list of maps"));
        };
        Ok(LogTail {
            operation: text(&log, "operation")?,
            attempt: log.get("attempt").and_then(Value::as_u64).unwrap_or(1),
            text: log.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
            is_cut: log.get("isCut").and_then(Value::as_bool).unwrap_or_default(),
        })
    };
    logs.into_iter().map(read).collect()
}
