//! A toolkit handler as a pod: its report becomes annotations of the pod, and stands in the log where that is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, LogParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config as WatchConfig, watcher};
use kube::{Client, Config};
use pop_stand_in::{Backend, FaultAction, FaultRule, StandIn};
use serde_json::{Value, json};

const SAMPLE: &str = env!("CARGO_BIN_EXE_pop-sample");

/// A cluster whose account `may-report` may patch its pods, and whose account `default` may not.
async fn cluster() -> (StandIn, Client) {
    let config = pop_stand_in::Config { backend: Backend::Process, ..pop_stand_in::Config::default() };
    let stand_in = StandIn::start(config).await.unwrap();
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&stand_in.kubeconfig()).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let client =
        Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap()).unwrap();
    let account = json!({"metadata": {"name": "may-report"}});
    let role = json!({"metadata": {"name": "report"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "patch"]}]});
    let binding = json!({"metadata": {"name": "report"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "report"},
        "subjects": [{"kind": "ServiceAccount", "name": "may-report", "namespace": "pop"}]});
    let create = PostParams::default();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "pop");
    accounts.create(&create, &serde_json::from_value(account).unwrap()).await.unwrap();
    let roles: Api<Role> = Api::namespaced(client.clone(), "pop");
    roles.create(&create, &serde_json::from_value(role).unwrap()).await.unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), "pop");
    bindings.create(&create, &serde_json::from_value(binding).unwrap()).await.unwrap();
    (stand_in, client)
}

/// Runs the sample handler as a pod to its end; gives the pod and its log.
async fn run(client: &Client, account: &str, result: &Value) -> (Pod, String) {
    let folder = tempfile::tempdir().unwrap();
    let payload = folder.path().join("payload.json");
    std::fs::write(&payload, json!({"actions": [], "resultPayload": result}).to_string()).unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "pop");
    let pod = json!({"metadata": {"name": format!("handler-{account}")}, "spec": {"restartPolicy": "Never", "serviceAccountName": account,
        "containers": [{"name": "handler", "image": "sample", "command": [SAMPLE, "--launchType", "kubernetes", "--payloadFile", payload], "env": [
            {"name": "MY_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let config = WatchConfig::default().fields(&format!("metadata.name=handler-{account}"));
    let mut seen = watcher(pods.clone(), config).applied_objects().boxed();
    loop {
        let pod = seen.next().await.unwrap().unwrap();
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        if matches!(phase.as_str(), "Succeeded" | "Failed") {
            let log = pods.logs(&format!("handler-{account}"), &LogParams::default()).await.unwrap();
            return (pod, log);
        }
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().unwrap().phase.as_deref().unwrap()
}

#[tokio::test]
async fn f62_a_handlers_report_becomes_annotations_of_its_pod() {
    let (stand_in, client) = cluster().await;
    // others write the same pod now and then, and the server is busy
    let busy = FaultAction::Answer { status: 429, reason: None, body: None, retry_after: None };
    stand_in.add_fault(FaultRule::new("PATCH", "/pods/", busy).times(2)).unwrap();
    let (pod, log) = run(&client, "may-report", &json!({"width": 720})).await;
    let annotations = pod.metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations["pop.report.payload"], r#"{"width":720}"#);
    let progress: Value = serde_json::from_str(&annotations["pop.report.progress"]).unwrap();
    assert_eq!(
        (&progress["processingState"], &progress["processingStateMessage"]),
        (&json!("COMPLETE"), &json!("succeeded"))
    );
    assert_eq!(phase(&pod), "Succeeded");
    assert!(log.contains("pop.report.payload {\"width\":720}"), "{log}");
}

#[tokio::test]
async fn f62_f66_a_handler_that_may_not_write_its_pod_says_which_role_is_missing_and_loses_no_work() {
    let (_stand_in, client) = cluster().await;
    let (pod, log) = run(&client, "default", &json!({"width": 720})).await;
    assert_eq!(phase(&pod), "Succeeded");
    assert!(pod.metadata.annotations.as_ref().is_none_or(|all| !all.contains_key("pop.report.payload")));
    assert!(log.contains("pop.report.payload {\"width\":720}"), "{log}");
    assert!(log.contains("lacks a Role with the verbs get and patch on pods"), "{log}");
}

#[tokio::test]
async fn f62_a_result_that_is_too_large_for_an_annotation_stands_in_the_log() {
    let (_stand_in, client) = cluster().await;
    let (pod, log) =
        run(&client, "may-report", &json!({"long": "x".repeat(90_000), "longer": "y".repeat(90_000)})).await;
    let annotations = pod.metadata.annotations.as_ref().unwrap();
    assert!(
        annotations.contains_key("pop.report.progress") && !annotations.contains_key("pop.report.payload")
    );
    assert!(log.contains("pop.report.payload {\"long\":"), "the result is not in the log");
    assert_eq!(phase(&pod), "Succeeded");
}
