//! Disruptions of pods, and reasons why pods do not start.

use crate::test_cluster::{TestCluster, has_phase, pod, state};
use futures_util::future::join;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, ResourceQuota};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use pop_stand_in::Webhook;
use serde_json::{Value, json};

const LASTING: &str = "trap 'exit 0' TERM; while :; do sleep 0.01; done";

fn condition<'p>(pod: &'p Value, name: &str) -> &'p Value {
    // a new pod has none
    let mut all = pod["status"]["conditions"].as_array().into_iter().flatten();
    all.find(|condition| condition["type"] == name).unwrap_or(&Value::Null)
}

async fn refusal(cluster: &TestCluster, pod: Value) -> (u16, String) {
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let kube::Error::Api(status) = cluster.pods.create(&PostParams::default(), &pod).await.unwrap_err()
    else {
        unreachable!()
    };
    (status.code, status.message)
}

#[tokio::test]
async fn an_evicted_pod_stays_failed_and_a_preempted_one_is_deleted() {
    let cluster = TestCluster::start().await;
    cluster.run(pod("x", LASTING), has_phase("Running")).await;
    cluster.stand_in.evict("pop", "x").unwrap();
    let evicted = cluster.until("x", has_phase("Failed")).await;
    assert_eq!(evicted["status"]["reason"], "Evicted");
    assert_eq!(condition(&evicted, "DisruptionTarget")["reason"], "TerminationByKubelet");
    cluster.run(pod("y", LASTING), has_phase("Running")).await;
    let last = cluster.until("y", |pod| state(pod)["terminated"].is_object());
    let (last, ()) = join(last, async { cluster.stand_in.preempt("pop", "y").unwrap() }).await;
    assert_eq!(condition(&last, "DisruptionTarget")["reason"], "PreemptionByScheduler");
}

#[tokio::test]
async fn pods_of_a_lost_node_report_when_it_is_back() {
    let cluster = TestCluster::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("go");
    let line = format!("until [ -e {} ]; do sleep 0.01; done", path.display());
    cluster.run(pod("x", &line), has_phase("Running")).await;
    cluster.stand_in.set_node_lost(true);
    let lost = cluster.until("x", |pod| pod["status"]["reason"] == "NodeLost").await;
    assert_eq!(condition(&lost, "Ready")["status"], "False");
    std::fs::write(path, "").unwrap();
    cluster.stand_in.set_node_lost(false);
    let ended = cluster.until("x", has_phase("Succeeded")).await;
    assert_eq!(ended["status"]["reason"], Value::Null);
}

#[tokio::test]
async fn a_pod_waits_for_resources_volumes_and_configuration() {
    let cluster = TestCluster::start().await;
    let mut greedy = pod("greedy", "exit 0");
    greedy["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "65"}});
    let waits = |pod: &Value| condition(pod, "PodScheduled")["reason"] == "Unschedulable";
    let waiting = cluster.run(greedy, waits).await;
    let said = condition(&waiting, "PodScheduled")["message"].as_str().unwrap();
    assert!(said.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{said}");
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let room = Patch::Merge(json!({"status": {"allocatable": {"cpu": "66"}}}));
    nodes.patch_status("stand-in", &PatchParams::default(), &room).await.unwrap();
    cluster.until("greedy", has_phase("Succeeded")).await;

    let mut needy = pod("needy", "echo $A; cat $POP_STAND_IN_ROOT/etc/c/k");
    needy["spec"]["volumes"] = json!([{"name": "v", "configMap": {"name": "c"}}]);
    let reference = json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
    needy["spec"]["containers"][0]["env"] = json!([reference]);
    needy["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/etc/c"}]);
    cluster.run(needy, |pod| state(pod)["waiting"]["reason"] == "ContainerCreating").await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "pop");
    let map = serde_json::from_value(json!({"metadata": {"name": "c"}, "data": {"k": "file"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    cluster.until("needy", |pod| state(pod)["waiting"]["reason"] == "CreateContainerConfigError").await;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(cluster.client.clone(), "pop");
    let secret =
        serde_json::from_value(json!({"metadata": {"name": "s"}, "stringData": {"k": "secret"}})).unwrap();
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    cluster.until("needy", has_phase("Succeeded")).await;
    assert_eq!(cluster.pods.logs("needy", &kube::api::LogParams::default()).await.unwrap(), "secret\nfile");
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), "pop");
    let about = ListParams::default().fields("involvedObject.name=needy");
    let reasons: Vec<_> =
        events.list(&about).await.unwrap().into_iter().filter_map(|event| event.reason).collect();
    for reason in ["Scheduled", "FailedMount", "Failed", "Pulled", "Created", "Started"] {
        assert!(reasons.iter().any(|has| has == reason), "{reason} {reasons:?}");
    }
}

#[tokio::test]
async fn a_refused_pod_gets_the_reason() {
    let cluster = TestCluster::start().await;
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}});
    namespaces.patch("pop", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
    let mut privileged = pod("x", "");
    privileged["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    let said = "pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\": privileged (container \"main\" must \
                not set securityContext.privileged=true)";
    assert_eq!(refusal(&cluster, privileged).await, (403, said.to_owned()));
    cluster.stand_in.set_webhook(Webhook::Unavailable);
    let (code, said) = refusal(&cluster, pod("x", "")).await;
    assert!(code == 500 && said.starts_with("Internal error occurred: failed calling webhook"), "{said}");
    cluster.stand_in.set_webhook(Webhook::None);
    let quotas: Api<ResourceQuota> = Api::namespaced(cluster.client.clone(), "pop");
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}});
    quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
    cluster.run(pod("y", LASTING), has_phase("Running")).await;
    let said =
        "pods \"x\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1";
    assert_eq!(refusal(&cluster, pod("x", "")).await, (403, said.to_owned()));
    namespaces.delete("pop", &DeleteParams::default()).await.unwrap();
    let (code, said) = refusal(&cluster, pod("x", "")).await;
    assert!(code == 403 && said.ends_with("because it is being terminated"), "{said}");
}

#[tokio::test]
async fn objects_without_an_owner_are_collected() {
    let cluster = TestCluster::start().await;
    let owner = cluster.run(pod("owner", "exit 0"), has_phase("Succeeded")).await;
    let reference =
        json!({"apiVersion": "v1", "kind": "Pod", "name": "owner", "uid": owner["metadata"]["uid"]});
    let mut owned = pod("owned", "exit 0");
    owned["metadata"]["ownerReferences"] = json!([reference]);
    cluster.run(owned, has_phase("Succeeded")).await;
    cluster.stand_in.delete_pod("pop", "owner").unwrap();
    let left = cluster.pods.list(&ListParams::default()).await.unwrap();
    assert_eq!(left.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test]
async fn init_containers_restarts_and_deadlines_are_obeyed() {
    let cluster = TestCluster::start().await;
    let shell =
        |name: &str, line: &str| json!({"name": name, "image": "any:1", "command": ["sh", "-c", line]});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    let up = folder.path().join("up");
    let line = format!("until [ -e {} ]; do sleep 0.01; done; cat {}", up.display(), file.display());
    let mut ordered = pod("ordered", &line);
    let line = format!("trap 'exit 0' TERM; echo > {}; while :; do sleep 0.01; done", up.display());
    let mut side = shell("side", &line);
    side["restartPolicy"] = "Always".into();
    ordered["spec"]["initContainers"] =
        json!([shell("first", &format!("echo init > {}", file.display())), side]);
    let ended = cluster.run(ordered, has_phase("Succeeded")).await;
    assert_eq!(ended["status"]["initContainerStatuses"][1]["state"]["terminated"]["exitCode"], 0);
    let tries = folder.path().join("tries");
    let mut restarted = pod("restarted", &format!("echo x >> {0}; [ $(wc -l < {0}) = 3 ]", tries.display()));
    restarted["spec"]["restartPolicy"] = "OnFailure".into();
    let ended = cluster.run(restarted, has_phase("Succeeded")).await;
    assert_eq!(ended["status"]["containerStatuses"][0]["restartCount"], 2);
    let mut late = pod("late", LASTING);
    late["spec"]["activeDeadlineSeconds"] = 1.into();
    let ended = cluster.run(late, has_phase("Failed")).await;
    assert_eq!(ended["status"]["reason"], "DeadlineExceeded");
}
