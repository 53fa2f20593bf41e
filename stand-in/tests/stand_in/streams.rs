//! Watches, lists and logs, including broken, stalled and expired ones.

use crate::test_cluster::{TestCluster, client, has_phase, pod, state};
use futures_util::{AsyncBufReadExt as _, FutureExt as _, Stream, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{ListParams, LogParams, ObjectMeta, PostParams, WatchEvent, WatchParams};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use pop_stand_in::{Config, FaultAction, FaultRule};
use std::pin::pin;
use std::time::Duration;

async fn put(cluster: &TestCluster, name: &str) -> String {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "pop");
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let map = ConfigMap { metadata, ..ConfigMap::default() };
    maps.create(&PostParams::default(), &map).await.unwrap().resource_version().unwrap()
}

/// Reads a watcher until an object with this name arrives. Returns all names so far.
async fn names_until(
    stream: &mut (impl Stream<Item = watcher::Result<watcher::Event<ConfigMap>>> + Unpin),
    name: &str,
) -> Vec<String> {
    let mut names = Vec::new();
    while names.last().is_none_or(|last| last != name) {
        // the watcher reports an error and then recovers by itself
        if let Ok(Some(watcher::Event::Apply(map) | watcher::Event::InitApply(map))) = stream.try_next().await
        {
            names.push(map.name_any());
        }
    }
    names
}

#[tokio::test]
async fn a_watcher_survives_expired_versions_and_broken_streams() {
    let every = Duration::from_millis(20);
    let cluster = TestCluster::start_with(Config { bookmark_every: every, ..Config::default() }).await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "pop");
    put(&cluster, "a").await;
    let cut = FaultAction::CutAfterEvents { events: 1 };
    cluster.stand_in.add_fault(FaultRule::new("GET", "configmaps.*watch=true", cut).times(1)).unwrap();
    let mut stream = pin!(watcher(maps, watcher::Config::default()));
    assert!(names_until(&mut stream, "a").await.contains(&"a".to_owned()));
    // an object created between watches is compacted before the next watch
    let wait = FaultAction::Answer { status: 500, reason: None, body: None, retry_after: None };
    cluster.stand_in.add_fault(FaultRule::new("GET", "configmaps.*watch=true", wait).times(1)).unwrap();
    put(&cluster, "b").await;
    put(&cluster, "c").await;
    cluster.stand_in.compact();
    names_until(&mut stream, "c").await;
    put(&cluster, "d").await;
    names_until(&mut stream, "d").await;
}

#[tokio::test]
async fn an_expired_version_gets_410() {
    let cluster = TestCluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "pop");
    let old = put(&cluster, "a").await;
    put(&cluster, "b").await;
    let page = maps.list(&ListParams::default().limit(1)).await.unwrap();
    let token = page.metadata.continue_.unwrap();
    put(&cluster, "c").await;
    // the second page has the version of the first
    let rest = maps.list(&ListParams::default().continue_token(&token)).await.unwrap();
    assert_eq!(rest.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["b", "kube-root-ca.crt"]);
    cluster.stand_in.compact();
    let kube::Error::Api(status) =
        maps.list(&ListParams::default().continue_token(&token)).await.unwrap_err()
    else {
        unreachable!()
    };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    let mut watched = pin!(maps.watch(&WatchParams::default(), &old).await.unwrap());
    let WatchEvent::Error(status) = watched.try_next().await.unwrap().unwrap() else { unreachable!() };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    assert!(watched.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_selecting_watch_sees_objects_enter_and_leave() {
    let cluster = TestCluster::start().await;
    let params = WatchParams::default().fields("status.phase=Running");
    let mut watched = pin!(cluster.pods.watch(&params, "0").await.unwrap());
    let line = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    cluster.run(pod("x", line), has_phase("Running")).await;
    assert!(matches!(watched.try_next().await.unwrap(), Some(WatchEvent::Added(_))));
    cluster.stand_in.delete_pod("pop", "x").unwrap();
    loop {
        match watched.try_next().await.unwrap().unwrap() {
            WatchEvent::Modified(pod) => assert_eq!(pod.status.unwrap().phase.unwrap(), "Running"),
            WatchEvent::Deleted(_) => break,
            other => unreachable!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_create_can_succeed_with_its_response_lost() {
    let cluster = TestCluster::start().await;
    let rule = FaultRule::new("POST", "/pods", FaultAction::ResetAfter).times(1);
    cluster.stand_in.add_fault(rule).unwrap();
    let wanted: Pod = serde_json::from_value(pod("x", "exit 0")).unwrap();
    let lost = cluster.pods.create(&PostParams::default(), &wanted).await;
    assert!(matches!(lost, Err(kube::Error::HyperError(_) | kube::Error::Service(_))), "{lost:?}");
    cluster.until("x", has_phase("Succeeded")).await;
    let busy = FaultAction::Answer { status: 429, reason: None, body: None, retry_after: Some(0) };
    cluster.stand_in.add_fault(FaultRule::new("POST", "/pods", busy).times(1)).unwrap();
    // the client retries by itself after 429
    let kube::Error::Api(status) = cluster.pods.create(&PostParams::default(), &wanted).await.unwrap_err()
    else {
        unreachable!()
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
    let created = cluster.stand_in.requests().into_iter().filter(|request| request.verb == "create");
    // a request with a fault is counted, too
    assert_eq!(created.count(), 3);
}

#[tokio::test]
async fn a_log_needs_its_container_and_its_stream_can_break() {
    let cluster =
        TestCluster::start_with(Config { images: Some(vec!["any:1".to_owned()]), ..Config::default() }).await;
    let mut absent = pod("absent", "");
    absent["spec"]["containers"][0]["image"] = "none:1".into();
    cluster.run(absent, |pod| state(pod)["waiting"]["reason"] == "ErrImagePull").await;
    let kube::Error::Api(status) = cluster.pods.logs("absent", &LogParams::default()).await.unwrap_err()
    else {
        unreachable!()
    };
    let said = "container \"main\" in pod \"absent\" is waiting to start: image can't be pulled";
    assert_eq!((status.code, status.message.as_str()), (400, said));
    cluster.run(pod("x", "for i in 1 2 3; do echo $i; done"), has_phase("Succeeded")).await;
    let cut = FaultAction::CutAfterBytes { bytes: 3 };
    cluster.stand_in.add_fault(FaultRule::new("GET", "/log", cut).times(1)).unwrap();
    let mut lines = pin!(cluster.pods.log_stream("x", &LogParams::default()).await.unwrap().lines());
    assert_eq!(lines.try_next().await.unwrap().unwrap(), "1");
    assert!(lines.try_next().await.is_err() || lines.try_next().await.is_err());
    let tail = LogParams { tail_lines: Some(1), ..LogParams::default() };
    assert_eq!(cluster.pods.logs("x", &tail).await.unwrap(), "3\n");
}

#[tokio::test]
async fn a_process_in_a_pod_acts_as_its_service_account() {
    let cluster = TestCluster::start().await;
    let line = "cat $KUBECONFIG > $POP_STAND_IN_ROOT/dev/termination-log; cat $POP_STAND_IN_ROOT/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    let ended = cluster.run(pod("x", line), has_phase("Succeeded")).await;
    let config = state(&ended)["terminated"]["message"].as_str().unwrap();
    let theirs: Api<Pod> = Api::namespaced(client(config).await, "pop");
    let kube::Error::Api(status) = theirs.get("x").await.unwrap_err() else { unreachable!() };
    assert!(status.message.contains("system:serviceaccount:pop:default"), "{}", status.message);
    assert_eq!(cluster.pods.logs("x", &LogParams::default()).await.unwrap(), "pop");
    cluster.stand_in.rotate_token("pop", "default");
    let kube::Error::Api(status) = theirs.get("x").await.unwrap_err() else { unreachable!() };
    assert_eq!((status.code, status.reason.as_str()), (401, "Unauthorized"));
}

#[tokio::test]
async fn a_stalled_watch_stays_open_without_events() {
    let cluster = TestCluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "pop");
    let stall = FaultAction::StallAfterEvents { events: 1 };
    cluster.stand_in.add_fault(FaultRule::new("GET", "configmaps.*watch=true", stall).times(1)).unwrap();
    let from = put(&cluster, "a").await;
    let mut stalled = pin!(maps.watch(&WatchParams::default(), &from).await.unwrap());
    let mut whole = pin!(maps.watch(&WatchParams::default(), &from).await.unwrap());
    put(&cluster, "b").await;
    put(&cluster, "c").await;
    for _ in 0..2 {
        assert!(matches!(whole.try_next().await.unwrap(), Some(WatchEvent::Added(_))));
    }
    assert!(matches!(stalled.try_next().await.unwrap(), Some(WatchEvent::Added(_))));
    assert!(stalled.try_next().now_or_never().is_none());
}
