//! Agendas as Kubernetes resources: the operator and its executors against a stand-in API server.

use crate::bench::{Bench, PATIENCE};
use crate::kubernetes::Cluster;
use crate::running::Running;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::runtime::wait::await_condition;
use pop_stand_in::Config;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A program of executor pods: mounts of the stand-in's processes are below a folder.
const EXECUTOR: &str = r#"#!/bin/sh
n=$#
while [ $n -gt 0 ]; do
    case $1 in /etc/pop/*) set -- "$@" "$POP_STAND_IN_ROOT$1" ;; *) set -- "$@" "$1" ;; esac
    shift
    n=$((n - 1))
done
export POP_RUNS="$POP_STAND_IN_ROOT/runs"
cd "$POP_STAND_IN_ROOT" || exit
exec POP "$@"
"#;

/// A cluster with the resource, and a folder that operations write to.
struct Agendas {
    cluster: Cluster,
    bench: Bench,
}

impl Agendas {
    fn new() -> Self {
        let bench = Bench::new();
        bench.program("executor", &EXECUTOR.replace("POP \"", &format!("{} \"", env!("CARGO_BIN_EXE_pop"))));
        let crd = bench.pop(0, "operator crd --agendas").stdout;
        let definition: Value = serde_saphyr::from_str(&crd).unwrap();
        let cluster = Cluster::with(Config { definitions: vec![definition], ..Config::default() });
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        let read = |name: &str| std::fs::read_to_string(deploy.join(name)).unwrap();
        let rbac = bench.pop(0, "operator rbac --agendas").stdout;
        for text in [read("10-service-account.yaml"), read("20-roles.yaml"), rbac] {
            text.split("\n---\n")
                .for_each(|object| create(&cluster, &serde_saphyr::from_str(object).unwrap()));
        }
        bench.write("operator", cluster.stand_in.kubeconfig_for("pop", "pop-agendas-operator"));
        Self { cluster, bench }
    }

    /// Starts the operator.
    fn operator(&self) -> Running {
        let executor = self.bench.path("executor");
        let call =
            self.cluster.call(&self.bench, "operator run --agendas --image pop:1 --http off --no-lease");
        call.argument("--executor-command").argument(executor.to_str().unwrap()).spawn()
    }

    fn with<T>(&self, asking: impl AsyncFnOnce(Api<DynamicObject>) -> T) -> T {
        let kind = ApiResource {
            group: "pop-rs.dev".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: "pop-rs.dev/v1alpha1".to_owned(),
            kind: "Agenda".to_owned(),
            plural: "agendas".to_owned(),
        };
        self.cluster.ask(async |client| asking(Api::namespaced_with(client, "pop", &kind)).await)
    }

    /// Applies an Agenda of shell lines that run one after another in the bench's folder.
    fn apply(&self, name: &str, lines: &[(&str, &str, Value)]) {
        let folder = self.bench.path("").to_str().unwrap().to_owned();
        let mut earlier: Option<String> = None;
        let operations = lines.iter().map(|(operation, line, params)| {
            let mut params = params.clone();
            if let Some(earlier) = earlier.replace((*operation).to_owned())
                && params.get("finally").is_none()
            {
                params["dependsOn"] = earlier.into();
            }
            let command = ["sh".to_owned(), "-c".to_owned(), format!("cd {folder}; {line}")];
            json!({"name": operation, "type": "exec", "params": params, "payload": {"image": "x", "command": command}})
        });
        let operations: Vec<Value> = operations.collect();
        self.create(name, &json!({"agenda": {"operations": operations}, "graceSeconds": 5}));
    }

    fn create(&self, name: &str, spec: &Value) {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let agenda = DynamicObject { types: None, metadata, data: json!({ "spec": spec }) };
        let agenda = DynamicObject {
            types: Some(kube::core::TypeMeta {
                api_version: "pop-rs.dev/v1alpha1".to_owned(),
                kind: "Agenda".to_owned(),
            }),
            ..agenda
        };
        self.with(async |agendas| agendas.create(&PostParams::default(), &agenda).await.unwrap());
    }

    fn edit(&self, name: &str, spec: &Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.with(async |agendas| agendas.patch(name, &PatchParams::default(), &patch).await.unwrap());
    }

    fn delete(&self, name: &str) {
        self.with(async |agendas| agendas.delete(name, &kube::api::DeleteParams::default()).await.unwrap());
    }

    /// Waits until the status of an Agenda meets a condition, and returns it.
    fn status(&self, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let seen = std::cell::RefCell::new(Value::Null);
        let met = |agenda: Option<&DynamicObject>| {
            let status = agenda.map(|agenda| agenda.data["status"].clone()).unwrap_or_default();
            let is_met = condition(&status);
            *seen.borrow_mut() = status;
            is_met
        };
        let waited = self
            .with(async |agendas| tokio::time::timeout(PATIENCE, await_condition(agendas, name, met)).await);
        assert!(waited.is_ok(), "{name}: {:#}", seen.borrow());
        seen.take()
    }

    /// Waits until the run of an Agenda has ended.
    fn ended(&self, name: &str) -> Value {
        self.status(name, |status| status["completedTime"].is_string())
    }

    /// Waits until an Agenda is gone.
    fn gone(&self, name: &str) {
        let waited = self.with(async |agendas| {
            let gone = await_condition(agendas, name, |agenda: Option<&DynamicObject>| agenda.is_none());
            tokio::time::timeout(PATIENCE, gone).await
        });
        assert!(waited.is_ok(), "{name} is still there");
    }
}

/// Creates an object of one of the kinds that every cluster has.
fn create(cluster: &Cluster, object: &Value) {
    let text = |field: &str| object[field].as_str().unwrap().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    let kind = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, &kind));
    let made: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    cluster.ask(async |client| {
        let api = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client, namespace, &kind),
            None => Api::all_with(client, &kind),
        };
        api.create(&PostParams::default(), &made).await.unwrap()
    });
}

fn is(field: &'static str, value: &'static str) -> impl Fn(&Value) -> bool {
    move |status| status[field] == value
}

fn holds(status: &Value, kind: &str) -> bool {
    let mut conditions = status["conditions"].as_array().unwrap().iter();
    conditions.any(|condition| condition["type"] == kind && condition["status"] == "True")
}

#[test]
fn agenda_resource_runs_and_tells_its_outcome() {
    let agendas = Agendas::new();
    let operator = agendas.operator();
    agendas.apply("good", &[("a", "echo a >> ran", json!({})), ("b", "echo b >> ran", json!({}))]);
    agendas.apply("bad", &[("a", "exit 7", json!({}))]);
    let status = agendas.ended("good");
    assert_eq!((&status["phase"], &status["outcome"]), (&json!("Succeeded"), &json!("succeeded")));
    assert_eq!((&status["percentComplete"], &status["counts"]["succeeded"]), (&json!(100), &json!(2)));
    assert!(holds(&status, "Complete") && holds(&status, "Succeeded"));
    assert_eq!(agendas.bench.read("ran"), "a\nb\n");
    let status = agendas.ended("bad");
    assert_eq!((&status["phase"], &status["exitCode"]), (&json!("Failed"), &json!(10)));
    assert!(holds(&status, "Complete") && !holds(&status, "Succeeded"));
    agendas.delete("good");
    agendas.gone("good");
    operator.signal(rustix::process::Signal::TERM);
    assert_eq!(operator.end().code, 0);
}

#[test]
fn faulty_agenda_tells_all_faults_in_its_status() {
    let agendas = Agendas::new();
    let _operator = agendas.operator();
    let operations = json!([
        {"name": "a", "type": "exce"}, {"name": "a", "type": "exec", "payload": {"image": "x", "command": ["true"]}},
        {"name": "b", "type": "exec", "params": {"dependsOn": "c"}, "payload": {"image": "x", "command": ["true"]}},
    ]);
    agendas.create("faulty", &json!({"agenda": {"operations": operations}}));
    let status = agendas.status("faulty", is("phase", "Invalid"));
    let faults: Vec<&str> = status["faults"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for words in ["agenda.operations.0.type: ", "did you mean `exec`", "agenda.operations.1.name: ", "`c`"] {
        assert!(faults.iter().any(|fault| fault.contains(words)), "{words}: {faults:#?}");
    }
    assert!(!holds(&status, "Accepted") && holds(&status, "Complete"));
    assert_eq!(agendas.cluster.pods(), [""; 0]);
    let mended = json!([{"name": "a", "type": "exec", "payload": {"image": "x", "command": ["true"]}}]);
    agendas.edit("faulty", &json!({"agenda": {"operations": mended}}));
    assert_eq!(agendas.ended("faulty")["outcome"], "succeeded");
}

/// Waits in its second operation until it is stopped, and cleans up.
fn waiting(agendas: &Agendas, name: &str) {
    let lines = [
        ("first", "echo first >> ran", json!({})),
        ("waits", "echo waits >> ran; while ! test -e go; do sleep 0.1; done", json!({})),
        ("cleans", "echo cleans >> ran", json!({"finally": true})),
    ];
    agendas.apply(name, &lines);
    agendas.bench.wait_for("ran", 2);
}

#[test]
fn cancelled_and_deleted_agendas_run_their_clean_up() {
    let agendas = Agendas::new();
    let _operator = agendas.operator();
    waiting(&agendas, "cancelled");
    agendas.edit("cancelled", &json!({"cancel": true}));
    let status = agendas.ended("cancelled");
    assert_eq!((&status["phase"], &status["outcome"]), (&json!("Cancelled"), &json!("cancelled")));
    assert_eq!(agendas.bench.read("ran"), "first\nwaits\ncleans\n");
    std::fs::remove_file(agendas.bench.path("ran")).unwrap();
    waiting(&agendas, "deleted");
    agendas.delete("deleted");
    agendas.gone("deleted");
    assert_eq!(agendas.bench.read("ran"), "first\nwaits\ncleans\n");
    agendas.cluster.until_empty();
}

#[test]
fn edit_in_mid_run_ends_the_run_and_starts_another() {
    let agendas = Agendas::new();
    let _operator = agendas.operator();
    waiting(&agendas, "a");
    let operations = json!([{"name": "new", "type": "exec", "payload": {"image": "x", "command": ["true"]}}]);
    agendas.edit("a", &json!({"agenda": {"operations": operations}}));
    let status = agendas.status("a", |status| status["run"] == "a-g2" && status["completedTime"].is_string());
    assert_eq!((&status["outcome"], &status["counts"]["succeeded"]), (&json!("succeeded"), &json!(1)));
    assert_eq!(agendas.bench.read("ran"), "first\nwaits\ncleans\n");
    let pods: Vec<Value> = agendas.cluster.list::<Pod>();
    assert_eq!(pods.len(), 1, "{pods:#?}");
}

#[test]
fn evicted_killed_and_suspended_executors_repeat_no_finished_work() {
    let agendas = Agendas::new();
    let _operator = agendas.operator();
    waiting(&agendas, "a");
    // the progress of a second ago is what the next executor knows
    agendas
        .status("a", |status| status["lastProgress"].as_str().is_some_and(|text| text.contains("COMPLETE")));
    agendas.cluster.stand_in.evict("pop", "a-g1-1").unwrap();
    agendas.status("a", |status| status["pod"] == "a-g1-2" && status["phase"] == "Running");
    agendas.bench.wait_for("ran", 3);
    agendas.cluster.stand_in.delete_pod("pop", "a-g1-2").unwrap();
    let status = agendas.status("a", |status| status["pod"] == "a-g1-3" && status["phase"] == "Running");
    assert_eq!(status["lostPods"], 2);
    agendas.edit("a", &json!({"suspend": true}));
    agendas.status("a", is("phase", "Suspended"));
    agendas.bench.write("go", "");
    agendas.edit("a", &json!({"suspend": false}));
    let status = agendas.ended("a");
    assert_eq!(
        (&status["outcome"], &status["executorPods"], &status["lostPods"]),
        (&json!("succeeded"), &json!(4), &json!(2))
    );
    let ran = agendas.bench.read("ran");
    assert_eq!(ran.matches("first\n").count(), 1, "{ran}");
    assert!(ran.ends_with("waits\ncleans\n"), "{ran}");
}

/// `POP_TEST_OPERATOR_KILLS` is the number of kills, `POP_TEST_AGENDAS` that of Agendas.
#[test]
fn operator_killed_at_random_loses_no_agenda() {
    let number = |variable: &str, default: u32| {
        std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (kills, count) = (number("POP_TEST_OPERATOR_KILLS", 4), number("POP_TEST_AGENDAS", 4));
    let agendas = Agendas::new();
    let names: Vec<String> = (0..count).map(|n| format!("a{n}")).collect();
    for name in &names {
        let line = format!("echo {name} >> ran; sleep 0.3");
        agendas.apply(name, &[("a", &line, json!({})), ("b", &line, json!({}))]);
    }
    for kill in 0..kills {
        let operator = agendas.operator();
        // a random moment of its work, from its start on
        std::thread::sleep(Duration::from_millis(u64::from(kill * 7919 % 400)));
        operator.crash();
    }
    let _operator = agendas.operator();
    for name in &names {
        let status = agendas.ended(name);
        assert_eq!((&status["outcome"], &status["executorPods"]), (&json!("succeeded"), &json!(1)), "{name}");
    }
    let twice: Vec<String> = names.iter().flat_map(|name| [name.clone(), name.clone()]).collect();
    let mut expected = twice;
    expected.sort_unstable();
    assert_eq!(agendas.bench.sorted_lines("ran"), expected);
    for name in &names {
        agendas.delete(name);
        agendas.gone(name);
    }
    agendas.cluster.until_empty();
}
