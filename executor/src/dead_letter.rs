//! The dead letter of an operation: everything that is needed to repeat it, taken from the schedule.

use crate::dead_letter_queue::{DeadLetter, PastAttempt};
use crate::run_identity::RunIdentity;
use pop_agenda::{Attempt, Ending, OpIx, RunTime, Scheduler};
use pop_registry::contract::{Blame, Failure, Millis};
use serde_json::json;
use std::borrow::Cow;

/// The letter of `op`, of a run that began at `began` by the wall clock.
pub(crate) fn of(scheduler: &Scheduler, identity: &RunIdentity, op: OpIx, began: Millis) -> DeadLetter {
    let planned = scheduler.plan().operation(op);
    let wall = |at: RunTime| began.saturating_add(at.0);
    let attempts = scheduler.attempts(op);
    let failure = attempts.iter().rev().find_map(|attempt| match &attempt.ended {
        Some((_, Ending::Failed(failure))) => Some(failure.as_ref().clone()),
        _ => None,
    });
    let settled = attempts.iter().filter_map(|attempt| attempt.ended.as_ref()).map(|(at, _)| *at).max();
    let past = |attempt: &Attempt| {
        let (at, ending) = attempt.ended.as_ref()?;
        let (started, ended) = (wall(attempt.started), wall(*at));
        Some(PastAttempt { number: attempt.number, started, ended, failure: words(ending) })
    };
    let mut params = planned.special.as_ref().map(|special| special.params.clone()).unwrap_or_default();
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
        attempts: attempts.iter().filter_map(past).collect(),
        settled: wall(settled.unwrap_or_default()),
        replays: Vec::new(),
    }
}

fn words(ending: &Ending) -> String {
    match ending {
        Ending::Failed(failure) | Ending::Displaced(failure) => failure.message.clone(),
        Ending::Lost => "was lost with its executor".to_owned(),
        Ending::Cancelled => "was stopped".to_owned(),
        Ending::Succeeded { .. } => "succeeded".to_owned(),
    }
}
