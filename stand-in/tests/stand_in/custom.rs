//! Custom resources for operators: the status subresource, generations, finalizers, and the request log.

use crate::test_cluster::TestCluster;
use futures_util::TryStreamExt as _;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use pop_stand_in::{Config, Kind};
use serde_json::{Value, json};
use std::pin::pin;

/// A stand-in with a custom kind that has a `status` subresource.
async fn start() -> (TestCluster, Api<DynamicObject>) {
    let kinds = vec![Kind::parse("pop.test/v1/toys/Toy:status").unwrap()];
    let cluster = TestCluster::start_with(Config { kinds, ..Config::default() }).await;
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("pop.test", "v1", "Toy"), "toys");
    let toys = Api::namespaced_with(cluster.client.clone(), "pop", &resource);
    (cluster, toys)
}

fn toy(name: &str, more: &Value) -> DynamicObject {
    let mut toy = json!({"apiVersion": "pop.test/v1", "kind": "Toy", "metadata": {"name": name}});
    json_patch::merge(&mut toy, more);
    serde_json::from_value(toy).unwrap()
}

fn code(error: kube::Error) -> (u16, String) {
    match error {
        kube::Error::Api(status) => (status.code, status.reason.clone()),
        other => unreachable!("{other}"),
    }
}

#[tokio::test]
async fn a_status_update_changes_only_the_status() {
    let (_played, toys) = start().await;
    let metadata = json!({"finalizers": ["pop.test/held"], "labels": {"a": "b"}});
    let made = toys
        .create(
            &PostParams::default(),
            &toy("x", &json!({"metadata": metadata, "spec": {"n": 1}, "status": {"no": 1}})),
        )
        .await
        .unwrap();
    assert_eq!((made.metadata.generation, made.data.get("status")), (Some(1), None));
    let status = |more: Value| toy("x", &more);
    let bare = status(json!({"status": {"is": "ready"}}));
    assert_eq!(code(toys.replace_status("x", &PostParams::default(), &bare).await.unwrap_err()).0, 422);
    let version =
        json!({"metadata": {"resourceVersion": made.resource_version()}, "status": {"is": "ready"}});
    let replaced = toys.replace_status("x", &PostParams::default(), &status(version)).await.unwrap();
    assert_eq!(replaced.data, json!({"spec": {"n": 1}, "status": {"is": "ready"}}));
    assert_eq!(
        (replaced.finalizers(), replaced.labels()["a"].as_str()),
        (["pop.test/held".to_owned()].as_slice(), "b")
    );
    assert_eq!(replaced.metadata.generation, Some(1));
    let stale = json!({"metadata": {"resourceVersion": made.resource_version()}, "status": {"is": "late"}});
    let stale = toys.replace_status("x", &PostParams::default(), &status(stale)).await.unwrap_err();
    assert_eq!(code(stale), (409, "Conflict".to_owned()));
    // the main endpoint preserves the status, and the generation rises with the spec
    let version = json!({"metadata": {"resourceVersion": replaced.resource_version()}, "spec": {"n": 2}, "status": {"is": "gone"}});
    let replaced = toys.replace("x", &PostParams::default(), &toy("x", &version)).await.unwrap();
    assert_eq!(replaced.data, json!({"spec": {"n": 2}, "status": {"is": "ready"}}));
    assert_eq!(replaced.metadata.generation, Some(2));
    let cleared = json!({"metadata": {"resourceVersion": replaced.resource_version()}, "status": null});
    let cleared = toys.replace_status("x", &PostParams::default(), &toy("x", &cleared)).await.unwrap();
    assert_eq!(cleared.data, json!({"spec": {"n": 2}}));
    let strategic = Patch::Strategic(json!({"spec": {"n": 3}}));
    assert_eq!(code(toys.patch("x", &PatchParams::default(), &strategic).await.unwrap_err()).0, 415);
}

#[tokio::test]
async fn a_deletion_raises_the_generation_and_refuses_new_finalizers() {
    let (_played, toys) = start().await;
    toys.create(&PostParams::default(), &toy("x", &json!({"metadata": {"finalizers": ["pop.test/held"]}})))
        .await
        .unwrap();
    let mut versions = Vec::new();
    for _ in 0..2 {
        toys.delete("x", &DeleteParams::default()).await.unwrap();
        let held = toys.get("x").await.unwrap();
        assert_eq!(held.metadata.generation, Some(2));
        versions.push(held.resource_version());
    }
    assert_eq!(versions[0], versions[1]);
    let more = Patch::Merge(json!({"metadata": {"finalizers": ["pop.test/held", "pop.test/more"]}}));
    assert_eq!(
        code(toys.patch("x", &PatchParams::default(), &more).await.unwrap_err()),
        (422, "Invalid".to_owned())
    );
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    toys.patch("x", &PatchParams::default(), &free).await.unwrap();
    assert!(toys.get_opt("x").await.unwrap().is_none());
}

#[tokio::test]
async fn a_json_patch_may_test_that_a_field_is_absent() {
    let (_played, toys) = start().await;
    toys.create(&PostParams::default(), &toy("x", &json!({}))).await.unwrap();
    let held = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["pop.test/held"]},
    ]);
    let patch: json_patch::Patch = serde_json::from_value(held).unwrap();
    let patched = toys.patch("x", &PatchParams::default(), &Patch::Json::<()>(patch.clone())).await.unwrap();
    assert_eq!(patched.finalizers(), ["pop.test/held"]);
    assert_eq!(
        code(toys.patch("x", &PatchParams::default(), &Patch::Json::<()>(patch)).await.unwrap_err()).0,
        422
    );
}

#[tokio::test]
async fn an_object_leaving_a_selection_is_shown_as_it_was() {
    let (_played, toys) = start().await;
    toys.create(
        &PostParams::default(),
        &toy("x", &json!({"metadata": {"labels": {"a": "b"}}, "spec": {"n": 1}})),
    )
    .await
    .unwrap();
    let mut watched = pin!(toys.watch(&WatchParams::default().labels("a=b"), "0").await.unwrap());
    assert!(matches!(watched.try_next().await.unwrap(), Some(WatchEvent::Added(_))));
    let leaves = Patch::Merge(json!({"metadata": {"labels": {"a": "c"}}, "spec": {"n": 2}}));
    let now = toys.patch("x", &PatchParams::default(), &leaves).await.unwrap();
    let Some(WatchEvent::Deleted(last)) = watched.try_next().await.unwrap() else { unreachable!() };
    assert_eq!((last.labels()["a"].as_str(), &last.data["spec"]["n"]), ("b", &json!(1)));
    assert_eq!(last.resource_version(), now.resource_version());
}

#[tokio::test]
async fn the_request_log_has_body_and_status() {
    let (cluster, toys) = start().await;
    toys.create(&PostParams::default(), &toy("x", &json!({"spec": {"n": 1}}))).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"n": 2}}));
    toys.patch("x", &PatchParams::default(), &patch).await.unwrap();
    toys.get_opt("y").await.unwrap();
    let requests = cluster.stand_in.requests();
    let seen: Vec<_> =
        requests.iter().map(|it| (it.verb.as_str(), it.content_type.as_str(), it.status)).collect();
    assert_eq!(
        seen,
        [
            ("create", "application/json", Some(201)),
            ("patch", "application/merge-patch+json", Some(200)),
            ("get", "", Some(404)),
        ]
    );
    assert_eq!(serde_json::from_str::<Value>(&requests[1].body).unwrap(), json!({"spec": {"n": 2}}));
    assert!(requests.windows(2).all(|pair| pair[0].milliseconds <= pair[1].milliseconds));
}

#[tokio::test]
async fn a_second_manager_may_not_apply_a_field_of_the_first() {
    let (_played, toys) = start().await;
    let apply = async |manager: &str, spec: Value, is_forced: bool| {
        let params = PatchParams { force: is_forced, ..PatchParams::apply(manager) };
        let toy = toy("x", &json!({"spec": spec}));
        toys.patch("x", &params, &Patch::Apply(toy)).await
    };
    apply("a", json!({"n": 1, "own": 1}), false).await.unwrap();
    let kube::Error::Api(status) = apply("b", json!({"n": 2}), false).await.unwrap_err() else {
        unreachable!()
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"a\": .spec.n");
    let cause = &status.details.as_ref().unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".spec.n"));
    let taken = apply("b", json!({"n": 2}), true).await.unwrap();
    assert_eq!(taken.data["spec"], json!({"n": 2, "own": 1}));
    // a write without changes makes no new version
    let again = apply("b", json!({"n": 2}), false).await.unwrap();
    assert_eq!(again.resource_version(), taken.resource_version());
    // a merge patch takes over fields, too
    let patch = Patch::Merge(json!({"spec": {"own": 5}}));
    toys.patch("x", &PatchParams { field_manager: Some("c".to_owned()), ..PatchParams::default() }, &patch)
        .await
        .unwrap();
    assert_eq!(code(apply("a", json!({"own": 1}), false).await.unwrap_err()).0, 409);
    let status = Patch::Apply(toy("y", &json!({"status": {"is": 1}})));
    assert_eq!(code(toys.patch_status("y", &PatchParams::apply("a"), &status).await.unwrap_err()).0, 404);
}
