//! Requests are refused as by a real server.

use crate::played::{Played, client, has_phase, pod};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

fn code(error: kube::Error) -> (u16, String, String) {
    let kube::Error::Api(status) = error else { unreachable!("{error}") };
    (status.code, status.reason, status.message)
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let played = Played::start().await;
    played.run(pod("x", "exit 0"), has_phase("Succeeded")).await;
    let again: Pod = serde_json::from_value(pod("x", "exit 0")).unwrap();
    let refused = code(played.pods.create(&PostParams::default(), &again).await.unwrap_err());
    assert_eq!(refused, (409, "AlreadyExists".to_owned(), "pods \"x\" already exists".to_owned()));
    // it has ended, so that nothing is waited for
    played.pods.delete("x", &DeleteParams::default()).await.unwrap();
    let gone = code(played.pods.get("x").await.unwrap_err());
    assert_eq!(gone, (404, "NotFound".to_owned(), "pods \"x\" not found".to_owned()));
}

#[tokio::test]
async fn a_stale_change_conflicts_a_large_one_is_invalid_and_a_good_one_is_kept() {
    let played = Played::start().await;
    let ended = played.run(pod("x", "exit 0"), has_phase("Succeeded")).await;
    let annotate = |version: &str, value: String| {
        let patch =
            json!({"metadata": {"resourceVersion": version, "annotations": {"pop.report.progress": value}}});
        let pods = played.pods.clone();
        async move { pods.patch("x", &PatchParams::default(), &Patch::Merge(patch)).await }
    };
    let version = ended["metadata"]["resourceVersion"].as_str().unwrap();
    let patched = annotate(version, "{}".to_owned()).await.unwrap();
    assert_eq!(patched.metadata.annotations.unwrap()["pop.report.progress"], "{}");
    let stale = code(annotate(version, "{\"a\":1}".to_owned()).await.unwrap_err());
    assert_eq!((stale.0, stale.1.as_str()), (409, "Conflict"));
    let large = json!({"metadata": {"annotations": {"a": "x".repeat(256 * 1024)}}});
    let large = played.pods.patch("x", &PatchParams::default(), &Patch::Strategic(large)).await.unwrap_err();
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
async fn an_account_may_do_what_its_roles_say() {
    let played = Played::start().await;
    played.run(pod("x", "exit 0"), has_phase("Succeeded")).await;
    let theirs = client(&played.stand_in.kubeconfig_for("pop", "default")).await;
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
    let roles: Api<k8s_openapi::api::rbac::v1::Role> = Api::namespaced(played.client.clone(), "pop");
    roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
    let bindings: Api<k8s_openapi::api::rbac::v1::RoleBinding> =
        Api::namespaced(played.client.clone(), "pop");
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
    pods.patch("x", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(code(pods.get("x").await.unwrap_err()).0, 403);
}
