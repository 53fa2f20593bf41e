//! Requests, responses and handlers that turn errors into a status.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{child, config, created, parent, request, words};
use pop_operator::{
    Backoff, Error, Failable, FailableHandler, Handler, HandlerResult, SettleGuard, SyncRequest,
    SyncResponse, reconcile,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug, Deserialize)]
struct Site {
    spec: Spec,
}

#[derive(Debug, Deserialize)]
struct Spec {
    size: u32,
}

fn map(name: &str, size: u32) -> Value {
    child("ConfigMap", name, "data", &json!({"size": size.to_string()}))
}

#[test]
fn o1_a_request_has_the_parent_and_its_children_in_a_stable_order() {
    let objects = ["b", "a"].map(|name| created(&map(name, 1)));
    let pod = created(&child("Pod", "b", "spec", &json!({})));
    let request = request(vec![pod.clone(), objects[0].clone(), objects[1].clone()]);
    assert_eq!(request.children, [objects[1].clone(), objects[0].clone(), pod]);
    assert_eq!(request.parent_as::<Site>().unwrap().spec.size, 2);
    assert_eq!(
        (request.parent_name(), request.parent_namespace(), request.parent_uid()),
        ("site", Some("n"), "u-1")
    );
    assert_eq!((request.generation(), request.is_deleting()), (Some(4), false));
    assert_eq!(request.children_of_kind("ConfigMap").count(), 2);
    assert_eq!(request.children_as::<Value>("Pod").unwrap().len(), 1);
    assert_eq!(request.child("ConfigMap", "b"), Some(&objects[0]));
    assert_eq!(request.child_in("ConfigMap", "other", "b"), None);
    assert_eq!(request.child("ConfigMap.apps", "b"), None);
    let error = SyncRequest::new(json!({"spec": 1}), vec![]).parent_as::<Site>().unwrap_err();
    assert!(error.to_string().starts_with("the parent cannot be read: "), "{error}");
}

#[test]
fn o22_a_pair_of_functions_keeps_the_children_on_an_error() {
    let sync = |_: &SyncRequest| -> Result<SyncResponse, Error> { Err("no quota".into()) };
    let on_error =
        |_: &SyncRequest, error: Error| (json!({"error": error.to_string()}), Some(Duration::from_secs(3)));
    let request = request(vec![created(&map("a", 1))]);
    let pass = reconcile(&config(), &(sync, on_error), &request, &SettleGuard::default()).unwrap();
    assert_eq!(words(&pass.writes), [r#"PUT status {"error":"no quota","observedGeneration":4}"#]);
    assert_eq!((pass.has_failed, pass.again_after), (true, Some(Duration::from_secs(3))));
}

/// A handler that fails for sizes above a limit.
struct Sites;

impl FailableHandler for Sites {
    type Validated = u32;
    type Error = String;
    type Status = Value;

    fn validate(&self, request: &SyncRequest) -> Result<u32, String> {
        match request.parent_as::<Site>().map_err(|error| error.to_string())?.spec.size {
            0 => Err("size is 0".to_owned()),
            size => Ok(size),
        }
    }

    fn sync_children(&self, size: &mut u32, _: &SyncRequest) -> Result<Vec<Value>, String> {
        match *size {
            size if size > 5 => Err("too large".to_owned()),
            size => Ok(vec![map("a", size)]),
        }
    }

    fn determine_status(&self, _: &SyncRequest, result: HandlerResult<u32, String>) -> Value {
        match result {
            HandlerResult::ValidationFailed(error) => json!({"invalid": error}),
            HandlerResult::SyncFailed { validated, error } => json!({"size": validated, "error": error}),
            HandlerResult::SyncSuccess(size) => json!({"size": size}),
            HandlerResult::FinalizeFailed(error) => json!({"stuck": error}),
            HandlerResult::FinalizeSuccess => json!({"phase": "gone"}),
        }
    }

    fn finalize(&self, request: &SyncRequest) -> Result<(), String> {
        if request.children.is_empty() { Ok(()) } else { Err("in use".to_owned()) }
    }
}

#[test]
fn o23_an_error_of_a_failable_handler_keeps_the_children_and_shows_in_the_status() {
    let handler = Failable::new(Sites).with_regular_resync(Duration::from_mins(1));
    let pass = |size: u32, failures: u32, is_deleting: bool| {
        let mut parent = parent();
        parent["spec"]["size"] = size.into();
        if is_deleting {
            parent["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        let mut request = SyncRequest::observe(&config(), parent, vec![created(&map("a", 2))]);
        request.failures = failures;
        reconcile(&config(), &handler, &request, &SettleGuard::default()).unwrap()
    };
    let good = pass(2, 0, false);
    assert_eq!(words(&good.writes), [r#"PUT status {"observedGeneration":4,"size":2}"#]);
    assert_eq!((good.has_failed, good.again_after), (false, Some(Duration::from_mins(1))));
    for (size, is_deleting, status) in [
        (0, false, r#"PUT status {"invalid":"size is 0","observedGeneration":4}"#),
        (9, false, r#"PUT status {"error":"too large","observedGeneration":4,"size":9}"#),
        (2, true, r#"PUT status {"observedGeneration":4,"stuck":"in use"}"#),
    ] {
        let pass = pass(size, 0, is_deleting);
        assert_eq!(words(&pass.writes), [status]);
        let after = pass.again_after.unwrap();
        assert!(pass.has_failed && (250..=750).contains(&after.as_millis()), "{after:?}");
    }
    assert!(pass(0, 10, false).again_after > pass(0, 2, false).again_after);
}

#[test]
fn o23_a_failable_handler_may_give_up_until_something_changes() {
    let handler = Failable::new(Sites).with_backoff(Backoff::never_retry());
    let mut parent = parent();
    parent["spec"]["size"] = 0.into();
    let response = handler.sync(&SyncRequest::new(parent, vec![])).unwrap();
    assert_eq!((response.has_failed, response.resync), (true, None));
}
