//! The dead letter of an operation: everything that is needed to repeat it, taken from the schedule.

use crate::dead_letter_queue::{DeadLetter, PastAttempt};
use crate::run_identity::RunIdentity;
use pop_agenda::{Ending, OpIx, OperationHistory, RunTime, Scheduler};
use pop_contract::{Blame, Failure, Millis};
use serde_json::json;
use std::borrow::Cow;

/// The letter of `op`, of a run that began at `began` by the wall clock.
pub(crate) fn of(scheduler: &Scheduler, identity: &RunIdentity, op: OpIx, began: Millis) -> DeadLetter {
    let planned = scheduler.plan().operation(op);
    let wall = |at: RunTime| began.saturating_add(at.0);
    let history = scheduler.dead_letter_history(op);
    let failure = history.and_then(OperationHistory::failure).cloned();
    let settled = history.and_then(|history| history.settled).map(|(at, _)| at);
    let mut params = planned.rare.as_ref().map(|rare| rare.params.clone()).unwrap_or_default();
    // as it was for this operation, without the others that it refers to
    if let Ok(keys) = scheduler.lock_keys(op)
        && !keys.is_empty()
    {
        params.insert("lockKey".to_owned(), json!(keys));
    }
    DeadLetter {
        run: identity.run.clone(),
        operation: planned.name.to_string(),
        handler_type: planned.handler_type.to_string(),
        agenda: identity.agenda.clone(),
        launcher: identity.on.to_string(),
        payload: scheduler.payload(op).map_or_else(|_| planned.payload.template().clone(), Cow::into_owned),
        params,
        failure: failure.unwrap_or_else(|| Failure::new(Blame::Pop, "pop", "its failure is not known")),
        attempts: history.map_or_else(Vec::new, |history| past_attempts(history, wall)),
        settled: wall(settled.unwrap_or_default()),
        replays: Vec::new(),
    }
}

/// The attempts of an operation, oldest first; a failure before a launch counts as an attempt that took no time.
fn past_attempts(history: &OperationHistory, wall: impl Fn(RunTime) -> Millis) -> Vec<PastAttempt> {
    let past = |number, started, ended, failure| PastAttempt {
        number,
        started: wall(started),
        ended: wall(ended),
        failure,
    };
    let launched = history.attempts.iter().filter_map(|attempt| {
        let (at, ending) = attempt.ended.as_ref()?;
        Some(past(attempt.number, attempt.started, *at, words(ending)))
    });
    let starts = history.failed_starts.iter();
    let starts = starts.map(|start| past(start.after + 1, start.at, start.at, start.failure.message.clone()));
    let joined = history.joined.iter().zip(history.settled);
    let joined =
        joined.map(|(ending, (at, _))| past(history.attempts.len() as u32 + 1, at, at, words(ending)));
    let mut all: Vec<PastAttempt> = launched.chain(starts).chain(joined).collect();
    all.sort_by_key(|attempt| (attempt.number, attempt.ended));
    all
}

fn words(ending: &Ending) -> String {
    match ending {
        Ending::Failed(failure) | Ending::Displaced(failure) => failure.message.clone(),
        Ending::Lost => "was lost with its executor".to_owned(),
        Ending::Cancelled => "was stopped".to_owned(),
        Ending::Succeeded { .. } => "succeeded".to_owned(),
    }
}
