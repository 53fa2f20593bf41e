//! What a run knows of the operations of its parent, and the comparison with them.

use crate::files::RecordedFiles;
use crate::history::History;
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::plan::{Plan, PlannedOperation, Serves};
use crate::reuse::NamedFile;
use crate::schedule::Scheduler;
use pop_policy::{CacheKey, KeyInput, OnFail};
use pop_registry::Entry;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Everything that decides the result of an operation, except the contents of files. Values occur only as digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationIdentity {
    /// Type, handler, version, action and payload.
    key: CacheKey,
    /// Id of the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Box<str>>,
    /// Digests of the settings of its handler, by name.
    handler: BTreeMap<String, String>,
}

impl OperationIdentity {
    /// The identity of an operation with this payload, after its references were replaced.
    pub fn of(plan: &Plan, op: OpIx, payload: &Value) -> Self {
        let planned = plan.operation(op);
        let mut key = CacheKey::new(&*planned.handler_type, KeyInput::payload(payload));
        if let Some(route) = &planned.route {
            key.handler = route.handler.as_deref().map(str::to_owned);
            key.version = route.version.as_deref().map(str::to_owned);
        }
        key.action = planned.rare.as_ref().and_then(|rare| rare.action.as_deref()).map(str::to_owned);
        let digest = |value: Value| blake3::hash(value.to_string().as_bytes()).to_hex()[..16].to_owned();
        let settings = handler_settings(plan, planned).into_iter();
        let handler = settings.map(|(name, value)| (name.to_owned(), digest(value))).collect();
        Self { key, id: planned.id.clone(), handler }
    }

    /// The differences from an earlier identity, as text; empty if there are none.
    pub fn changes(&self, earlier: &Self) -> Vec<String> {
        let mut changes = self.key.changed(&earlier.key);
        if self.id != earlier.id {
            changes.push("id of the operation".to_owned());
        }
        let names: BTreeSet<&String> = self.handler.keys().chain(earlier.handler.keys()).collect();
        let differs = |name: &&String| self.handler.get(*name) != earlier.handler.get(*name);
        changes.extend(names.into_iter().filter(differs).map(|name| format!("handler {name}")));
        changes
    }
}

/// The settings of a handler that decide its results.
fn handler_settings(plan: &Plan, planned: &PlannedOperation) -> Vec<(&'static str, Value)> {
    let uses_host_programs = plan.on.capabilities().uses_host_programs;
    let pairs = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<Value>();
    let of_entry = |entry: &Entry| {
        let mut settings = vec![
            ("properties", pairs(&entry.properties)),
            ("envVars", pairs(&entry.env_vars)),
            ("secrets", entry.secrets.iter().map(|secret| Value::from(secret.variable.as_str())).collect()),
        ];
        if uses_host_programs {
            settings.push(("command", json!(entry.command)));
            settings.push(("workingDirectory", json!(entry.working_directory)));
        } else {
            settings.push(("image", json!(entry.image())));
        }
        settings
    };
    let mut settings = match &planned.serves {
        Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => return Vec::new(),
        Serves::Program(entry) => of_entry(entry),
        Serves::Exec if uses_host_programs => Vec::new(),
        Serves::Exec => vec![("image", json!(plan.exec_pod.image))],
    };
    settings.push(("launcher", Value::from(plan.on.as_str())));
    settings
}

/// What a run knows of an operation of its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRecord {
    /// Name of the operation.
    pub operation: Box<str>,
    /// The result, or the reason why there is none to reuse, as the end of a sentence.
    pub result: Result<ReusableResult, Box<str>>,
}

/// A result of an earlier run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReusableResult {
    /// The run in which the operation ran.
    pub run: Box<str>,
    /// What decided the result.
    pub identity: OperationIdentity,
    /// The files that the operation names.
    #[serde(default, skip_serializing_if = "<[NamedFile]>::is_empty")]
    pub named_files: Arc<[NamedFile]>,
    /// The files that the operation declares, as its attempt found and left them; none if it declares none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Box<RecordedFiles>>,
    /// The result.
    pub value: Arc<Value>,
}

impl ParentRecord {
    /// The records of all operations of a run. An operation with parts has none: its parts have records.
    pub fn all(scheduler: &Scheduler, history: &History) -> Vec<Self> {
        let plan = scheduler.plan();
        // the scheduler has forgotten results that no operation can read any more
        let results = history.results(plan);
        let operations = plan.operations().filter(|(_, planned)| !planned.is_whole());
        let record = |(op, planned): (OpIx, &PlannedOperation)| Self {
            operation: planned.name.as_str().into(),
            result: reusable(scheduler, history, &results, op).map_err(Box::from),
        };
        operations.map(record).collect()
    }
}

fn reusable(
    scheduler: &Scheduler,
    history: &History,
    results: &HashMap<OpIx, Arc<Value>>,
    op: OpIx,
) -> Result<ReusableResult, &'static str> {
    let plan = scheduler.plan();
    let planned = plan.operation(op);
    let seen = history.operation(op);
    match seen.outcome() {
        None => return Err("it had not finished"),
        Some(Outcome::Failed) => return Err("it failed"),
        Some(Outcome::DeadLettered) => return Err("it failed and is in the dead-letter queue"),
        Some(Outcome::Cancelled) => return Err("it was cancelled"),
        Some(Outcome::Skipped) if seen.failures().next().is_some() => return Err("it failed (onFail: SKIP)"),
        Some(Outcome::Skipped) => return Err("it was skipped"),
        Some(Outcome::FromCache) => {
            return Err("its result came from the cache, which is looked up again");
        }
        Some(Outcome::Succeeded) => {}
    }
    if seen.is_ignored() {
        return Err("its failure was ignored (ignoreErrors)");
    }
    if seen.replayed.is_some() {
        return Err("its result came from a replayed dead letter");
    }
    if seen.adopted.is_some() {
        return Err("its result came from the progress of an earlier run");
    }
    let value = Arc::clone(seen.result().ok_or("its result is not recorded")?);
    let payload = scheduler.payload_from(op, results).map_err(|_| "its payload is not known any more")?;
    let (run, named_files) = match &seen.reused {
        Some(reused) => (reused.run.clone(), Arc::clone(&reused.named_files)),
        None => {
            let named_files = seen.attempts.last().map(|attempt| Arc::clone(&attempt.named_files));
            (history.run.clone(), named_files.unwrap_or_default())
        }
    };
    let is_program = !matches!(planned.serves, Serves::Resident(_) | Serves::Dispatch);
    if is_program && named_files.is_empty() && plan.on.capabilities().uses_host_programs {
        return Err("the files of its program are not recorded");
    }
    let files = seen.files.clone();
    Ok(ReusableResult { run, identity: OperationIdentity::of(plan, op, &payload), named_files, files, value })
}

/// The names of the operations that a run skipped because of a condition.
pub fn skipped_by_condition(plan: &Plan, history: &History) -> BTreeSet<Box<str>> {
    let is_skipped = |op: OpIx| {
        let seen = history.operation(op);
        seen.outcome() == Some(Outcome::Skipped) && seen.failures().next().is_none()
    };
    let skipped = plan.operations().filter(|(op, _)| is_skipped(*op));
    skipped.map(|(_, planned)| planned.name.as_str().into()).collect()
}

/// The operations of a run that failed in the end, also if the failure was ignored or is in the dead-letter queue.
pub fn failed_operations(plan: &Plan, history: &History) -> Vec<OpIx> {
    let is_failed = |(op, planned): &(OpIx, &PlannedOperation)| {
        let seen = history.operation(*op);
        let is_skip = planned.policies.on_fail.value == OnFail::Skip && seen.failure().is_some();
        match seen.outcome() {
            Some(Outcome::Failed | Outcome::DeadLettered) => true,
            Some(Outcome::Skipped) => is_skip,
            Some(Outcome::Succeeded) => seen.is_ignored(),
            _ => false,
        }
    };
    plan.operations().filter(is_failed).map(|(op, _)| op).collect()
}
