//! Payload and result of a handler of an operator.

use pop_document::{Fault, Fields, Pointer};
use pop_operator::{Error, FinalizeResponse, SyncRequest, SyncResponse};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time until the next call (seconds): a year.
const LONGEST: f64 = 31_536_000.0;

/// The payload of a call. `event` is `sync` or `finalize`.
pub fn payload(event: &str, request: &SyncRequest) -> Value {
    json!({
        "event": event,
        "parent": request.parent,
        "children": request.children,
        "failures": request.failures,
        "lastFailure": request.last_failure,
    })
}

/// Reads the result of a `sync`: `status`, `children`, `resyncAfterSeconds`.
pub fn read_sync(result: &Value) -> Result<SyncResponse, Error> {
    read(result, &["status", "children", "resyncAfterSeconds"], |fields| SyncResponse {
        status: status(fields),
        children: fields.list("children").cloned().unwrap_or_default(),
        resync: seconds(fields),
        has_failed: false,
    })
}

/// Reads the result of a `finalize`: `finalized`, `status`, `children`, `resyncAfterSeconds`.
pub fn read_finalize(result: &Value) -> Result<FinalizeResponse, Error> {
    const AGAIN: Duration = Duration::from_secs(5);
    let known = ["finalized", "status", "children", "resyncAfterSeconds"];
    read(result, &known, |fields| {
        if fields.any("finalized").is_none() {
            let message = "`finalized` is missing: true if the clean-up is done, false to be called again";
            let at = fields.at("finalized");
            fields.faults().push(Fault::value(CODE, at, message));
        }
        let is_done = fields.boolean("finalized").unwrap_or(true);
        let again = seconds(fields).unwrap_or(AGAIN);
        FinalizeResponse {
            retry: (!is_done).then_some(again),
            status: status(fields),
            children: fields.list("children").cloned(),
            has_failed: false,
        }
    })
}

const CODE: &str = "wrong-result";

fn read<T>(result: &Value, known: &[&str], take: impl FnOnce(&mut Fields<'_, '_>) -> T) -> Result<T, Error> {
    let mut faults = Vec::new();
    let mut taken = None;
    if let Some(mut fields) = Fields::of(result, Pointer::root(), "the result", CODE, &mut faults) {
        taken = Some(take(&mut fields));
        // a misspelt `children` would delete all of them, so no unknown field is ignored
        fields.warn_unknown("the result", known);
    }
    let words = |fault: &Fault| {
        let message = fault.message.trim_end_matches("; it is ignored");
        match fault.label.as_ref().or(fault.hint.as_ref()) {
            Some(hint) => format!("{message} ({hint})"),
            None => message.to_owned(),
        }
    };
    match taken {
        Some(taken) if faults.is_empty() => Ok(taken),
        _ => {
            let all: Vec<String> = faults.iter().map(words).collect();
            Err(format!("the result of the handler is wrong: {}", all.join("; ")).into())
        }
    }
}

/// The status; null, like an absent one, writes none.
fn status(fields: &Fields<'_, '_>) -> Value {
    fields.any("status").cloned().unwrap_or_default()
}

fn seconds(fields: &mut Fields<'_, '_>) -> Option<Duration> {
    let seconds = fields.number("resyncAfterSeconds")?;
    Some(Duration::from_secs_f64(seconds.min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_responses() {
        let response =
            read_sync(&json!({"status": {"a": 1}, "children": [{}], "resyncAfterSeconds": 1.5})).unwrap();
        assert_eq!(response.resync, Some(Duration::from_millis(1500)));
        assert_eq!((response.status, response.children.len()), (json!({"a": 1}), 1));
        assert_eq!(read_sync(&json!({})).unwrap(), SyncResponse::default());
        assert_eq!(read_finalize(&json!({"finalized": true})).unwrap(), FinalizeResponse::done());
        let again = read_finalize(&json!({"finalized": false, "children": []})).unwrap();
        assert_eq!((again.retry, again.children), (Some(Duration::from_secs(5)), Some(Vec::new())));
    }

    #[test]
    fn wrong_results_name_the_field() {
        let wrong = |result: Value| read_sync(&result).unwrap_err().to_string();
        for (result, words) in [
            (json!(null), "the result must be a map, not null"),
            (json!({"childs": []}), "the result has no field `childs` (did you mean `children`?)"),
            (json!({"children": {}}), "`children` must be a list, not a map"),
            (json!({"resyncAfterSeconds": -1}), "`resyncAfterSeconds` must be a number from 0, not `-1`"),
        ] {
            assert!(wrong(result.clone()).contains(words), "{}", wrong(result));
        }
        assert!(read_finalize(&json!({})).unwrap_err().to_string().contains("`finalized` is missing"));
    }
}
