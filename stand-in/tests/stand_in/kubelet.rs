//! The end of pods, as on a real node: grace, ignored signals of process 1, and intermediate statuses.

use crate::test_cluster::{HANG, TestCluster, has_phase, pod, state};
use futures_util::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, LogParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use pop_stand_in::Config;
use serde_json::{Value, json};
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::timeout;

fn within(seconds: u32) -> DeleteParams {
    DeleteParams { grace_period_seconds: Some(seconds), ..DeleteParams::default() }
}

/// A pod whose program is process 1 of its namespace, as by default.
fn alone(name: &str, line: &str) -> Value {
    let mut pod = pod(name, line);
    pod["spec"]["shareProcessNamespace"] = false.into();
    pod
}

/// Deletes a pod. Returns the following events as `TYPE phase generation observedGeneration grace reason exit-code`.
async fn deletion(cluster: &TestCluster, name: &str, grace: u32) -> Vec<String> {
    let version = cluster.pods.get(name).await.unwrap().metadata.resource_version.unwrap();
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut watched = pin!(cluster.pods.watch(&params, &version).await.unwrap());
    cluster.pods.delete(name, &within(grace)).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = timeout(HANG, watched.try_next()).await.unwrap().unwrap() {
        let (word, pod, is_last) = match event {
            WatchEvent::Modified(pod) => ("MODIFIED", pod, false),
            WatchEvent::Deleted(pod) => ("DELETED", pod, true),
            other => unreachable!("{other:?}"),
        };
        let pod = serde_json::to_value(pod).unwrap();
        let state = state(&pod);
        let reason = state.as_object().unwrap().values().next().unwrap();
        let words = [
            &pod["status"]["phase"],
            &pod["metadata"]["generation"],
            &pod["status"]["observedGeneration"],
            &pod["metadata"]["deletionGracePeriodSeconds"],
            &reason["reason"],
            &reason["exitCode"],
        ];
        let words = words.map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned));
        events.push(format!("{word} {}", words.join(" ")));
        if is_last {
            return events;
        }
    }
    events
}

#[tokio::test]
async fn a_deletion_has_five_events() {
    let cluster = TestCluster::start().await;
    let line = "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let running = cluster.run(pod("x", line), has_phase("Running")).await;
    assert_eq!(
        (&running["metadata"]["generation"], &running["status"]["observedGeneration"]),
        (&json!(1), &json!(1))
    );
    until_printed(&cluster, "x").await;
    assert_eq!(
        deletion(&cluster, "x", 5).await,
        [
            "MODIFIED Running 2 1 5 null null",
            "MODIFIED Running 2 2 5 null null",
            "MODIFIED Succeeded 2 2 5 Completed 0",
            "MODIFIED Succeeded 2 2 0 Completed 0",
            "DELETED Succeeded 2 2 0 Completed 0",
        ]
    );
}

/// Waits for the first line of a pod's log.
pub(crate) async fn until_printed(cluster: &TestCluster, name: &str) {
    let params = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pin!(cluster.pods.log_stream(name, &params).await.unwrap().lines());
    timeout(HANG, lines.try_next()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_pod_that_never_ran_is_deleted_as_failed_with_137() {
    let images = Some(vec!["any:1".to_owned()]);
    let cluster = TestCluster::start_with(Config { images, ..Config::default() }).await;
    let mut absent = pod("x", "true");
    absent["spec"]["containers"][0]["image"] = "nope:1".into();
    absent["spec"]["containers"][0]["imagePullPolicy"] = "Never".into();
    let waiting = cluster.run(absent, |pod| state(pod)["waiting"]["reason"] == "ErrImageNeverPull").await;
    assert_eq!(waiting["status"]["phase"], "Pending");
    assert_eq!(
        deletion(&cluster, "x", 30).await,
        [
            "MODIFIED Pending 2 1 30 ErrImageNeverPull null",
            "MODIFIED Pending 2 2 30 ContainerCreating null",
            "MODIFIED Failed 2 2 30 ContainerStatusUnknown 137",
            "MODIFIED Failed 2 2 0 ContainerStatusUnknown 137",
            "DELETED Failed 2 2 0 ContainerStatusUnknown 137",
        ]
    );
}

#[tokio::test]
async fn a_second_deletion_does_not_shorten_the_grace() {
    let cluster = TestCluster::start().await;
    cluster.run(pod("x", "trap '' TERM; echo up; sleep 100"), has_phase("Running")).await;
    until_printed(&cluster, "x").await;
    let begun = Instant::now();
    cluster.pods.delete("x", &within(3)).await.unwrap();
    let answered = cluster.pods.delete("x", &within(1)).await.unwrap();
    assert_eq!(answered.left().unwrap().metadata.deletion_grace_period_seconds, Some(1));
    cluster.until("x", |pod| state(pod)["terminated"]["exitCode"] == 137).await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn process_1_gets_only_signals_that_it_handles() {
    let cluster = TestCluster::start().await;
    let waits = "echo up; while :; do sleep 0.01; done";
    for (name, pod, code, is_quick) in [
        ("deaf", alone("deaf", waits), 137, false),
        ("handles", alone("handles", &format!("trap 'exit 7' TERM; {waits}")), 7, true),
        ("shares", pod("shares", waits), 143, true),
    ] {
        cluster.run(pod, has_phase("Running")).await;
        until_printed(&cluster, name).await;
        let begun = Instant::now();
        // watched from before the deletion on: a quick end is over before a later watch begins
        let events = deletion(&cluster, name, 2).await;
        assert!(events.last().unwrap().ends_with(&format!(" {code}")), "{name}: {events:?}");
        assert_eq!(begun.elapsed() < Duration::from_secs(2), is_quick, "{name}");
    }
}

#[tokio::test]
async fn process_1_survives_its_own_kill() {
    let cluster = TestCluster::start().await;
    // the kubelet turns `$$` into `$`
    let ended = cluster.run(alone("x", "kill -9 $$$$"), |pod| state(pod)["terminated"].is_object()).await;
    assert_eq!(state(&ended)["terminated"]["exitCode"], 0);
    let ended = cluster.run(pod("y", "kill -9 $$$$"), |pod| state(pod)["terminated"].is_object()).await;
    assert_eq!(state(&ended)["terminated"]["exitCode"], 137);
}

#[tokio::test]
async fn a_deadline_fails_a_pod_whose_program_ended_with_0() {
    let cluster = TestCluster::start().await;
    let mut late = pod("x", "trap 'exit 0' TERM; while :; do sleep 0.01; done");
    late["spec"]["activeDeadlineSeconds"] = 1.into();
    let ended = cluster.run(late, has_phase("Failed")).await;
    let terminated = &state(&ended)["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(0), &json!("Completed")));
    assert_eq!(
        (&ended["status"]["reason"], &ended["metadata"]["deletionTimestamp"]),
        (&json!("DeadlineExceeded"), &Value::Null)
    );
}

#[tokio::test]
async fn an_open_log_lingers_after_the_end_and_a_late_one_does_not() {
    let cluster = TestCluster::start().await;
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let line = format!("echo up; until [ -e {} ]; do sleep 0.01; done", go.display());
    cluster.run(pod("x", &line), has_phase("Running")).await;
    let params = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pin!(cluster.pods.log_stream("x", &params).await.unwrap().lines());
    assert_eq!(lines.try_next().await.unwrap().unwrap(), "up");
    std::fs::write(go, "").unwrap();
    cluster.until("x", has_phase("Succeeded")).await;
    let seen = Instant::now();
    assert_eq!(lines.try_next().await.unwrap(), None);
    assert!(seen.elapsed() >= Duration::from_millis(100), "{:?}", seen.elapsed());
    let asked = Instant::now();
    assert_eq!(cluster.pods.logs("x", &params).await.unwrap(), "up\n");
    assert!(asked.elapsed() < Duration::from_millis(300), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_name_stays_in_use_while_its_pod_is_deleted() {
    let cluster = TestCluster::start().await;
    let mut held = pod("x", "true");
    held["metadata"]["finalizers"] = json!(["pop.io/held"]);
    cluster.run(held, has_phase("Succeeded")).await;
    cluster.pods.delete("x", &DeleteParams::default()).await.unwrap();
    let again: Pod = serde_json::from_value(pod("x", "true")).unwrap();
    let kube::Error::Api(status) = cluster.pods.create(&PostParams::default(), &again).await.unwrap_err()
    else {
        unreachable!()
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(status.message, "object is being deleted: pods \"x\" already exists");
    let more = Patch::Merge(json!({"metadata": {"finalizers": ["pop.io/held", "pop.io/more"]}}));
    let kube::Error::Api(status) = cluster.pods.patch("x", &PatchParams::default(), &more).await.unwrap_err()
    else {
        unreachable!()
    };
    assert_eq!(status.code, 422, "{status:?}");
}

#[tokio::test]
async fn admission_precedes_validation_and_storage_has_a_limit() {
    let cluster = TestCluster::start().await;
    let refusal = async |pod: Value| {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        match cluster.pods.create(&PostParams::default(), &pod).await.unwrap_err() {
            kube::Error::Api(status) => (status.code, status.reason.clone(), status.message.clone()),
            other => unreachable!("{other}"),
        }
    };
    let mut wrong = pod("x", "true");
    wrong["metadata"]["labels"] = json!({"a": "no good"});
    assert_eq!(refusal(wrong.clone()).await.0, 422);
    wrong["spec"]["serviceAccountName"] = "nobody".into();
    let said = "pods \"x\" is forbidden: error looking up service account pop/nobody: serviceaccount \"nobody\" not found";
    assert_eq!(refusal(wrong).await, (403, "Forbidden".to_owned(), said.to_owned()));
    let large = refusal(pod("x", &"x".repeat(2_000_000))).await;
    assert_eq!(large, (500, String::new(), "etcdserver: request is too large".to_owned()));
    assert_eq!(refusal(pod("x", &"x".repeat(3_200_000))).await.0, 413);
}
