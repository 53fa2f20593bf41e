//! Reports of each capability and method, and dispatches with failures.

use super::*;
use crate::Blame;

fn call(capability: Capability, method: Method, type_id: &str) -> Call {
    Call { capability, method, type_id: type_id.to_owned(), repo_id: None }
}

fn install(type_id: &str) -> Call {
    call(Capability::Content, Method::Install, type_id)
}

fn bind(type_id: &str, repo_id: &str) -> Call {
    Call { repo_id: Some(repo_id.to_owned()), ..call(Capability::Bind, Method::Bind, type_id) }
}

fn changed(num_changes: u64) -> CallEnd {
    let mut report = HandlerReport::default();
    report.set_succeeded([("done", num_changes)], num_changes);
    CallEnd::Reported(report)
}

fn refused(num_changes: u64) -> CallEnd {
    let mut report = HandlerReport { num_changes, ..HandlerReport::default() };
    report.set_failed([("why", "no")]);
    CallEnd::Reported(report)
}

/// A failure with one diagnostic.
fn failure(code: &str, payload: Option<Value>) -> Failure {
    let event = DiagnosticEvent {
        status_code: Some(code.to_owned()),
        stack_trace: Some("a.rs:7".to_owned()),
        payload,
        ..DiagnosticEvent::new("it broke")
    };
    Failure { diagnostics: vec![event], ..Failure::new(Blame::Handler, "failed", "it broke") }
}

fn json_of(report: &DispatchReport) -> Value {
    serde_json::to_value(report).unwrap()
}

#[test]
fn u13_a_default_report_is_a_success_without_changes() {
    let mut report = HandlerReport::default();
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        json!({"succeeded": true, "details": {}, "num_changes": 0})
    );
    report.set_failed([("message", "no")]);
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        json!({"succeeded": false, "details": {"message": "no"}, "num_changes": 0})
    );
    report.set_succeeded([("installed", json!(["a"]))], 2);
    let text = r#"{"succeeded":true,"details":{"installed":["a"]},"num_changes":2}"#;
    assert_eq!(serde_json::to_string(&report).unwrap(), text);
    assert_eq!(serde_json::from_str::<HandlerReport>("{}").unwrap(), HandlerReport::default());
    let bound = HandlerReport { repo_id: Some("r".to_owned()), ..HandlerReport::default() };
    assert_eq!(serde_json::to_value(bound).unwrap()["repo_id"], "r");
}

#[test]
fn u15_a_dispatch_succeeds_if_all_calls_do_and_sums_changes() {
    let report = DispatchReport::aggregate([
        (install("rpm"), changed(3)),
        (install("puppet"), refused(5)),
        (install("tar"), changed(4)),
        (call(Capability::System, Method::Reboot, "Linux"), changed(0)),
    ]);
    assert_eq!(
        json_of(&report),
        json!({
            "succeeded": false,
            "details": {
                "rpm": {"succeeded": true, "details": {"done": 3}},
                "puppet": {"succeeded": false, "details": {"why": "no"}},
                "tar": {"succeeded": true, "details": {"done": 4}},
            },
            "num_changes": 7,
            "reboot": {"scheduled": true, "details": {"done": 0}},
        })
    );
    let nothing = json!({"succeeded": true, "details": {}, "num_changes": 0,
                         "reboot": {"scheduled": false, "details": {}}});
    assert_eq!(json_of(&DispatchReport::default()), nothing);
}

#[test]
fn u15_bindings_are_lists_with_their_repositories() {
    let named = HandlerReport { repo_id: Some("own".to_owned()), ..HandlerReport::default() };
    let report = DispatchReport::aggregate([
        (bind("yum", "a"), changed(1)),
        (bind("yum", "b"), CallEnd::Failed(failure("panic", None))),
        (bind("iso", "c"), CallEnd::Reported(named)),
    ]);
    assert_eq!(
        json_of(&report)["details"],
        json!({
            "yum": [
                {"repo_id": "a", "succeeded": true, "details": {"done": 1}},
                {"repo_id": "b", "succeeded": false, "details": {"message": "it broke", "trace": "a.rs:7"}},
            ],
            "iso": [{"repo_id": "own", "succeeded": true, "details": {}}],
        })
    );
    assert_eq!((report.succeeded, report.num_changes), (false, 1));
}

#[test]
fn u14_a_failure_without_report_has_message_and_trace() {
    let mut by_exit = Failure::new(Blame::Handler, "exit", "ended with exit status 7");
    by_exit.log_tail = vec!["one".to_owned(), "two".to_owned()];
    let report = DispatchReport::aggregate([
        (install("rpm"), CallEnd::from(Err(failure("panic", None)))),
        (install("puppet"), CallEnd::from(Err(by_exit))),
        (install("tar"), CallEnd::from(Ok(json!({"succeeded": true, "num_changes": 2})))),
    ]);
    assert_eq!(
        json_of(&report)["details"],
        json!({
            "rpm": {"succeeded": false, "details": {"message": "it broke", "trace": "a.rs:7"}},
            "puppet": {"succeeded": false, "details": {"message": "ended with exit status 7", "trace": "one\ntwo"}},
            "tar": {"succeeded": true, "details": {}},
        })
    );
    assert_eq!(report.num_changes, 2);
}

#[test]
fn u10_a_type_without_handler_fails_in_the_report() {
    let calls = [(install("rmp"), CallEnd::no_handler("rmp")), (install("rpm"), changed(1))];
    let report = DispatchReport::aggregate(calls);
    let details = json!({"message": "no handler for type `rmp`", "trace": ""});
    assert_eq!(report.details["rmp"], json!({"succeeded": false, "details": details}));
    assert_eq!((report.succeeded, report.num_changes), (false, 1));
}

#[test]
fn u10_equal_type_names_of_two_capabilities_have_two_keys() {
    let clean = |capability| call(capability, Method::Clean, "yum");
    let calls = [(clean(Capability::Content), changed(1)), (clean(Capability::Bind), refused(0))];
    let report = DispatchReport::aggregate(calls);
    assert_eq!(report.details["yum"]["succeeded"], true);
    assert_eq!(report.details["bind.yum"]["succeeded"], false);
    assert!(!report.succeeded);
}

#[test]
fn u18_only_a_missing_optional_method_is_skipped() {
    for (method, is_left_out) in [
        (Method::Profile, true),
        (Method::Clean, true),
        (Method::Install, false),
        (Method::Update, false),
        (Method::Uninstall, false),
    ] {
        let missing = CallEnd::from(Err(failure(NOT_IMPLEMENTED, None)));
        let calls = [
            (call(Capability::Content, method, "rpm"), missing),
            (call(Capability::Content, method, "tar"), changed(1)),
        ];
        let report = DispatchReport::aggregate(calls);
        assert_eq!(report.details.contains_key("rpm"), !is_left_out, "{method}");
        assert_eq!((report.succeeded, report.num_changes), (is_left_out, 1), "{method}");
    }
}

#[test]
fn u16_the_machine_restarts_if_requested_and_changed() {
    let after = |num_changes| DispatchReport::aggregate([(install("rpm"), changed(num_changes))]);
    let options = |reboot: Value| map([("reboot", reboot)]);
    for (options, num_changes, wanted) in [
        (options(json!(true)), 1, true),
        (options(json!(true)), 0, false),
        (options(json!(false)), 1, false),
        (options(json!("false")), 1, false),
        (options(json!(null)), 1, false),
        (Map::new(), 1, false),
    ] {
        assert_eq!(wants_reboot(&options, &after(num_changes)), wanted, "{options:?} {num_changes}");
    }
    // changes count only for types that succeeded
    let failed = DispatchReport::aggregate([(install("rpm"), refused(3))]);
    assert!(!wants_reboot(&options(json!(true)), &failed));
    let both = DispatchReport::aggregate([(install("rpm"), refused(3)), (install("tar"), changed(1))]);
    assert!(wants_reboot(&options(json!(true)), &both));
}

#[test]
fn u19_a_failed_restart_fails_the_dispatch() {
    let reboot = call(Capability::System, Method::Reboot, "Linux");
    let raised = || CallEnd::from(Err(failure("panic", None)));
    for (ended, details) in
        [(refused(0), json!({"why": "no"})), (raised(), json!({"message": "it broke", "trace": "a.rs:7"}))]
    {
        let report = DispatchReport::aggregate([(install("rpm"), changed(2)), (reboot.clone(), ended)]);
        assert_eq!(json_of(&report)["reboot"], json!({"scheduled": false, "details": details}));
        assert_eq!((report.succeeded, report.num_changes), (false, 2));
        assert_eq!(report.details.len(), 1);
    }
    // a handler may decline a restart without failing
    let put_off = HandlerReport { reboot_scheduled: Some(false), ..HandlerReport::default() };
    let report = DispatchReport::aggregate([(reboot, CallEnd::Reported(put_off))]);
    assert!(report.succeeded && !report.reboot.scheduled);
}

#[test]
fn u19_the_default_report_of_a_binding_is_a_success() {
    assert!(BindReport { repo_id: Some("r".to_owned()), ..BindReport::default() }.succeeded);
}

#[test]
fn a_failure_report_is_read_from_its_diagnostic() {
    let reported =
        json!({"succeeded": false, "details": {"missing": ["x"]}, "num_changes": 1, "repo_id": "r"});
    let CallEnd::Reported(report) = CallEnd::from(Err(failure(REPORT_CODE, Some(reported.clone())))) else {
        panic!()
    };
    assert_eq!(serde_json::to_value(&report).unwrap(), reported);
    // a failed attempt never counts as success, whatever its report contains
    let strange = failure(REPORT_CODE, Some(json!({"succeeded": true, "num_changes": 9})));
    let report = DispatchReport::aggregate([(install("rpm"), CallEnd::from(Err(strange)))]);
    assert_eq!((report.succeeded, report.num_changes), (false, 0));
    let broken = failure(REPORT_CODE, Some(json!({"details": 7})));
    assert!(matches!(CallEnd::from(Err(broken)), CallEnd::Failed(_)));
}

#[test]
fn the_result_of_any_program_is_a_report() {
    let read = |result| serde_json::to_value(HandlerReport::of_result(result)).unwrap();
    let success = |details| json!({"succeeded": true, "details": details, "num_changes": 0});
    assert_eq!(read(json!({})), success(json!({})));
    assert_eq!(read(json!(null)), success(json!({})));
    assert_eq!(read(json!({"width": 7})), success(json!({"width": 7})));
    assert_eq!(read(json!([1])), success(json!({"result": [1]})));
    assert_eq!(read(json!({"details": {"a": 1}})), success(json!({"a": 1})));
    for wrong in [json!({"succeeded": "yes"}), json!({"num_changes": -1}), json!({"details": []})] {
        let report = HandlerReport::of_result(wrong);
        assert!(!report.succeeded);
        let message = report.details["message"].as_str().unwrap();
        assert!(message.starts_with("the result is not a report: "), "{message}");
    }
}
