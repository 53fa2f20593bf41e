//! Pods run, and their status shows the outcome.

use crate::test_cluster::{TestCluster, has_phase, pod, state};
use futures_util::{AsyncBufReadExt as _, TryStreamExt as _};
use kube::api::{DeleteParams, LogParams};
use serde_json::json;

#[tokio::test]
async fn a_pod_runs_and_reports_its_end() {
    let cluster = TestCluster::start().await;
    let ended = cluster.run(pod("ok", "echo out; echo err >&2"), has_phase("Succeeded")).await;
    let terminated = &state(&ended)["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(0), &json!("Completed")));
    assert_eq!(ended["spec"]["nodeName"], "stand-in");
    assert_eq!(ended["status"]["qosClass"], "BestEffort");
    let log = cluster.pods.logs("ok", &LogParams::default()).await.unwrap();
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err", "out"]);
    let failed = cluster.run(pod("bad", "exit 3"), has_phase("Failed")).await;
    let terminated = &state(&failed)["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(3), &json!("Error")));
}

#[tokio::test]
async fn a_deleted_pod_gets_sigterm_and_reports_its_last_state() {
    let cluster = TestCluster::start().await;
    let line = "trap 'echo asked; exit 7' TERM; echo up; while :; do sleep 0.01; done";
    cluster.run(pod("x", line), has_phase("Running")).await;
    let log = async {
        let params = LogParams { follow: true, ..LogParams::default() };
        let lines = cluster.pods.log_stream("x", &params).await.unwrap().lines();
        futures_util::pin_mut!(lines);
        assert_eq!(lines.try_next().await.unwrap().unwrap(), "up");
        cluster.pods.delete("x", &DeleteParams::default()).await.unwrap();
        assert_eq!(lines.try_next().await.unwrap().unwrap(), "asked");
        assert_eq!(lines.try_next().await.unwrap(), None);
    };
    let last = cluster.until("x", |pod| state(pod)["terminated"]["exitCode"] == 7);
    let (last, ()) = tokio::join!(last, log);
    assert!(last["metadata"]["deletionTimestamp"].is_string());
}
