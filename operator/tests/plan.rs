//! From a response to its writes, row by row.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{child, config, created, parent, request, words};
use pop_operator::{
    FinalizeResponse, KindConfig, OperatorConfig, Phase, ReconcileError, SettleGuard, Strategy, SyncRequest,
    SyncResponse, Write, plan_finalize, plan_sync, reconcile,
};
use serde_json::{Value, json};
use std::time::Duration;

fn response(status: Value, children: &[&Value]) -> SyncResponse {
    SyncResponse {
        status,
        children: children.iter().map(|child| (*child).clone()).collect(),
        ..SyncResponse::default()
    }
}

fn plan(request: &SyncRequest, response: &SyncResponse) -> Vec<Write> {
    plan_sync(&config(), request, response, &SettleGuard::default()).unwrap()
}

fn plan_words(objects: Vec<Value>, desired: &[&Value]) -> Vec<String> {
    words(&plan(&request(objects), &response(Value::Null, desired)))
}

fn faults(objects: Vec<Value>, desired: &[&Value]) -> Vec<String> {
    let planned =
        plan_sync(&config(), &request(objects), &response(json!({}), desired), &SettleGuard::default());
    planned.unwrap_err().iter().map(ToString::to_string).collect()
}

/// The object of the only write.
fn sent(writes: &[Write]) -> &Value {
    match writes {
        [write] => &write.sent().unwrap().1.object,
        writes => panic!("{writes:?}"),
    }
}

fn map(name: &str, data: &Value) -> Value {
    child("ConfigMap", name, "data", data)
}

fn pod(name: &str, image: &str) -> Value {
    child("Pod", name, "spec", &json!({"containers": [{"name": "app", "image": image}]}))
}

#[test]
fn o2_o3_status_is_written_with_generation_only_if_it_differs() {
    let write = plan(&request(vec![]), &response(json!({"a": 1, "observedGeneration": 99}), &[]));
    assert_eq!(words(&write), [r#"PUT status {"a":1,"observedGeneration":4}"#]);
    assert_eq!(sent(&write)["metadata"], parent()["metadata"], "the observed version and all metadata");

    let seen = |status: Value| {
        let mut parent = parent();
        parent["status"] = status;
        SyncRequest::observe(&config(), parent, vec![])
    };
    let same = seen(json!({"a": 1.0, "observedGeneration": 4, "gone": null}));
    assert!(plan(&same, &response(json!({"a": 1}), &[])).is_empty());
    // a field that is no longer returned goes
    let longer = seen(json!({"a": 1, "error": "old", "observedGeneration": 4}));
    let write = plan(&longer, &response(json!({"a": 1}), &[]));
    assert_eq!(words(&write), [r#"PUT status {"a":1,"observedGeneration":4}"#]);
    // no generation
    let mut parent = parent();
    parent["metadata"].as_object_mut().unwrap().remove("generation");
    let write = plan(&SyncRequest::new(parent, vec![]), &response(json!({}), &[]));
    assert_eq!(words(&write), [r#"PUT status {"observedGeneration":-1}"#]);
    // no object
    assert_eq!(words(&plan(&request(vec![]), &response(json!("up"), &[]))), [r#"PUT status "up""#]);
    assert!(plan(&seen(json!("up")), &response(json!("up"), &[])).is_empty());
}

#[test]
fn o4_null_status_sends_no_request() {
    let mut parent = parent();
    parent["status"] = json!({"a": 1});
    let request = SyncRequest::observe(&config(), parent, vec![]);
    assert!(plan(&request, &response(Value::Null, &[])).is_empty());
}

#[test]
fn o5_children_are_created_then_deleted_and_the_status_comes_last() {
    let (new, kept, gone) =
        (map("new", &json!({"a": "1"})), map("kept", &json!({})), map("gone", &json!({})));
    let mut dying = created(&map("dying", &json!({})));
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let request = request(vec![created(&gone), created(&kept), dying.clone()]);
    let writes = plan(&request, &response(json!({}), &[&kept, &new]));
    let expected = [
        "POST ConfigMap n/new",
        "DELETE ConfigMap n/gone of uid-of-gone",
        r#"PUT status {"observedGeneration":4}"#,
    ];
    assert_eq!(words(&writes), expected);
    // one that is being deleted is skipped, wanted or not
    assert!(plan_words(vec![dying], &[&map("dying", &json!({"b": "2"}))]).is_empty());
}

#[test]
fn o5_the_kind_is_a_part_of_the_identity() {
    let objects = vec![created(&map("x", &json!({}))), created(&pod("x", "i"))];
    assert_eq!(plan_words(objects, &[&map("x", &json!({}))]), ["DELETE Pod n/x of uid-of-x"]);
    // the version is not
    let config = OperatorConfig::new("demo", config().parent)
        .child(KindConfig::namespaced("apps/v1", "Deployment", "deployments"), Strategy::Replace);
    let object = |version: &str| {
        let mut object = child("Deployment", "d", "spec", &json!({}));
        object["apiVersion"] = version.into();
        object
    };
    let request = SyncRequest::observe(&config, parent(), vec![created(&object("apps/v1beta2"))]);
    let writes =
        plan_sync(&config, &request, &response(Value::Null, &[&object("apps/v1")]), &SettleGuard::default());
    assert_eq!(words(&writes.unwrap()), ["PUT Deployment.apps n/d"]);
}

#[test]
fn o6_replace_keeps_what_others_added_and_takes_out_what_was_dropped() {
    let mut seen = created(&map("m", &json!({"a": "1", "b": "2"})));
    seen["data"]["theirs"] = "x".into();
    seen["metadata"]["labels"]["theirs"] = "x".into();
    seen["metadata"]["annotations"]["theirs"] = "x".into();
    seen["metadata"]["finalizers"] = json!(["x.dev/theirs"]);
    let desired = map("m", &json!({"a": "3"}));
    let writes = plan(&request(vec![seen.clone()]), &response(Value::Null, &[&desired]));
    let mut expected = seen;
    expected["data"] = json!({"a": "3", "theirs": "x"});
    expected["metadata"]["annotations"]["pop-rs.dev/applied-paths"] = r#"{"data":{"a":1}}"#.into();
    assert_eq!(*sent(&writes), expected);
    let differences: Vec<String> =
        writes[0].sent().unwrap().1.differences.iter().map(ToString::to_string).collect();
    assert!(differences.contains(&r#".data.a: "1", desired "3""#.to_owned()), "{differences:?}");
    assert!(differences.contains(&r#".data.b: "2", desired absent"#.to_owned()), "{differences:?}");
}

#[test]
fn o6_a_path_that_others_removed_is_forgotten() {
    // the operator set `b` once, somebody removed it, and the handler wants it no more
    let mut seen = created(&map("m", &json!({"a": "1", "b": "2"})));
    seen["data"].as_object_mut().unwrap().remove("b");
    let desired = map("m", &json!({"a": "1"}));
    let writes = plan(&request(vec![seen]), &response(Value::Null, &[&desired]));
    let mut later = sent(&writes).clone();
    // another one sets it from now on
    later["data"]["b"] = "theirs".into();
    assert!(plan_words(vec![later], &[&desired]).is_empty());
}

#[test]
fn o6_a_forged_annotation_cannot_remove_identity_or_owner() {
    let desired = map("m", &json!({"a": "1"}));
    for forged in [
        r#"{"metadata":1,"kind":1,"apiVersion":1}"#,
        r#"{"metadata":{"name":1,"ownerReferences":1,"labels":{"pop-rs.dev/owner":1}}}"#,
        "[1]",
        "no json",
        r#"{"data":["name",7]}"#,
    ] {
        let good = created(&desired);
        let mut seen = good.clone();
        seen["metadata"]["annotations"]["pop-rs.dev/applied-paths"] = forged.into();
        let writes = plan(&request(vec![seen]), &response(Value::Null, &[&desired]));
        assert_eq!(*sent(&writes), good, "{forged}");
    }
}

#[test]
fn o6_recreate_tries_first_then_deletes_and_creates_later() {
    let (old, new) = (created(&pod("p", "a")), pod("p", "b"));
    let request = request(vec![old.clone()]);
    let mut guard = SettleGuard::default();
    let plan = |request: &SyncRequest, guard: &SettleGuard| {
        plan_sync(&config(), request, &response(Value::Null, &[&new]), guard).unwrap()
    };
    let probe = plan(&request, &guard);
    assert_eq!(words(&probe), ["TRY Pod n/p"]);
    guard.record_refusal(&probe[0]);
    assert_eq!(words(&plan(&request, &guard)), ["DELETE Pod n/p of uid-of-p"]);
    let mut dying = old;
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert!(plan(&common::request(vec![dying]), &guard).is_empty());
    assert_eq!(words(&plan(&common::request(vec![]), &guard)), ["POST Pod n/p"]);
}

#[test]
fn o6_on_delete_never_touches_a_child_that_exists() {
    let desired = child("Secret", "s", "data", &json!({"a": "new"}));
    let mut seen = created(&child("Secret", "s", "data", &json!({"a": "old"})));
    assert!(plan_words(vec![seen.clone()], &[&desired]).is_empty());
    seen["metadata"].as_object_mut().unwrap().remove("labels");
    assert!(plan_words(vec![seen], &[&desired]).is_empty());
    assert_eq!(plan_words(vec![], &[&desired]), ["POST Secret n/s"]);
}

#[test]
fn o9_a_minimal_child_stays_as_it_is() {
    let seen = created(&map("m", &json!({"a": "1"})));
    let minimal = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "n"}, "data": null});
    assert!(plan_words(vec![seen], &[&minimal]).is_empty());
    assert_eq!(plan_words(vec![], &[&minimal]), ["POST ConfigMap n/m"]);
}

#[test]
fn o10_o11_o12_all_faults_are_found_before_the_first_write() {
    let mut good = map("good", &json!({}));
    let mut elsewhere = map("a", &json!({}));
    elsewhere["metadata"]["namespace"] = "other".into();
    let mut nowhere = map("b", &json!({}));
    nowhere["metadata"].as_object_mut().unwrap().remove("namespace");
    let mut with_status = pod("c", "i");
    with_status["status"] = json!({"phase": "Running"});
    let mut reserved = map("d", &json!({}));
    reserved["metadata"]["finalizers"] = json!(["x.dev/a"]);
    let unknown = child("Job", "e", "spec", &json!({}));
    let nameless = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let found = faults(
        vec![],
        &[&good, &elsewhere, &nowhere, &with_status, &reserved, &unknown, &nameless, &json!(5), &good],
    );
    assert_eq!(
        found,
        [
            "child 2 (ConfigMap a): `metadata.namespace` is `other`, but the parent is in `n`",
            "child 3 (ConfigMap b): `metadata.namespace` is missing, but the parent is in `n`",
            "child 4 (Pod c): `status` is set: leave it out, the controller of the kind writes it",
            "child 5 (ConfigMap d): `metadata.finalizers` is set: leave it out",
            "child 6 (Job e): the kind `v1/Job` is not configured: add it to the children of the operator",
            "child 7 (ConfigMap ?): `metadata.name` is missing",
            "child 7 (ConfigMap ?): `metadata.namespace` is missing, but the parent is in `n`",
            "child 8 (? ?): `metadata.name` is missing",
            "child 8 (? ?): `apiVersion` or `kind` is missing",
            "child 9 (ConfigMap good): child 1 is the same object",
        ]
    );
    // metadata that only the server writes is ignored
    good["metadata"]["uid"] = "x".into();
    good["metadata"]["resourceVersion"] = "9".into();
    assert!(plan_words(vec![created(&map("good", &json!({})))], &[&good]).is_empty());
}

#[test]
fn o10_a_parent_of_the_cluster_has_children_in_namespaces() {
    let kind = |name: &str| KindConfig::cluster("x.dev/v1", name, "plural");
    let config = OperatorConfig::new("demo", kind("Fleet"))
        .child(config().children[0].kind.clone(), Strategy::Replace)
        .child(kind("Flag"), Strategy::Replace);
    assert!(config.faults().is_empty());
    let parent = json!({"apiVersion": "x.dev/v1", "kind": "Fleet", "metadata": {"name": "f", "uid": "u-1"}});
    let request = SyncRequest::observe(&config, parent, vec![]);
    let flag = json!({"apiVersion": "x.dev/v1", "kind": "Flag", "metadata": {"name": "g"}, "spec": {"a": 1}});
    let good = response(Value::Null, &[&map("m", &json!({})), &flag]);
    let writes = plan_sync(&config, &request, &good, &SettleGuard::default()).unwrap();
    assert_eq!(words(&writes), ["POST ConfigMap n/m", "POST Flag.x.dev g"]);
    let mut bad = good;
    bad.children[0]["metadata"].as_object_mut().unwrap().remove("namespace");
    bad.children[1]["metadata"]["namespace"] = "n".into();
    assert_eq!(plan_sync(&config, &request, &bad, &SettleGuard::default()).unwrap_err().len(), 2);
    // the other way round is a fault of the configuration
    let wrong = OperatorConfig::new("Demo!", common::config().parent)
        .child(kind("Flag"), Strategy::Replace)
        .child(kind("Flag"), Strategy::OnDelete);
    assert_eq!(wrong.faults().len(), 4);
}

#[test]
fn o13_a_new_child_has_labels_and_one_controller() {
    let mut desired = map("m", &json!({"a": "1"}));
    desired["metadata"]["labels"] = json!({"app": "x", "pop-rs.dev/owner": "forged"});
    let writes = plan(&request(vec![]), &response(Value::Null, &[&desired]));
    let metadata = &sent(&writes)["metadata"];
    let labels = json!({"app": "x", "pop-rs.dev/owner": "u-1", "app.kubernetes.io/managed-by": "demo"});
    assert_eq!(metadata["labels"], labels);
    assert_eq!(metadata["ownerReferences"], created(&desired)["metadata"]["ownerReferences"]);
}

#[test]
fn o13_labels_and_owner_are_repaired() {
    let desired = map("m", &json!({"a": "1"}));
    let good = created(&desired);
    for field in ["labels", "ownerReferences", "annotations"] {
        let mut seen = good.clone();
        seen["metadata"].as_object_mut().unwrap().remove(field);
        let writes = plan(&request(vec![seen]), &response(Value::Null, &[&desired]));
        assert_eq!(words(&writes), ["PUT ConfigMap n/m"], "{field}");
        assert_eq!(*sent(&writes), good, "{field}");
    }
    // also for a kind that is recreated
    let mut seen = created(&pod("p", "i"));
    seen["metadata"].as_object_mut().unwrap().remove("labels");
    assert_eq!(plan_words(vec![seen], &[&pod("p", "i")]), ["PUT Pod n/p"]);
}

#[test]
fn o13_only_label_and_owner_together_permit_a_deletion() {
    let good = created(&map("m", &json!({})));
    assert_eq!(plan_words(vec![good.clone()], &[]), ["DELETE ConfigMap n/m of uid-of-m"]);
    for field in ["labels", "ownerReferences"] {
        let mut seen = good.clone();
        seen["metadata"].as_object_mut().unwrap().remove(field);
        let request = request(vec![seen]);
        assert!(request.children.is_empty(), "{field}");
        assert!(plan(&request, &response(Value::Null, &[])).is_empty(), "{field}");
    }
}

#[test]
fn o13_a_child_is_repaired_before_it_is_recreated() {
    let mut seen = created(&pod("p", "a"));
    seen["metadata"].as_object_mut().unwrap().remove("labels");
    let writes = plan(&request(vec![seen]), &response(Value::Null, &[&pod("p", "b")]));
    assert_eq!(words(&writes), ["PUT Pod n/p"]);
    assert_eq!(*sent(&writes), created(&pod("p", "a")));
}

#[test]
fn o13_an_object_of_another_controller_is_foreign_even_with_our_reference() {
    let desired = map("m", &json!({}));
    let mut seen = created(&desired);
    let owners = seen["metadata"]["ownerReferences"].as_array_mut().unwrap();
    owners[0]["controller"] = false.into();
    owners.push(json!({"kind": "Other", "name": "o", "uid": "u-9", "controller": true}));
    assert!(plan_words(vec![seen.clone()], &[]).is_empty());
    assert_eq!(faults(vec![seen], &[&desired]).len(), 1);
}

#[test]
fn o21_a_name_that_others_have_is_a_fault() {
    let desired = map("m", &json!({}));
    let mut foreign = created(&desired);
    foreign["metadata"]["ownerReferences"][0]["uid"] = "u-2".into();
    foreign["metadata"]["ownerReferences"][0]["name"] = "first".into();
    let expected =
        "child 1 (ConfigMap m): the name is taken by an object of Site `first`: choose another name";
    assert_eq!(faults(vec![foreign.clone()], &[&desired]), [expected]);
    foreign["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    foreign["metadata"].as_object_mut().unwrap().remove("labels");
    assert_eq!(faults(vec![foreign.clone()], &[&desired]).len(), 1);
    // it is going: wait
    foreign["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert!(plan_words(vec![foreign], &[&desired]).is_empty());
}

fn handler(_: &SyncRequest) -> Result<SyncResponse, pop_operator::Error> {
    SyncResponse::from_status(json!({"ok": true}))
}

/// A handler that takes its time to clean up.
struct Slow;

impl pop_operator::Handler for Slow {
    fn sync(&self, _: &SyncRequest) -> Result<SyncResponse, pop_operator::Error> {
        Err("not called".into())
    }

    fn finalize(&self, request: &SyncRequest) -> Result<FinalizeResponse, pop_operator::Error> {
        if request.children.is_empty() {
            return FinalizeResponse::done().with_status(json!({"phase": "gone"}));
        }
        let response = FinalizeResponse::retry(Duration::from_secs(2)).with_children(vec![]);
        response.with_status(json!({"phase": "leaving"}))
    }
}

#[test]
fn o14_first_sight_adds_the_finalizer_and_does_not_call_the_handler() {
    let mut parent = parent();
    parent["metadata"]["finalizers"] = json!(["x.dev/other"]);
    let request = SyncRequest::observe(&config(), parent, vec![]);
    let pass = reconcile(&config(), &Slow, &request, &SettleGuard::default()).unwrap();
    assert_eq!((pass.phase, pass.again_after), (Phase::New, Some(Duration::ZERO)));
    let patch =
        r#"PATCH {"metadata":{"finalizers":["x.dev/other","pop-rs.dev/demo"],"resourceVersion":"10"}}"#;
    assert_eq!(words(&pass.writes), [patch]);
}

#[test]
fn o15_finalize_deletes_children_and_asks_again_until_it_is_done() {
    let mut parent = parent();
    parent["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let pass = |objects| {
        let request = SyncRequest::observe(&config(), parent.clone(), objects);
        reconcile(&config(), &Slow, &request, &SettleGuard::default()).unwrap()
    };
    let first = pass(vec![created(&pod("p", "i"))]);
    assert_eq!((first.phase, first.again_after), (Phase::Finalizing, Some(Duration::from_secs(2))));
    let status = r#"PUT status {"observedGeneration":4,"phase":"leaving"}"#;
    assert_eq!(words(&first.writes), ["DELETE Pod n/p of uid-of-p", status]);
    let last = pass(vec![]);
    assert_eq!(last.again_after, None);
    assert_eq!(words(&last.writes), [r#"PATCH {"metadata":{"finalizers":[],"resourceVersion":"10"}}"#]);
}

#[test]
fn o16_by_default_the_deletion_proceeds_and_children_are_left_to_the_server() {
    let request = request(vec![created(&map("m", &json!({})))]);
    let writes =
        plan_finalize(&config(), &request, &FinalizeResponse::done(), &SettleGuard::default()).unwrap();
    assert_eq!(words(&writes), [r#"PATCH {"metadata":{"finalizers":[],"resourceVersion":"10"}}"#]);
    let retry = FinalizeResponse::retry(Duration::from_secs(1));
    assert!(plan_finalize(&config(), &request, &retry, &SettleGuard::default()).unwrap().is_empty());
}

#[test]
fn o17_an_error_or_a_panic_changes_nothing() {
    let request = request(vec![created(&map("m", &json!({})))]);
    let guard = SettleGuard::default();
    let panics = |request: &SyncRequest| -> Result<SyncResponse, pop_operator::Error> {
        assert!(request.children.is_empty(), "there are children");
        SyncResponse::from_status(())
    };
    let error = reconcile(&config(), &panics, &request, &guard).unwrap_err();
    assert_eq!(error.to_string(), "the handler panicked: there are children");
    let error = reconcile(&config(), &Slow, &request, &guard).unwrap_err();
    assert_eq!(error.to_string(), "the handler failed: not called");
    let wrong = |_: &SyncRequest| {
        let mut response = SyncResponse::from_status(())?;
        response.add_child(json!({"kind": "ConfigMap"}))?;
        Ok(response)
    };
    assert!(matches!(reconcile(&config(), &wrong, &request, &guard), Err(ReconcileError::Children(_))));
}

#[test]
fn o18_o22_a_function_is_a_handler_and_may_ask_for_a_later_call() {
    let guard = SettleGuard::default();
    let pass = reconcile(&config(), &handler, &request(vec![]), &guard).unwrap();
    assert_eq!((pass.writes.len(), pass.again_after), (1, None));
    let later = |request: &SyncRequest| Ok(handler(request)?.resync(Duration::from_secs(7)));
    let pass = reconcile(&config(), &later, &request(vec![]), &guard).unwrap();
    assert_eq!(pass.again_after, Some(Duration::from_secs(7)));
}

#[test]
fn o20_what_the_server_rewrites_is_told_once_and_settles() {
    let desired = child("Pod", "p", "spec", &json!({"cpu": "0.1", "unknown": 1, "image": "a"}));
    let mut guard = SettleGuard::default();
    let answer = |write: &Write| {
        let mut answer = write.sent().unwrap().1.object.clone();
        answer["spec"] = json!({"cpu": "100m", "image": "a", "defaulted": true});
        answer["metadata"]["uid"] = "u".into();
        answer
    };
    let plan = |seen: &Value, guard: &SettleGuard| {
        plan_sync(&config(), &request(vec![seen.clone()]), &response(Value::Null, &[&desired]), guard)
            .unwrap()
    };
    let writes = plan_sync(&config(), &request(vec![]), &response(Value::Null, &[&desired]), &guard).unwrap();
    let seen = answer(&writes[0]);
    let told: Vec<String> = guard.record_answer(&writes[0], &seen).iter().map(ToString::to_string).collect();
    let expected = [
        r#"Pod n/p: .spec.cpu: wrote "0.1", the API server kept "100m""#,
        "Pod n/p: .spec.unknown: wrote 1, the API server kept no value",
    ];
    assert_eq!(told, expected);
    assert!(plan(&seen, &guard).is_empty());
    // a change by others still counts
    let mut edited = seen.clone();
    edited["spec"]["cpu"] = "200m".into();
    assert_eq!(words(&plan(&edited, &guard)), ["DELETE Pod n/p of u"]);
    // a restarted operator tries before it deletes
    let mut fresh = SettleGuard::default();
    let probe = plan(&seen, &fresh);
    assert_eq!(words(&probe), ["TRY Pod n/p"]);
    assert_eq!(fresh.record_answer(&probe[0], &answer(&probe[0])).len(), 2);
    assert!(fresh.record_answer(&probe[0], &answer(&probe[0])).is_empty(), "told once");
    assert!(plan(&seen, &fresh).is_empty());
    // the status too
    let writes = plan_sync(&config(), &request(vec![]), &response(json!({"a": 1}), &[]), &guard).unwrap();
    let mut pruned = parent();
    pruned["status"] = json!({"a": 1});
    assert_eq!(
        guard.record_answer(&writes[0], &pruned)[0].to_string(),
        "status: .observedGeneration: wrote 4, the API server kept no value"
    );
    let request = SyncRequest::observe(&config(), pruned, vec![]);
    assert!(plan_sync(&config(), &request, &response(json!({"a": 1}), &[]), &guard).unwrap().is_empty());
}
