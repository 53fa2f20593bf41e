//! Builds the dead letter of an operation from the scheduler.

use crate::dead_letter_queue::{DeadLetter, PastAttempt};
use crate::run_identity::RunIdentity;
use pop_agenda::{Ending, OpIx, OperationHistory, RunTime, Scheduler, Serves};
use pop_contract::{Blame, Failure, Millis};
use pop_document::Pointer;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The dead letter of `op`. `began` is the wall-clock start of its run.
pub(crate) fn of(scheduler: &Scheduler, identity: &RunIdentity, op: OpIx, began: Millis) -> DeadLetter {
    let planned = scheduler.plan().operation(op);
    let wall = |at: RunTime| began.saturating_add(at.0);
    let history = scheduler.dead_letter_history(op);
    let failure = history.and_then(OperationHistory::failure).cloned();
    let settled = history.and_then(|history| history.settled).map(|(at, _)| at);
    let mut params = planned.rare.as_ref().map(|rare| rare.params.clone()).unwrap_or_default();
    // the keys themselves, because a replay does not have the operations that the params refer to
    if let Ok(keys) = scheduler.lock_keys(op)
        && !keys.is_empty()
    {
        params.insert("lockKey".to_owned(), json!(keys));
    }
    let payload = scheduler.payload(op).map_or_else(|_| planned.payload.template().clone(), Cow::into_owned);
    if let Ok(Some(files)) = scheduler.bind_files(op, &payload) {
        for (key, patterns) in [("reads", &files.reads), ("writes", &files.writes)] {
            // a class of one character, so that a name that looks like a reference is none
            let texts: Vec<String> = patterns.iter().map(|text| text.replace("@<", "[@]<")).collect();
            if params.contains_key(key) {
                params.insert(key.to_owned(), json!(texts));
            }
        }
    }
    DeadLetter {
        run: identity.run.clone(),
        operation: planned.name.to_string(),
        handler_type: planned.handler_type.to_string(),
        agenda: identity.agenda.clone(),
        launcher: identity.on.to_string(),
        inserted_maps: match planned.serves {
            Serves::Exec => inserted_maps(&payload, planned.payload.template()),
            _ => Vec::new(),
        },
        payload,
        params,
        failure: failure.unwrap_or_else(|| Failure::new(Blame::Pop, "pop", "unknown failure")),
        attempts: history.map_or_else(Vec::new, |history| past_attempts(history, wall)),
        settled: wall(settled.unwrap_or_default()),
        replays: Vec::new(),
    }
}

/// Pointers to maps in `command` and `env` that are not in the payload as written.
fn inserted_maps(payload: &Value, template: &Value) -> Vec<String> {
    let items = payload["command"].as_array().into_iter().flatten().enumerate();
    let items = items.map(|(index, item)| (Pointer::root().join("command").join(index), item));
    let variables = payload["env"].as_object().into_iter().flatten();
    let variables = variables.map(|(name, value)| (Pointer::root().join("env").join(name), value));
    let is_written = |at: &Pointer| template.pointer(at.as_str()).is_some_and(Value::is_object);
    let maps = items.chain(variables).filter(|(at, value)| value.is_object() && !is_written(at));
    maps.map(|(at, _)| at.to_string()).collect()
}

/// The attempts of an operation, oldest first. A failure before a launch counts as an attempt with no duration.
fn past_attempts(history: &OperationHistory, wall: impl Fn(RunTime) -> Millis) -> Vec<PastAttempt> {
    let past = |number, started, ended, failure| PastAttempt {
        number,
        started: wall(started),
        ended: wall(ended),
        failure,
    };
    let launched = history.attempts.iter().filter_map(|attempt| {
        let (at, ending) = attempt.ended.as_ref()?;
        Some(past(attempt.number, attempt.started, *at, describe(ending)))
    });
    let starts = history.failed_starts.iter();
    let starts = starts.map(|start| past(start.after + 1, start.at, start.at, start.failure.message.clone()));
    let joined = history.joined.iter().zip(history.settled);
    let joined =
        joined.map(|(ending, (at, _))| past(history.attempts.len() as u32 + 1, at, at, describe(ending)));
    let mut all: Vec<PastAttempt> = launched.chain(starts).chain(joined).collect();
    all.sort_by_key(|attempt| (attempt.number, attempt.ended));
    all
}

fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Failed(failure) | Ending::Displaced(failure) => failure.message.clone(),
        Ending::Lost => "was lost with its executor".to_owned(),
        Ending::Cancelled => "was stopped".to_owned(),
        Ending::Succeeded { .. } => "succeeded".to_owned(),
    }
}
