//! CustomResourceDefinitions: kinds that come and go, schemas, and the words of refusals.

use crate::test_cluster::{HANG, TestCluster};
use futures_util::TryStreamExt as _;
use hyper::header::WARNING;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt as _};
use pop_stand_in::Config;
use serde_json::{Value, json};
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

const TOYS: &str = "/apis/pop.test/v1/namespaces/pop/toys";

/// The definition of the kind `Toy`, with a schema and a `status` subresource.
fn toys() -> Value {
    let spec = json!({
        "type": "object", "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 10},
            "colour": {"type": "string", "enum": ["red", "green"], "default": "red"},
            "name": {"type": "string", "pattern": "^[a-z]+$"},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    });
    let status = json!({"type": "object", "properties": {"phase": {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "toys.pop.test"},
        "spec": {
            "group": "pop.test", "scope": "Namespaced", "names": {"plural": "toys", "kind": "Toy", "shortNames": ["ty"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}},
            }],
        },
    })
}

async fn start() -> TestCluster {
    TestCluster::start_with(Config { definitions: vec![toys()], ..Config::default() }).await
}

fn toy(more: &Value) -> Value {
    let mut toy = json!({
        "apiVersion": "pop.test/v1", "kind": "Toy", "metadata": {"name": "x"}, "spec": {"size": 1},
    });
    json_patch::merge(&mut toy, more);
    toy
}

/// Sends a request. Returns the status, the warnings and the body of the response.
async fn send(client: &Client, method: &str, path: &str, body: &Value) -> (u16, Vec<String>, Value) {
    let format = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = hyper::Request::builder().method(method).uri(path).header("content-type", format);
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let response = client.send(request.body(bytes.into()).unwrap()).await.unwrap();
    let warnings =
        response.headers().get_all(WARNING).iter().map(|it| it.to_str().unwrap().to_owned()).collect();
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    (status, warnings, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_kind_is_served_from_its_definition_to_its_deletion() {
    let wait = Duration::from_millis(100);
    let cluster = TestCluster::start_with(Config { establish_after: wait, ..Config::default() }).await;
    let client = &cluster.client;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    assert_eq!(send(client, "GET", TOYS, &Value::Null).await.0, 404);
    let mut watched = pin!(definitions.watch(&WatchParams::default(), "0").await.unwrap());
    let definition: CustomResourceDefinition = serde_json::from_value(toys()).unwrap();
    let made = definitions.create(&PostParams::default(), &definition).await.unwrap();
    assert_eq!(made.spec.names.list_kind.as_deref(), Some("ToyList"));
    assert_eq!(made.status.unwrap().stored_versions.unwrap(), ["v1"]);
    assert_eq!(send(client, "GET", TOYS, &Value::Null).await.0, 404);
    let established = await_condition(definitions.clone(), "toys.pop.test", is_crd_established());
    timeout(HANG, established).await.unwrap().unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let (WatchEvent::Added(found) | WatchEvent::Modified(found)) =
            watched.try_next().await.unwrap().unwrap()
        else {
            unreachable!()
        };
        let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
        seen.push(
            conditions.iter().map(|it| format!("{}={}", it.type_, it.status)).collect::<Vec<_>>().join(" "),
        );
    }
    assert_eq!(seen, ["", "NamesAccepted=True Established=False", "NamesAccepted=True Established=True"]);
    assert_eq!(definitions.list(&ListParams::default()).await.unwrap().items.len(), 1);
    let short: Value =
        client.request(hyper::Request::get("/apis/pop.test/v1").body(Vec::new()).unwrap()).await.unwrap();
    assert_eq!(short["resources"][0]["shortNames"], json!(["ty"]));
    // kubectl looks here whether the server validates fields
    let (_, _, index) = send(client, "GET", "/openapi/v3", &Value::Null).await;
    let url = index["paths"]["apis/pop.test/v1"]["serverRelativeURL"].as_str().unwrap();
    let (_, _, document) = send(client, "GET", url, &Value::Null).await;
    let patch = &document["paths"]["/apis/pop.test/v1/namespaces/{namespace}/toys/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Toy");
    assert!(patch["parameters"].as_array().unwrap().iter().any(|it| it["name"] == "fieldValidation"));
    let found = kube::discovery::group(client, "pop.test").await.unwrap();
    let (resource, capabilities) = found.recommended_kind("Toy").unwrap();
    assert!(resource.plural == "toys" && capabilities.subresources.iter().any(|it| it.0.plural == "status"));

    // the definition goes after all its objects, and these may be held by finalizers
    let held = toy(&json!({"metadata": {"finalizers": ["pop.test/held"]}}));
    assert_eq!(send(client, "POST", TOYS, &held).await.0, 201);
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("pop.test", "v1", "Toy"));
    let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), "pop", &kind);
    let mut watched = pin!(objects.watch(&WatchParams::default(), "0").await.unwrap());
    let deleted = definitions.delete("toys.pop.test", &DeleteParams::default()).await.unwrap().unwrap_left();
    assert_eq!(deleted.finalizers(), ["customresourcecleanup.apiextensions.k8s.io"]);
    let (status, _, body) = send(client, "POST", TOYS, &toy(&json!({"metadata": {"name": "y"}}))).await;
    let said = "create not allowed while custom resource definition is terminating";
    assert_eq!((status, &body["message"]), (405, &json!(said)));
    let is_deleted = |event: &WatchEvent<DynamicObject>| match event {
        WatchEvent::Modified(object) => object.metadata.deletion_timestamp.is_some(),
        _ => false,
    };
    while !is_deleted(&watched.try_next().await.unwrap().unwrap()) {}
    let uid = deleted.uid().unwrap();
    let free = json!({"metadata": {"finalizers": null}});
    assert_eq!(send(client, "PATCH", &format!("{TOYS}/x"), &free).await.0, 200);
    let gone = await_condition(definitions, "toys.pop.test", kube::runtime::conditions::is_deleted(&uid));
    timeout(HANG, gone).await.unwrap().unwrap();
    // the watch sees the deletion and ends
    assert!(matches!(watched.try_next().await.unwrap(), Some(WatchEvent::Deleted(_))));
    assert!(watched.try_next().await.unwrap().is_none());
    assert_eq!(send(client, "GET", TOYS, &Value::Null).await.0, 404);
    let unserved =
        cluster.stand_in.requests().into_iter().filter(|it| it.path == TOYS && it.status == Some(404));
    assert_eq!(
        unserved.map(|it| (it.method, it.verb)).collect::<Vec<_>>(),
        vec![("GET".to_owned(), "list".to_owned()); 3]
    );
}

#[tokio::test]
async fn a_schema_prunes_and_sets_defaults() {
    let cluster = start().await;
    let client = &cluster.client;
    let more = json!({
        "spec": {"other": 1, "name": null, "open": {"any": 1}}, "more": 1, "status": {"phase": "no"},
        "metadata": {"finalizers": ["held", "pop.test/held"]},
    });
    let (status, warnings, made) = send(client, "POST", TOYS, &toy(&more)).await;
    assert_eq!((status, &made["spec"]), (201, &json!({"size": 1, "colour": "red", "open": {"any": 1}})));
    assert!(made["more"].is_null() && made["status"].is_null());
    assert_eq!(
        warnings,
        [
            "299 - \"unknown field \\\"more\\\"\"",
            "299 - \"unknown field \\\"spec.other\\\"\"",
            "299 - \"metadata.finalizers: \\\"held\\\": prefer a domain-qualified finalizer name including a path (/) to \
             avoid accidental conflicts with other finalizer writers\"",
        ]
    );
    // unknown status fields are pruned, so the second write changes nothing
    let path = format!("{TOYS}/x/status");
    let patch = json!({"status": {"phase": "Ready", "observedGeneration": 1}});
    let (status, _, first) = send(client, "PATCH", &path, &patch).await;
    assert_eq!((status, &first["status"]), (200, &json!({"phase": "Ready"})));
    let (_, _, second) = send(client, "PATCH", &path, &patch).await;
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let strict = format!("{TOYS}?fieldValidation=Strict");
    let wrong = toy(&json!({"metadata": {"name": "y"}, "spec": {"other": 1}}));
    let (status, _, refused) = send(client, "POST", &strict, &wrong).await;
    let said = "Toy in version \"v1\" cannot be handled as a Toy: strict decoding error: unknown field \"spec.other\"";
    assert_eq!((status, &refused["message"]), (400, &json!(said)));
    let (status, warnings, _) = send(client, "POST", &format!("{TOYS}?fieldValidation=Ignore"), &wrong).await;
    assert_eq!((status, warnings.len()), (201, 0));
    // server-side apply refuses unknown fields
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("pop.test", "v1", "Toy"));
    let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), "pop", &kind);
    let refused = objects.patch("y", &PatchParams::apply("a"), &Patch::Apply(wrong)).await.unwrap_err();
    let said = "failed to create typed patch object (pop/y; pop.test/v1, Kind=Toy): .spec.other: field not declared in \
                schema";
    assert!(
        matches!(refused, kube::Error::Api(status) if (status.code, status.message.as_str()) == (500, said))
    );
}

#[tokio::test]
async fn a_value_against_the_schema_is_refused_with_its_path() {
    let cluster = start().await;
    let client = &cluster.client;
    for (more, expected) in [
        (
            json!({"spec": {"size": "big"}}),
            "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
        ),
        (json!({"spec": {"size": null}}), "spec.size: Required value"),
        (
            json!({"spec": {"size": 11}}),
            "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10",
        ),
        (
            json!({"spec": {"size": 0}}),
            "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
        ),
        (
            json!({"spec": {"colour": "blue"}}),
            "spec.colour: Unsupported value: \"blue\": supported values: \"red\", \"green\"",
        ),
        (
            json!({"spec": {"name": "A"}}),
            "spec.name: Invalid value: \"A\": spec.name in body should match '^[a-z]+$'",
        ),
    ] {
        let (status, _, refused) = send(client, "POST", TOYS, &toy(&more)).await;
        assert_eq!((status, &refused["reason"]), (422, &json!("Invalid")), "{more}");
        assert_eq!(refused["message"], format!("Toy.pop.test \"x\" is invalid: {expected}"));
        assert_eq!(refused["details"]["causes"][0]["field"], expected.split_once(": ").unwrap().0);
    }
    assert_eq!(send(client, "POST", TOYS, &toy(&json!({}))).await.0, 201);
    let (status, _, refused) =
        send(client, "PATCH", &format!("{TOYS}/x/status"), &json!({"status": "done"})).await;
    let said = "Toy.pop.test \"x\" is invalid: status: Invalid value: \"string\": status in body must be of type object: \"string\"";
    assert_eq!((status, &refused["message"]), (422, &json!(said)));
    // a fault from before a stricter schema does not refuse other changes
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let size = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/minimum";
    let patch = json!([{"op": "replace", "path": size, "value": 5}]);
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    definitions.patch("toys.pop.test", &PatchParams::default(), &Patch::Json::<()>(patch)).await.unwrap();
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(send(client, "PATCH", &format!("{TOYS}/x"), &label).await.0, 200);
    assert_eq!(send(client, "PATCH", &format!("{TOYS}/x"), &json!({"spec": {"size": 2}})).await.0, 422);
}

#[tokio::test]
async fn a_table_has_the_printer_columns() {
    let mut columns = toys();
    columns["spec"]["versions"][0]["additionalPrinterColumns"] = json!([
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]);
    let cluster = TestCluster::start_with(Config { definitions: vec![columns], ..Config::default() }).await;
    assert_eq!(send(&cluster.client, "POST", TOYS, &toy(&json!({}))).await.0, 201);
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let request = hyper::Request::get(TOYS).header("accept", accept).body(Vec::new()).unwrap();
    let table: Value = cluster.client.request(request).await.unwrap();
    let names: Vec<_> = table["columnDefinitions"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!((&table["kind"], json!(names)), (&json!("Table"), json!(["Name", "Size", "Phase", "Age"])));
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..3], [json!("x"), json!(1), Value::Null]);
    assert!(cells[3].as_str().unwrap().ends_with('s'));
}

#[tokio::test]
async fn a_definition_needs_a_structural_schema_and_its_name() {
    let cluster = start().await;
    let client = &cluster.client;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut wrong = toys();
    wrong["metadata"]["name"] = "toy".into();
    wrong["spec"]["versions"][0]["schema"] = Value::Null;
    let (status, _, refused) = send(client, "POST", path, &wrong).await;
    let said = "CustomResourceDefinition.apiextensions.k8s.io \"toy\" is invalid: [metadata.name: Invalid value: \"toy\": \
                must be spec.names.plural+\".\"+spec.group, spec.versions[0].schema.openAPIV3Schema: Required value: \
                schemas are required]";
    assert_eq!((status, &refused["message"]), (422, &json!(said)));
    let scope = json!({"spec": {"scope": "Cluster"}});
    let (status, _, refused) = send(client, "PATCH", &format!("{path}/toys.pop.test"), &scope).await;
    assert_eq!((status, &refused["details"]["causes"][0]["field"]), (422, &json!("spec.scope")));
    let mut same_kind = toys();
    same_kind["metadata"]["name"] = "toies.pop.test".into();
    same_kind["spec"]["names"]["plural"] = "toies".into();
    assert_eq!(send(client, "POST", path, &same_kind).await.0, 201);
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let is_refused = |found: Option<&CustomResourceDefinition>| {
        let conditions =
            found.and_then(|found| found.status.as_ref()?.conditions.clone()).unwrap_or_default();
        conditions.iter().any(|it| it.reason.as_deref() == Some("KindConflict") && it.status == "False")
    };
    timeout(HANG, await_condition(definitions, "toies.pop.test", is_refused)).await.unwrap().unwrap();
    assert_eq!(send(client, "GET", "/apis/pop.test/v1/toies", &Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_kind_without_a_status_subresource_counts_its_status_as_content() {
    let mut plain = toys();
    plain["spec"]["scope"] = "Cluster".into();
    plain["spec"]["versions"][0]["subresources"] = Value::Null;
    let mut second = plain["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["storage"] = false.into();
    plain["spec"]["versions"].as_array_mut().unwrap().push(second);
    let cluster = TestCluster::start_with(Config { definitions: vec![plain], ..Config::default() }).await;
    let client = &cluster.client;
    let path = "/apis/pop.test/v1/toys";
    let (status, _, made) = send(client, "POST", path, &toy(&json!({"status": {"phase": "A"}}))).await;
    assert_eq!(
        (status, &made["status"], &made["metadata"]["generation"]),
        (201, &json!({"phase": "A"}), &json!(1))
    );
    let (_, _, changed) =
        send(client, "PATCH", &format!("{path}/x"), &json!({"status": {"phase": "B"}})).await;
    assert_eq!((&changed["status"], &changed["metadata"]["generation"]), (&json!({"phase": "B"}), &json!(2)));
    assert_eq!(send(client, "PATCH", &format!("{path}/x/status"), &json!({"status": {}})).await.0, 404);
    // the same object in the other version
    let (status, _, found) = send(client, "GET", "/apis/pop.test/v2/toys/x", &Value::Null).await;
    assert_eq!((status, &found["apiVersion"]), (200, &json!("pop.test/v2")));
    let (_, _, list) = send(client, "GET", "/apis/pop.test/v2/toys", &Value::Null).await;
    assert_eq!(
        (&list["apiVersion"], &list["items"][0]["apiVersion"]),
        (&json!("pop.test/v2"), &json!("pop.test/v2"))
    );
    // a write needs the version that it is based on
    let (status, _, refused) = send(client, "PUT", &format!("{path}/x"), &toy(&json!({}))).await;
    let said = "toys.pop.test \"x\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update";
    assert_eq!((status, &refused["message"]), (422, &json!(said)));
    let stale = toy(&json!({"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}));
    assert_eq!(send(client, "PUT", &format!("{path}/x"), &stale).await.0, 409);
}
