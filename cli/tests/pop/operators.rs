//! Operators in any language: a project of `pop new` against a stand-in API server.

use crate::bench::{Bench, PATIENCE};
use crate::kubernetes::Cluster;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use pop_stand_in::{Config, Kind};
use serde_json::{Value, json};
use std::process::Command;

/// A project of an operator, and a cluster with its kinds.
struct Project {
    bench: Bench,
    cluster: Cluster,
}

impl Project {
    fn new() -> Self {
        let bench = Bench::new();
        bench.pop(0, "new sites --kind operator --lang python");
        let crd = bench.pop(0, "operator crd --config sites/operator.yaml").stdout;
        let definitions = vec![serde_saphyr::from_str(&crd).unwrap()];
        let deployments = Kind::new("apps", "v1", "deployments", "Deployment").with_status();
        let cluster = Cluster::with(Config { definitions, kinds: vec![deployments], ..Config::default() });
        Self { bench, cluster }
    }

    fn with<T>(&self, (group, kind): (&str, &str), asking: impl AsyncFnOnce(Api<DynamicObject>) -> T) -> T {
        let kind = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, "v1", kind));
        self.cluster.ask(async |client| asking(Api::namespaced_with(client, "pop", &kind)).await)
    }

    /// Waits until an object meets a condition.
    fn until(&self, kind: (&str, &str), condition: impl Fn(&Value) -> bool) {
        let seen = std::cell::RefCell::new(Value::Null);
        let met = |object: Option<&DynamicObject>| {
            let object = serde_json::to_value(object).unwrap();
            let is_met = condition(&object);
            *seen.borrow_mut() = object;
            is_met
        };
        let waited = self.with(kind, async |objects| {
            tokio::time::timeout(PATIENCE, await_condition(objects, "a", met)).await
        });
        assert!(waited.is_ok(), "{kind:?}: {:#}", seen.borrow());
    }

    fn patch(&self, kind: (&str, &str), is_status: bool, patch: &Value) {
        let patch = Patch::Merge(patch);
        self.with(kind, async |objects| {
            let params = PatchParams::default();
            if is_status {
                objects.patch_status("a", &params, &patch).await.unwrap()
            } else {
                objects.patch("a", &params, &patch).await.unwrap()
            }
        });
    }
}

const SITE: (&str, &str) = ("example.com", "Site");
const MAP: (&str, &str) = ("", "ConfigMap");
const DEPLOYMENT: (&str, &str) = ("apps", "Deployment");

#[test]
fn o1_o5_o30_python_operator_keeps_its_children_warm_and_for_each_call() {
    for is_warm in [true, false] {
        let project = Project::new();
        let folder = project.bench.path("sites");
        let tested = Command::new("python3").args(["-m", "unittest"]).current_dir(&folder).output().unwrap();
        assert!(tested.status.success(), "{tested:?}");
        if !is_warm {
            let registry = project.bench.read("sites/registry.json").replace("\"warm\": true,", "");
            project.bench.write("sites/registry.json", registry);
        }
        let call = project.cluster.call(
            &project.bench,
            "operator run --config sites/operator.yaml --registry sites/registry.json --http off --no-lease",
        );
        let mut operator = call.spawn();
        operator.says("the operator `sites` runs");
        let site = json!({
            "apiVersion": "example.com/v1", "kind": "Site", "metadata": {"name": "a"},
            "spec": {"text": "hello", "replicas": 2},
        });
        let site: DynamicObject = serde_json::from_value(site).unwrap();
        project.with(SITE, async |sites| sites.create(&PostParams::default(), &site).await.unwrap());
        project.until(MAP, |map| map["data"]["index.html"] == "hello");
        project.until(DEPLOYMENT, |deployment| deployment["spec"]["replicas"] == 2);
        project.until(SITE, |site| site["status"]["phase"] == "Pending");
        // what others do: a deployment becomes ready, a map is spoilt, a deployment is deleted
        project.patch(DEPLOYMENT, true, &json!({"status": {"readyReplicas": 2}}));
        project.until(SITE, |site| site["status"]["phase"] == "Ready");
        project.patch(MAP, false, &json!({"data": {"index.html": "spoilt", "more": "theirs"}}));
        project.until(MAP, |map| map["data"] == json!({"index.html": "hello", "more": "theirs"}));
        project.patch(SITE, false, &json!({"spec": {"text": "bye"}}));
        project.until(MAP, |map| map["data"]["index.html"] == "bye");
        project.with(SITE, async |sites| sites.delete("a", &DeleteParams::default()).await.unwrap());
        for kind in [SITE, MAP, DEPLOYMENT] {
            project.until(kind, Value::is_null);
        }
        operator.signal(rustix::process::Signal::TERM);
        assert_eq!(operator.end().code, 0);
    }
}

#[test]
fn o17_failing_handler_changes_nothing_and_tells_why() {
    let project = Project::new();
    let handler = project.bench.read("sites/operator_handler.py");
    let broken = handler.replace("\"children\": [page, deployment]", "\"childs\": [page, deployment]");
    project.bench.write("sites/operator_handler.py", broken);
    let call = project.cluster.call(
        &project.bench,
        "operator run --config sites/operator.yaml --registry sites/registry.json --http off --no-lease",
    );
    let mut operator = call.spawn();
    let site = json!({
        "apiVersion": "example.com/v1", "kind": "Site", "metadata": {"name": "a"}, "spec": {"text": "hello"},
    });
    let site: DynamicObject = serde_json::from_value(site).unwrap();
    project.with(SITE, async |sites| sites.create(&PostParams::default(), &site).await.unwrap());
    operator.says("the result has no field `childs` (did you mean `children`?)");
    let events = project.cluster.list::<k8s_openapi::api::events::v1::Event>();
    let told = |event: &Value| event["reason"] == "HandlerFailed" && event["regarding"]["name"] == "a";
    project.until(SITE, |site| site["status"].is_null() && site["metadata"]["finalizers"].is_array());
    let begun = std::time::Instant::now();
    let mut events = events;
    while !events.iter().any(told) {
        assert!(begun.elapsed() < PATIENCE, "{events:#?}");
        events = project.cluster.list::<k8s_openapi::api::events::v1::Event>();
    }
    let mended = project.bench.read("sites/operator_handler.py").replace("childs", "children");
    project.bench.write("sites/operator_handler.py", mended);
    // the warm program has the old code
    operator.crash();
    let _operator = project
        .cluster
        .call(
            &project.bench,
            "operator run --config sites/operator.yaml --registry sites/registry.json --http off --no-lease",
        )
        .spawn();
    project.until(MAP, |map| map["data"]["index.html"] == "hello");
}

#[test]
fn faulty_operator_file_is_told_with_its_places() {
    let bench = Bench::new();
    bench.write("operator.yaml", "name: Sites\nparent: {apiVersion: example.com/v1, kind: Site}\nchildren:\n  - {apiVersion: v1, kind: Pod, strategy: Relpace}\n");
    insta::assert_snapshot!(bench.pop(2, "operator crd --config operator.yaml").screen(), @r"
    exit 2
    --- stderr
    error[missing-field]: `handler` is missing
     --> operator.yaml:1:1
      |
    1 | name: Sites
      | ^

    error[wrong-value]: `Sites` is no operator name: use 1 to 63 lower-case letters, digits and `-`
     --> operator.yaml:1:7
      |
    1 | name: Sites
      |       ^^^^^

    error[wrong-value]: `Relpace` is no strategy: write Replace, Recreate or OnDelete
     --> operator.yaml:4:43
      |
    4 |   - {apiVersion: v1, kind: Pod, strategy: Relpace}
      |                                           ^^^^^^^ did you mean `Replace`?
    ");
    insta::assert_snapshot!(bench.pop(2, "operator run").screen(), @r"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      <--config <FILE>|--agendas>

    Usage: pop operator run <--config <FILE>|--agendas>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(bench.call("operator run --agendas").variable("KUBECONFIG", "none").ends(14).screen(), @r#"
    exit 14
    --- stderr
    error: no cluster is configured: failed to infer config: in-cluster: (failed to read an incluster environment variable: environment variable not found), kubeconfig: (failed to read kubeconfig from '"none"': No such file or directory (os error 2))
    hint: set KUBECONFIG, or run the operator in a pod with a service account
    "#);
}
