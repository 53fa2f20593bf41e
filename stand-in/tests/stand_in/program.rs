//! The program `pop-stand-in` and its control API over HTTP.

use crate::test_cluster::{HANG, client, pod};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// Two definitions in one file.
fn definitions() -> String {
    let definition = |plural: &str, kind: &str| {
        format!(
            "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.pop.test}}
spec:
  group: pop.test
  scope: Cluster
  names: {{plural: {plural}, kind: {kind}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {{type: object, properties: {{size: {{type: integer}}}}}}
"
        )
    };
    format!("{}---{}", definition("balls", "Ball"), definition("bats", "Bat"))
}

#[tokio::test]
async fn the_program_serves_until_sigterm_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let file = folder.path().join("crds.yaml");
    std::fs::write(&file, definitions()).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_pop-stand-in"))
        .args(["--node-label", "disk=ssd", "--kind", "pop.test/v1/toys/Toy:status", "--kubeconfig"])
        .arg(&path)
        .arg("--crd")
        .arg(&file)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), format!("ready {}", path.display()));
    let client = client(&std::fs::read_to_string(&path).unwrap()).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "pop");
    // the pod holds the pipe open until it ends
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut lasting =
        pod("x", &format!("exec 3>{}; trap '' TERM; echo up >&3; while :; do sleep 1; done", fifo.display()));
    lasting["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    pods.create(&PostParams::default(), &serde_json::from_value(lasting).unwrap()).await.unwrap();
    let mut reader =
        Command::new("cat").arg(&fifo).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut held = BufReader::new(reader.stdout.take().unwrap()).lines();
    assert_eq!(held.next_line().await.unwrap().unwrap(), "up");

    let order = |method: &str, action: &str, body: Value| {
        let request = hyper::Request::builder().method(method).uri(format!("/_stand-in/{action}"));
        let request = request.body(body.to_string().into_bytes()).unwrap();
        let client = client.clone();
        async move { client.request::<Value>(request).await.unwrap() }
    };
    let rule =
        json!({"method": "DELETE", "path": "/pods/x$", "times": 1, "action": {"answer": {"status": 403}}});
    order("POST", "faults", rule).await;
    let refused = pods.delete("x", &DeleteParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));
    let toys = hyper::Request::get("/apis/pop.test/v1/toys").body(Vec::new()).unwrap();
    assert_eq!(client.request::<Value>(toys).await.unwrap()["kind"], "ToyList");
    for wrong in ["balls", "bats"] {
        let object = json!({"metadata": {"name": "x"}, "spec": {"size": "big"}}).to_string().into_bytes();
        let request = hyper::Request::post(format!("/apis/pop.test/v1/{wrong}")).body(object).unwrap();
        let refused = client.request::<Value>(request).await.unwrap_err();
        assert!(matches!(refused, kube::Error::Api(status) if status.code == 422));
    }
    let counts = order("GET", "requests", Value::Null).await["counts"].clone();
    assert_eq!(
        counts,
        json!({
            "create balls": 1, "create bats": 1, "create pods": 1, "delete pods": 1, "list toys": 1,
        })
    );

    let id = rustix::process::Pid::from_raw(program.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(timeout(HANG, program.wait()).await.unwrap().unwrap().success());
    assert_eq!(timeout(HANG, held.next_line()).await.unwrap().unwrap(), None);
}

#[tokio::test]
async fn an_object_is_deleted_when_its_finalizer_is_removed() {
    let cluster = crate::test_cluster::TestCluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "pop");
    let map = json!({"metadata": {"name": "held", "finalizers": ["pop.io/held"]}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    let uid = maps.create(&PostParams::default(), &map).await.unwrap().metadata.uid.unwrap();
    maps.delete("held", &DeleteParams::default()).await.unwrap();
    let held = maps.get("held").await.unwrap();
    assert!(held.metadata.deletion_timestamp.is_some());
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &free).await.unwrap();
    let gone = await_condition(maps, "held", kube::runtime::conditions::is_deleted(&uid));
    timeout(HANG, gone).await.unwrap().unwrap();
}
