//! Object names, server-side apply, and deletion along owner references.

use crate::kubelet::until_printed;
use crate::test_cluster::{TestCluster, has_phase, pod};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

#[tokio::test]
async fn objects_get_generated_names_and_are_deleted_together() {
    let cluster = TestCluster::start().await;
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), "pop");
    let apply = |spec: Value| {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "x"}, "spec": spec,
        });
        let leases = leases.clone();
        async move { leases.patch("x", &PatchParams::apply("pop"), &Patch::Apply(lease)).await.unwrap() }
    };
    apply(json!({"holderIdentity": "a"})).await;
    let spec = apply(json!({"leaseDurationSeconds": 5})).await.spec.unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (None, Some(5)));
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "pop");
    let map = json!({"metadata": {"generateName": "m-", "labels": {"app": "pop"}}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    for _ in 0..2 {
        let name = maps.create(&PostParams::default(), &map).await.unwrap().name_any();
        assert!(name.starts_with("m-") && name.len() == 7, "{name}");
    }
    let ours = ListParams::default().labels("app in (pop)");
    assert_eq!(maps.list(&ours).await.unwrap().items.len(), 2);
    maps.delete_collection(&DeleteParams::default(), &ours).await.unwrap();
    assert_eq!(maps.list(&ours).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn a_lease_is_replaced_only_in_its_current_version() {
    let cluster = TestCluster::start().await;
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), "pop");
    let lease = |version: Option<String>, holder: &str| -> Lease {
        let metadata = json!({"name": "x", "resourceVersion": version});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"holderIdentity": holder}})).unwrap()
    };
    let made = leases.create(&PostParams::default(), &lease(None, "a")).await.unwrap();
    let replace = async |version: Option<String>, holder: &str| {
        let replaced = leases.replace("x", &PostParams::default(), &lease(version, holder)).await;
        replaced.map(|lease| lease.spec.unwrap().holder_identity.unwrap()).map_err(|error| match error {
            kube::Error::Api(status) => (status.code, status.message.clone()),
            other => unreachable!("{other}"),
        })
    };
    assert_eq!(replace(made.resource_version(), "b").await.unwrap(), "b");
    let said = "Operation cannot be fulfilled on leases.coordination.k8s.io \"x\": the object has been modified; please \
                apply your changes to the latest version and try again";
    assert_eq!(replace(made.resource_version(), "c").await.unwrap_err(), (409, said.to_owned()));
    let said = "leases.coordination.k8s.io \"x\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be \
                specified for an update";
    assert_eq!(replace(None, "c").await.unwrap_err(), (422, said.to_owned()));
}

#[tokio::test]
async fn foreground_deletion_removes_the_owner_last() {
    let cluster = TestCluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "pop");
    let owner: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "owner"}})).unwrap();
    let uid = maps.create(&PostParams::default(), &owner).await.unwrap().metadata.uid.unwrap();
    let mut owned = pod("owned", "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done");
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "blockOwnerDeletion": true});
    owned["metadata"]["ownerReferences"] = json!([reference]);
    owned["metadata"]["finalizers"] = json!(["pop.io/held"]);
    cluster.run(owned, has_phase("Running")).await;
    // it would die from a signal before its trap
    until_printed(&cluster, "owned").await;
    maps.delete("owner", &DeleteParams::foreground()).await.unwrap();
    cluster.until("owned", has_phase("Succeeded")).await;
    assert!(maps.get("owner").await.unwrap().metadata.deletion_timestamp.is_some());
    // the kubelet is done with the pod; only the finalizer holds it
    cluster.until("owned", |pod| pod["metadata"]["deletionGracePeriodSeconds"] == 0).await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    cluster.pods.patch("owned", &PatchParams::default(), &free).await.unwrap();
    assert!(cluster.pods.get_opt("owned").await.unwrap().is_none());
    assert!(maps.get_opt("owner").await.unwrap().is_none());
}

#[tokio::test]
async fn an_owner_waits_only_for_blocking_children_of_its_namespace() {
    let cluster = TestCluster::start().await;
    let maps = |namespace: &str| -> Api<ConfigMap> { Api::namespaced(cluster.client.clone(), namespace) };
    let create = async |namespace: &str, map: Value| {
        let map: ConfigMap = serde_json::from_value(map).unwrap();
        maps(namespace).create(&PostParams::default(), &map).await.unwrap().metadata.uid.unwrap()
    };
    let owned_by = |name: &str, uid: &str| {
        let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid});
        json!({"metadata": {"name": name, "ownerReferences": [reference], "finalizers": ["pop.io/held"]}})
    };
    let uid = create("pop", json!({"metadata": {"name": "owner"}})).await;
    create("pop", owned_by("owned", &uid)).await;
    maps("pop").delete("owner", &DeleteParams::foreground()).await.unwrap();
    assert!(maps("pop").get_opt("owner").await.unwrap().is_none());
    assert!(maps("pop").get("owned").await.unwrap().metadata.deletion_timestamp.is_some());
    // an owner in another namespace, or with a wrong uid
    let uid = create("default", json!({"metadata": {"name": "owner"}})).await;
    create("pop", owned_by("elsewhere", &uid)).await;
    create("default", owned_by("wrong", "no-such-uid")).await;
    create("default", owned_by("right", &uid)).await;
    let is_going = async |namespace: &str, name: &str| {
        maps(namespace).get(name).await.unwrap().metadata.deletion_timestamp.is_some()
    };
    assert!(is_going("pop", "elsewhere").await && is_going("default", "wrong").await);
    assert!(!is_going("default", "right").await);
}
