//! Pods as containers. These tests need a Docker Engine; `just test-docker` runs them.

use crate::kubelet::until_printed;
use crate::test_cluster::{TestCluster, has_phase, pod, state};
use kube::api::{DeleteParams, LogParams};
use pop_stand_in::{Backend, Config};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const IMAGE: &str = "pop-stand-in-test:busybox";

/// A stand-in whose pods are containers, and an image with a shell.
async fn start() -> TestCluster {
    let line = format!(
        "docker image inspect {IMAGE} >/dev/null 2>&1 || {{ f=$(mktemp -d) && mkdir $f/bin $f/tmp && \
         cp /bin/busybox $f/bin && ln -s busybox $f/bin/sh && tar -C $f -c . | docker import - {IMAGE}; rm -r $f; }}"
    );
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    let backoff = Duration::from_millis(500);
    TestCluster::start_with(Config { backend: Backend::Docker, backoff, ..Config::default() }).await
}

fn contained(name: &str, line: &str) -> Value {
    let mut pod = pod(name, line);
    pod["spec"]["containers"][0]["image"] = IMAGE.into();
    pod["spec"]["containers"][0]["command"] =
        json!(["/bin/sh", "-c", format!("/bin/busybox --install -s /bin; {line}")]);
    pod
}

#[tokio::test]
#[ignore = "needs a Docker Engine"]
async fn a_pod_runs_as_a_container_with_token_and_exit_status() {
    let cluster = start().await;
    let line = "cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; echo $KUBERNETES_SERVICE_HOST; \
                nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo reached; hostname; \
                echo bye > /dev/termination-log; exit 4";
    let ended = cluster.run(contained("x", line), has_phase("Failed")).await;
    let terminated = &state(&ended)["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["message"]), (&json!(4), &json!("bye\n")));
    let log = cluster.pods.logs("x", &LogParams::default()).await.unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!((lines[0], lines[2], lines[3]), ("pop", "reached", "x"), "{log}");
    assert_ne!(lines[1], "127.0.0.1");
    assert!(ended["status"]["podIP"].as_str().unwrap().starts_with("172."), "{ended:#}");
}

#[tokio::test]
#[ignore = "needs a Docker Engine"]
async fn containers_share_a_network_and_the_sidecar_ends_last() {
    let cluster = start().await;
    let mut pod = contained("x", "until nc -w 1 127.0.0.1 7000 </dev/null; do sleep 0.05; done");
    let mut side = contained("s", "exec nc -ll -p 7000 -e /bin/true")["spec"]["containers"][0].clone();
    side["name"] = "side".into();
    side["restartPolicy"] = "Always".into();
    pod["spec"]["initContainers"] = json!([side]);
    pod["spec"]["terminationGracePeriodSeconds"] = 1.into();
    let ended = cluster.run(pod, has_phase("Succeeded")).await;
    assert!(ended["status"]["initContainerStatuses"][0]["state"]["terminated"].is_object(), "{ended:#}");
}

#[tokio::test]
#[ignore = "needs a Docker Engine"]
async fn an_out_of_memory_kill_is_reported() {
    let cluster = start().await;
    let mut pod = contained("x", "exec dd if=/dev/zero of=/dev/null bs=200M count=1");
    pod["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "16Mi"}});
    let ended = cluster.run(pod, has_phase("Failed")).await;
    let terminated = &state(&ended)["terminated"];
    assert_eq!(
        (&terminated["exitCode"], &terminated["reason"]),
        (&json!(137), &json!("OOMKilled")),
        "{ended:#}"
    );
}

#[tokio::test]
#[ignore = "needs a Docker Engine"]
async fn a_missing_image_and_a_missing_program_are_reported() {
    let cluster = start().await;
    let mut absent = contained("absent", "true");
    absent["spec"]["containers"][0]["image"] = "pop-stand-in-test:absent".into();
    let waits = |pod: &Value| state(pod)["waiting"]["reason"] == "ImagePullBackOff";
    cluster.run(absent, waits).await;
    let mut broken = contained("broken", "");
    broken["spec"]["containers"][0]["command"] = json!(["/nowhere"]);
    let ended = cluster.run(broken, has_phase("Failed")).await;
    let terminated = &state(&ended)["terminated"];
    assert_eq!(
        (&terminated["exitCode"], &terminated["reason"]),
        (&json!(128), &json!("StartError")),
        "{ended:#}"
    );
}

#[tokio::test]
#[ignore = "needs a Docker Engine"]
async fn a_deleted_container_is_killed_after_its_grace() {
    let cluster = start().await;
    let line = "trap '' TERM; echo up; while :; do sleep 1; done";
    let running = cluster.run(contained("x", line), has_phase("Running")).await;
    until_printed(&cluster, "x").await;
    let params = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
    cluster.pods.delete("x", &params).await.unwrap();
    let last = cluster.until("x", |pod| state(pod)["terminated"].is_object()).await;
    assert_eq!(state(&last)["terminated"]["exitCode"], 137);
    drop(cluster);
    let id = running["status"]["containerStatuses"][0]["containerID"].as_str().unwrap();
    let id = id.strip_prefix("docker://").unwrap();
    let found = Command::new("docker").args(["ps", "--all", "--quiet", "--no-trunc"]).output().unwrap();
    assert!(!String::from_utf8(found.stdout).unwrap().contains(id));
}
