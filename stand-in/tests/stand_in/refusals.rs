//! Refusals of requests, as by a real server.

use crate::test_cluster::{TestCluster, client, has_phase, pod};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

fn code(error: kube::Error) -> (u16, String, String) {
    let kube::Error::Api(status) = error else { unreachable!("{error}") };
    (status.code, status.reason, status.message)
}

#[tokio::test]
async fn a_name_is_used_once() {
    let cluster = TestCluster::start().await;
    cluster.run(pod("x", "exit 0"), has_phase("Succeeded")).await;
    let again: Pod = serde_json::from_value(pod("x", "exit 0")).unwrap();
    let refused = code(cluster.pods.create(&PostParams::default(), &again).await.unwrap_err());
    assert_eq!(refused, (409, "AlreadyExists".to_owned(), "pods \"x\" already exists".to_owned()));
    // the pod has ended, so its deletion is immediate
    cluster.pods.delete("x", &DeleteParams::default()).await.unwrap();
    let gone = code(cluster.pods.get("x").await.unwrap_err());
    assert_eq!(gone, (404, "NotFound".to_owned(), "pods \"x\" not found".to_owned()));
}

#[tokio::test]
async fn a_stale_change_conflicts_and_a_large_one_is_invalid() {
    let cluster = TestCluster::start().await;
    let ended = cluster.run(pod("x", "exit 0"), has_phase("Succeeded")).await;
    let annotate = |version: &str, value: String| {
        let patch =
            json!({"metadata": {"resourceVersion": version, "annotations": {"pop.report.progress": value}}});
        let pods = cluster.pods.clone();
        async move { pods.patch("x", &PatchParams::default(), &Patch::Merge(patch)).await }
    };
    let version = ended["metadata"]["resourceVersion"].as_str().unwrap();
    let patched = annotate(version, "{}".to_owned()).await.unwrap();
    assert_eq!(patched.metadata.annotations.unwrap()["pop.report.progress"], "{}");
    let stale = code(annotate(version, "{\"a\":1}".to_owned()).await.unwrap_err());
    assert_eq!((stale.0, stale.1.as_str()), (409, "Conflict"));
    let large = json!({"metadata": {"annotations": {"a": "x".repeat(256 * 1024)}}});
    let large = cluster.pods.patch("x", &PatchParams::default(), &Patch::Strategic(large)).await.unwrap_err();
    assert_eq!(
        code(large),
        (
            422,
            "Invalid".to_owned(),
            "Pod \"x\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn an_account_has_the_rights_of_its_roles() {
    let cluster = TestCluster::start().await;
    cluster.run(pod("x", "exit 0"), has_phase("Succeeded")).await;
    let theirs = client(&cluster.stand_in.kubeconfig_for("pop", "default")).await;
    let pods: Api<Pod> = Api::namespaced(theirs, "pop");
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"a": "b"}}}));
    let refused = code(pods.patch("x", &PatchParams::default(), &patch).await.unwrap_err());
    let said = "pods \"x\" is forbidden: User \"system:serviceaccount:pop:default\" cannot patch resource \"pods\" in \
                API group \"\" in the namespace \"pop\"";
    assert_eq!(refused, (403, "Forbidden".to_owned(), said.to_owned()));
    let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]});
    let role = json!({"metadata": {"name": "r"}, "rules": [rule]});
    let binding = json!({
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "pop"}],
    });
    let roles: Api<k8s_openapi::api::rbac::v1::Role> = Api::namespaced(cluster.client.clone(), "pop");
    roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
    let bindings: Api<k8s_openapi::api::rbac::v1::RoleBinding> =
        Api::namespaced(cluster.client.clone(), "pop");
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
    pods.patch("x", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(code(pods.get("x").await.unwrap_err()).0, 403);
}
