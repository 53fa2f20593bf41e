//! Manifests of deploy/: valid for Kubernetes, without dangling names or excess permissions.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::serde::{Serialize, de::DeserializeOwned};
use pop_agenda::{Agenda, Plan};
use pop_contract::LaunchType;
use pop_document::Source;
use pop_registry::Catalog;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str, text: &str) -> Value {
    Source::new(name, text.as_bytes()).unwrap().read().unwrap()
}

fn file(path: &str) -> Value {
    read(path, &fs::read_to_string(root().join(path)).unwrap())
}

/// The objects of the files that the kustomization names.
fn objects() -> Vec<Value> {
    objects_of("deploy")
}

fn objects_of(folder: &str) -> Vec<Value> {
    let files = file(&format!("{folder}/kustomization.yaml"))["resources"].as_array().unwrap().clone();
    let text = |name: &Value| fs::read_to_string(root().join(folder).join(name.as_str().unwrap())).unwrap();
    let objects = |text: String| text.split("\n---\n").map(|one| read("a.yaml", one)).collect::<Vec<_>>();
    files.iter().map(text).flat_map(objects).collect()
}

fn object(kind: &str, name: &str) -> Value {
    let is_it = |object: &Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects().into_iter().find(is_it).ok_or_else(|| format!("no {kind} {name}")).unwrap()
}

/// What is left of a value when it has been read as an object of Kubernetes.
fn again<T: DeserializeOwned + Serialize>(value: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(value.clone()).unwrap()).unwrap()
}

#[test]
fn manifests_are_named_and_have_only_known_fields() {
    let entries = fs::read_dir(root().join("deploy")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: BTreeSet<String> = names.filter(|name| name.contains(".yaml")).collect();
    there.remove("kustomization.yaml");
    let named: BTreeSet<String> =
        serde_json::from_value(file("deploy/kustomization.yaml")["resources"].clone()).unwrap();
    assert_eq!(there, named);
    let mut kinds = BTreeSet::new();
    for object in objects() {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let read = match kind.as_str() {
            "Namespace" => again::<Namespace>(&object),
            "ServiceAccount" => again::<ServiceAccount>(&object),
            "Role" => again::<Role>(&object),
            "RoleBinding" => again::<RoleBinding>(&object),
            "ConfigMap" => again::<ConfigMap>(&object),
            "Job" => again::<Job>(&object),
            _ => Value::Null,
        };
        assert_eq!(read, object, "{kind}");
        kinds.insert(kind);
    }
    assert_eq!(
        Vec::from_iter(kinds),
        ["ConfigMap", "Job", "Namespace", "Role", "RoleBinding", "ServiceAccount"]
    );
}

#[test]
fn manifests_of_the_service_fit_together() {
    let objects = objects_of("deploy/service");
    let mut images = BTreeSet::new();
    for object in &objects {
        let kind = object["kind"].as_str().unwrap();
        let read = match kind {
            "ConfigMap" => again::<ConfigMap>(object),
            "PersistentVolumeClaim" => again::<PersistentVolumeClaim>(object),
            "Service" => again::<Service>(object),
            "Deployment" => again::<Deployment>(object),
            "CronJob" => again::<CronJob>(object),
            _ => Value::Null,
        };
        // the type of a Deployment writes its status
        let shared = |value: &Value| json!([value["metadata"], value["data"], value["spec"]]);
        assert_eq!(shared(&read), shared(object), "{kind}");
        for pod in [&object["spec"]["template"], &object["spec"]["jobTemplate"]["spec"]["template"]] {
            let Some(container) = pod["spec"]["containers"].get(0) else { continue };
            images.insert(container["image"].as_str().unwrap().to_owned());
            let words = container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
            let help = Command::new(env!("CARGO_BIN_EXE_pop")).args(words).arg("--help").output().unwrap();
            assert!(help.status.success(), "{}", String::from_utf8_lossy(&help.stderr));
        }
    }
    assert_eq!(images, BTreeSet::from([concat!("pop:", env!("CARGO_PKG_VERSION")).to_owned()]));
    let settings = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    let registry = settings["data"]["registry-json"].as_str().unwrap();
    let mut faults = Vec::new();
    let catalog =
        Catalog::build(Some(&Source::new("registry.json", registry.as_bytes()).unwrap()), &mut faults);
    let executor = catalog.entry("executor").unwrap();
    assert_eq!(faults, []);
    object("ConfigMap", "pop-executor-01");
    object("ServiceAccount", executor.pod.service_account.as_deref().unwrap());
    let service = objects.iter().find(|object| object["kind"] == "Service").unwrap();
    let address =
        format!("http://{}:7070/pop/resourcepool/service", service["metadata"]["name"].as_str().unwrap());
    assert!(settings["data"]["external-properties"].as_str().unwrap().contains(&address));
    assert_eq!(executor.properties, [("agenda.progress.url".to_owned(), address)]);
}

#[test]
fn roles_grant_only_what_is_needed() {
    let rules = |name: &str| object("Role", name)["rules"].clone();
    let rule =
        |resource: &str, verbs: &[&str]| json!({"apiGroups": [""], "resources": [resource], "verbs": verbs});
    assert_eq!(
        rules("pop-executor"),
        json!([
            rule("pods", &["create", "delete", "get", "list", "patch", "watch"]),
            rule("pods/log", &["get"]),
            rule("events", &["list"]),
            rule("secrets", &["create", "delete"])
        ])
    );
    assert_eq!(rules("pop-service"), json!([rule("pods", &["get", "patch"])]));
    for name in ["pop-executor", "pop-service"] {
        let binding = object("RoleBinding", name);
        assert_eq!(binding["roleRef"]["name"], name);
        assert_eq!(
            binding["subjects"],
            json!([{"kind": "ServiceAccount", "name": name, "namespace": "pop"}])
        );
    }
}

#[test]
fn job_references_exist_and_it_has_no_privilege() {
    let job = object("Job", "pop-hello");
    let pod = &job["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    object("ServiceAccount", pod["serviceAccountName"].as_str().unwrap());
    assert_eq!(container["image"], concat!("pop:", env!("CARGO_PKG_VERSION")));
    for variable in container["env"].as_array().unwrap() {
        if let Some(key) = variable["valueFrom"].get("configMapKeyRef") {
            let map = object("ConfigMap", key["name"].as_str().unwrap());
            assert!(map["data"][key["key"].as_str().unwrap()].is_string(), "{key}");
        }
    }
    let config = &pod["volumes"][0]["configMap"];
    let map = object("ConfigMap", config["name"].as_str().unwrap());
    let items = config["items"].as_array().unwrap();
    let paths: Vec<&Value> = items.iter().map(|item| &item["path"]).collect();
    assert_eq!(paths, ["external.properties", "env.properties", "registry.json"]);
    assert!(items.iter().all(|item| map["data"][item["key"].as_str().unwrap()].is_string()));
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    // fr_k5: two executors never work at once, and the first has the time to stop what it started
    assert_eq!(job["spec"]["podReplacementPolicy"], "Failed");
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    let at = arguments.iter().position(|argument| *argument == "--grace").unwrap();
    let grace: u64 = arguments[at + 1].parse().unwrap();
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= grace + 60);
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
    );
}

#[test]
fn deploy_agenda_plans_for_a_cluster() {
    let executor = object("ConfigMap", "pop-executor-01");
    let text = executor["data"]["registry-json"].as_str().unwrap();
    let mut faults = Vec::new();
    let catalog = Catalog::build(Some(&Source::new("registry.json", text.as_bytes()).unwrap()), &mut faults);
    let agenda = object("ConfigMap", "pop-agenda")["data"]["agenda"].as_str().unwrap().to_owned();
    let agenda = Agenda::parse(read("agenda.yaml", &agenda), &mut faults).unwrap();
    assert!(Plan::build(agenda, &catalog, LaunchType::Kubernetes, &mut faults).is_some(), "{faults:?}");
    assert_eq!(faults, []);
}

#[test]
fn deploy_registry_equals_samples_and_mounts_exist() {
    let executor = object("ConfigMap", "pop-executor-01");
    let registry = read("registry.json", executor["data"]["registry-json"].as_str().unwrap());
    let mut samples = file("samples/registry.json");
    for (name, entry) in samples.as_object_mut().unwrap() {
        if name == "basePodConfig" {
            continue;
        }
        entry.as_object_mut().unwrap().retain(|field, _| !["command", "describe"].contains(&field.as_str()));
        let map = object("ConfigMap", entry["configMapName"].as_str().unwrap());
        for key in ["external-properties", "env-properties"] {
            assert!(map["data"][key].is_string(), "{name} {key}");
        }
        assert_eq!(
            entry["podConfig"]["imageName"],
            concat!("pop-samples:", env!("CARGO_PKG_VERSION")),
            "{name}"
        );
    }
    assert_eq!(registry, samples);
}

#[test]
fn operator_manifests_are_those_that_the_operator_needs() {
    let pop = |arguments: &[&str]| {
        let ended = std::process::Command::new(env!("CARGO_BIN_EXE_pop")).args(arguments).output().unwrap();
        String::from_utf8(ended.stdout).unwrap()
    };
    let text = |name: &str| fs::read_to_string(root().join("deploy/operator").join(name)).unwrap();
    assert_eq!(text("10-crd.yaml"), pop(&["operator", "crd", "--agendas"]));
    assert_eq!(text("20-rbac.yaml"), pop(&["operator", "rbac", "--agendas"]));
    let deployment = file("deploy/operator/30-deployment.yaml");
    assert_eq!(again::<k8s_openapi::api::apps::v1::Deployment>(&deployment), deployment);
    let pod = &deployment["spec"]["template"]["spec"];
    assert!(
        text("20-rbac.yaml").contains(&format!("  name: {}\n", pod["serviceAccountName"].as_str().unwrap()))
    );
    let settings = object("ConfigMap", "pop-executor-01");
    let arguments = pod["containers"][0]["args"].as_array().unwrap();
    assert!(arguments.contains(&settings["metadata"]["name"]), "{arguments:?}");
    // the example is an agenda without faults
    let example = file("deploy/operator/example.yaml");
    let mut faults = Vec::new();
    let agenda = Agenda::parse(example["spec"]["agenda"].clone(), &mut faults).unwrap();
    Plan::build(agenda, &Catalog::default(), LaunchType::Kubernetes, &mut faults).unwrap();
    assert_eq!(faults, []);
}
