//! Failures of pods on a stand-in node: unreadable logs, pods that do not start, stops, resumes.

use crate::bench::{Bench, Ended};
use crate::docker;
use crate::kubernetes::{Cluster, agenda, answer, lines, lines_with, shell};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use pop_stand_in::{Config, FaultAction};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn says(ended: &Ended, words: &str) {
    assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
}

/// Lets the default service account do what pop needs, except that it may not read logs.
fn forbid_logs(cluster: &Cluster, bench: &Bench) {
    use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
    let rules = json!([{"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["*"]}]);
    let role = json!({"metadata": {"name": "r"}, "rules": rules});
    let binding = json!({
        "metadata": {"name": "r"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "pop"}],
    });
    cluster.ask(async |client| {
        let roles: kube::Api<Role> = kube::Api::namespaced(client.clone(), "pop");
        roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
        let bindings: kube::Api<RoleBinding> = kube::Api::namespaced(client, "pop");
        bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
    });
    bench.write("kubeconfig", cluster.stand_in.kubeconfig_for("pop", "default"));
}

fn captured(bench: &Bench, line: &str) {
    let first = json!({"name": "a", "type": "exec", "payload": {"command": ["sh", "-c", line], "image": "i:1", "capture": "text"}});
    let next = shell("b", "echo '@<a.out::/stdout>' >> read");
    bench.write("a.json", json!({"operations": [first, next]}).to_string());
}

#[test]
fn fr_k1_a_forbidden_log_fails_what_it_hides() {
    let cluster = Cluster::of_processes();
    let bench = Bench::new();
    captured(&bench, "echo hello");
    forbid_logs(&cluster, &bench);
    let begun = Instant::now();
    let ended = cluster.call(&bench, "run a.json --on kubernetes").ends(10);
    says(&ended, "[forbidden] its output could not be read to its end");
    says(&ended, "lacks a Role that lets it get pods/log");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(bench.operation("b")["outcome"], "cancelled");
    // a command that is not captured may have printed a report
    bench.write(
        "a.json",
        json!({"operations": [shell("a", "echo 'pop.report.payload {\"x\": 1}'")]}).to_string(),
    );
    says(&cluster.call(&bench, "run a.json --on kubernetes").ends(10), "[forbidden]");
    // its own failure is reported instead
    bench.write("a.json", json!({"operations": [shell("a", "kill -9 $$")]}).to_string());
    says(&cluster.call(&bench, "run a.json --on kubernetes").ends(10), "[signal]");
}

#[test]
fn fr_k1_annotations_bring_the_result_without_a_log() {
    let cluster = Cluster::of_processes();
    let bench = lines(&[("a", "echo start >> started; while ! test -e go; do sleep 0.05; done")]);
    forbid_logs(&cluster, &bench);
    let running = cluster.call(&bench, "run a.json --on kubernetes").spawn();
    bench.wait_for("started", 1);
    let name = cluster.pods().remove(0);
    let annotations = json!({"pop.report.payload": "{\"x\": 3}", "pop.report.progress": "{\"processingState\": \"COMPLETE\", \"processingStateMessage\": \"succeeded\"}"});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    cluster.ask(async |client| {
        let pods: kube::Api<Pod> = kube::Api::namespaced(client, "pop");
        pods.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    });
    bench.write("go", "");
    running.ends(0);
    assert_eq!(bench.operation("a")["result"], json!({"x": 3}));
}

#[test]
fn fr_k1_incomplete_log_fails_the_attempt() {
    let absent = |status| {
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": "gone"});
        FaultAction::Answer { status, reason: None, body: Some(body.to_string()), retry_after: None }
    };
    for fault in [answer(500, None), absent(404), FaultAction::CutAfterBytes { bytes: 40 }] {
        let cluster = Cluster::of_processes();
        let bench = Bench::new();
        captured(&bench, "echo hello; echo world");
        cluster.fault("GET", "/log", 1_000, fault.clone());
        let ended = cluster.call(&bench, "run a.json --on kubernetes").ends(10);
        says(&ended, "[lost] its output could not be read to its end");
        assert!(!bench.has("read"), "{fault:?}");
    }
}

#[test]
fn fr_k1_log_ended_early_by_the_server_is_read_on() {
    let cluster = Cluster::of_processes();
    // it runs for less time than pop waits before it reads the log of a running program again
    let bench =
        lines(&[("a", "for n in $(seq 100); do echo line $n; done; sleep 1; seq -f 'line %g' 101 300")]);
    cluster.fault("GET", "/log", 1, FaultAction::EndAfterEvents { events: 30 });
    cluster.call(&bench, "run a.json --on kubernetes").ends(0);
    let wanted: Vec<String> = (1..=300).map(|n| format!("line {n}")).collect();
    assert_eq!(docker::log(&bench, "a").lines().collect::<Vec<_>>(), wanted);
}

/// Runs a program that ignores SIGTERM until it is stopped; how long that took from its start on.
fn stopped(params: &Value, arguments: &str, signal: Option<Signal>, code: i32) -> Duration {
    let cluster = Cluster::of_processes();
    let bench = lines_with(&[("a", "trap '' TERM; echo begun; echo begun >> begun; sleep 60")], params);
    let running = cluster.call(&bench, &format!("run a.json --on kubernetes {arguments}")).spawn();
    bench.wait_for("begun", 1);
    let begun = Instant::now();
    if let Some(signal) = signal {
        running.signal(signal);
    }
    running.ends(code);
    let took = begun.elapsed();
    assert_eq!(docker::log(&bench, "a"), "begun\n");
    cluster.until_empty();
    took
}

#[test]
fn fr_k2_first_deletion_has_the_grace_of_the_run() {
    let took = stopped(&json!({"timeoutMs": 1_000}), "--grace 3", None, 10);
    assert!((3..20).contains(&took.as_secs()), "{took:?}");
    let took = stopped(&json!({}), "--grace 1", Some(Signal::INT), 130);
    assert!((1..20).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn fr_k2_sigterm_reaches_a_program_without_signal_handler() {
    // sleep has no handler: as process 1 of its pod it would have the whole grace
    for (params, arguments, signal, code) in [
        (json!({"timeoutMs": 1_500}), "--grace 30", None, 10),
        (json!({}), "--grace 30", Some(Signal::TERM), 143),
        (json!({}), "--grace 30 --time-limit 2", None, 13),
    ] {
        let cluster = Cluster::of_processes();
        let bench = lines_with(&[("a", "echo begun >> begun; sleep 60")], &params);
        let begun = Instant::now();
        let running = cluster.call(&bench, &format!("run a.json --on kubernetes {arguments}")).spawn();
        bench.wait_for("begun", 1);
        if let Some(signal) = signal {
            running.signal(signal);
        }
        running.ends(code);
        assert!(begun.elapsed() < Duration::from_secs(25), "{arguments}: {:?}", begun.elapsed());
        cluster.until_empty();
    }
}

#[test]
fn fr_k2_fatal_stops_other_pods_within_the_grace() {
    let cluster = Cluster::of_processes();
    let bench = lines(&[
        (
            "a",
            "trap 'echo asked; sleep 1; echo saved >> saved; exit 0' TERM; echo up >> up; while :; do sleep 0.05; done",
        ),
        ("b", "while ! test -e up; do sleep 0.05; done; exit 3"),
    ]);
    let mut text: Value = serde_json::from_str(&bench.read("a.json")).unwrap();
    text["operations"][1]["params"] = json!({"onFail": "FATAL"});
    bench.write("a.json", text.to_string());
    cluster.call(&bench, "run a.json -j 2 --grace 5 --on kubernetes").ends(12);
    assert_eq!((bench.read("saved").as_str(), docker::log(&bench, "a").as_str()), ("saved\n", "asked\n"));
}

#[test]
fn fr_k3_unavailable_image_fails_at_once_with_its_code() {
    let images = Some(vec![docker::IMAGE.to_owned()]);
    let cluster = Cluster::with(Config { images, ..Config::default() });
    let absent = |params: Value| json!({"name": "a", "type": "exec", "params": params, "payload": {"command": ["true"], "image": "nope:1"}});
    let begun = Instant::now();
    let bench = agenda(&json!([absent(json!({"pendingTimeoutMs": 20_000}))]));
    let ended = cluster.call(&bench, "run a.json --on kubernetes").ends(10);
    says(&ended, "[image-pull] its pod cannot start: ErrImagePull");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let bench = agenda(&json!([absent(json!({"ignoreErrors": ["image-pull"]}))]));
    cluster.call(&bench, "run a.json --on kubernetes").ends(0);
    let retry = json!({"retry": {"maxAttempts": 2, "delayMs": 1, "on": ["image-pull"]}});
    let bench = agenda(&json!([absent(retry)]));
    cluster.call(&bench, "run a.json --on kubernetes").ends(10);
    assert_eq!(bench.operation("a")["attempts"], 2);
    cluster.until_empty();
}

#[test]
fn fr_k3_silent_image_registry_is_named_after_a_wait() {
    let unreachable_images = vec!["away:1".to_owned()];
    let cluster = Cluster::with(Config { unreachable_images, ..Config::default() });
    let params = json!({"pendingTimeoutMs": 2_000, "ignoreErrors": ["image-pull"]});
    let bench = agenda(&json!([
        {"name": "a", "type": "exec", "params": params, "payload": {"command": ["true"], "image": "away:1"}},
        {"name": "b", "type": "exec", "params": {"pendingTimeoutMs": 2_000}, "payload": {"command": ["true"], "image": "away:1"}},
    ]));
    let begun = Instant::now();
    let ended = cluster.call(&bench, "run a.json -k -j 2 --on kubernetes").ends(10);
    says(&ended, "[image-pull] was not scheduled within its pendingTimeoutMs of 2000: ");
    assert!(!ended.stderr.contains("displaced"), "{}", ended.stderr);
    assert!((2..10).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(bench.operation("a")["outcome"], "succeeded");
    cluster.until_empty();
}

#[test]
fn fr_k3_missing_config_maps_secrets_and_keys_are_config() {
    let cluster = Cluster::of_processes();
    let bench = agenda(
        &json!([{"name": "map", "type": "map"}, {"name": "key", "type": "key"}, {"name": "secret", "type": "secret"}, {"name": "entry", "type": "entry"}]),
    );
    let of = |more: Value| {
        let mut entry = json!({"podConfig": {"serviceAccountName": "default"}});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    bench.write(
        "registry.json",
        json!({
            "basePodConfig": {"imageName": docker::IMAGE, "arguments": ["true"], "serviceAccountName": "default"},
            "map": of(json!({"configMapName": "not-there"})),
            "key": of(json!({"configMapName": "kube-root-ca.crt"})),
            "secret": of(json!({"secrets": {"A": {"fromSecret": {"name": "not-there", "key": "k"}}}})),
            "entry": of(json!({"secrets": {"A": {"fromSecret": {"name": "there", "key": "k"}}}})),
        })
        .to_string(),
    );
    cluster.ask(async |client| {
        let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> = kube::Api::namespaced(client, "pop");
        let secret = json!({"metadata": {"name": "there"}, "stringData": {"other": "x"}});
        secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    });
    let begun = Instant::now();
    let call = cluster.call(&bench, "run a.json -k -j 4 --on kubernetes --policy pendingTimeoutMs=25000");
    let ended = call.ends(10);
    assert_eq!(ended.stderr.matches("[config] its pod cannot start").count(), 4, "{}", ended.stderr);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    cluster.until_empty();
}

#[test]
fn fr_k4_resume_ends_a_timed_out_pod_and_reads_its_log() {
    let cluster = Cluster::of_processes();
    let line =
        "trap 'echo asked; exit 9' TERM; echo begun; echo begun >> begun; while :; do sleep 0.05; done";
    let bench = lines_with(&[("a", line)], &json!({"timeoutMs": 1_500}));
    let running = cluster.call(&bench, "run a.json --on kubernetes").spawn();
    bench.wait_for("begun", 1);
    running.crash();
    // a timeout does not fire while no executor runs
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(cluster.pods().len(), 1);
    // the pod is not deleted before its log is open
    cluster.fault("GET", "/log", 1, FaultAction::Wait { milliseconds: 800 });
    let ended = cluster.call(&bench, "resume last").ends(10);
    says(&ended, "[timeout] ran longer than its timeoutMs of 1500");
    assert_eq!(docker::log(&bench, "a"), "begun\nasked\n");
    assert_eq!(
        bench.operation("a")["diagnosticEvents"][0]["statusCode"],
        "timeout",
        "{:#}",
        bench.operation("a")
    );
    assert_eq!(cluster.created(), 1);
    cluster.until_empty();
}

#[test]
fn fr_k6_self_kill_ends_alike_as_process_and_pod() {
    let cluster = Cluster::of_processes();
    let bench = agenda(&json!([
        shell("kill", "kill -9 $$"),
        shell("term", "kill -TERM $$"),
        shell("goes", "kill -0 $$ && exit 3"),
        shell("abort", "kill -ABRT $$"),
    ]));
    let told = |on: &str| {
        cluster.call(&bench, "run a.json -k --on").argument(on).ends(10);
        let shown = bench.shown();
        let fields = ["name", "outcome", "attempts", "result", "diagnosticEvents"];
        let kept = |operation: &Value| fields.map(|field| operation[field].clone());
        shown["operations"].as_array().unwrap().iter().map(kept).collect::<Vec<_>>()
    };
    assert_eq!(told("local"), told("kubernetes"));
}

#[test]
fn fr_k7_too_large_pod_fails_at_once_blamed_on_the_handler() {
    let cluster = Cluster::of_processes();
    let begun = Instant::now();
    let exec = |name: &str, payload: Value| json!({"name": name, "type": "exec", "payload": payload});
    let many = vec!["x".repeat(120_000); 14];
    let mut command = vec!["true".to_owned()];
    command.extend(many);
    let bench = agenda(&json!([
        exec("argument", json!({"command": ["echo", "@<big.out::/x>"], "image": "i:1"})),
        exec("variable", json!({"command": ["true"], "env": {"A": "@<big.out::/x>"}, "image": "i:1"})),
        exec("many", json!({"command": command, "image": "i:1"})),
        {"name": "big", "type": "sample", "payload": {"resultPayload": {"x": "x".repeat(2_000_000)}}},
    ]));
    bench.write("registry.json", "{}");
    let ended = cluster.call(&bench, "run a.json -k -j 4 --on kubernetes").ends(10);
    says(&ended, "[payload] item 2 of `command` has 2000000 bytes; Linux takes at most 131071");
    says(&ended, "[payload] `A` in `env` has 2000002 bytes; Linux takes at most 131071");
    says(&ended, "a cluster stores at most 1572864 bytes per pod");
    assert_eq!(cluster.created(), 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn fr_k7_pod_that_cannot_be_stored_is_not_retried() {
    for (status, message) in
        [(500, "etcdserver: request is too large"), (413, "Request entity too large: limit is 3145728")]
    {
        let cluster = Cluster::of_processes();
        let bench = lines(&[("a", "true")]);
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status});
        let action =
            FaultAction::Answer { status, reason: None, body: Some(body.to_string()), retry_after: None };
        cluster.fault("POST", "/pods$", 100, action);
        let ended = cluster.call(&bench, "run a.json --on kubernetes").ends(10);
        says(
            &ended,
            "[pod-invalid] the object is too large for the cluster (the usual limit is 1572864 bytes)",
        );
        assert_eq!(cluster.created(), 1);
    }
}

#[test]
fn fr_k8_bad_image_name_and_folder_blame_the_handler() {
    let cluster = Cluster::of_processes();
    let exec = |name: &str, payload: Value| json!({"name": name, "type": "exec", "payload": payload});
    let bench = agenda(&json!([
        exec("image", json!({"command": ["true"], "image": "Not A Name"})),
        exec("folder", json!({"command": ["true"], "image": "i:1", "workingDirectory": "nowhere"})),
    ]));
    cluster.call(&bench, "run a.json -k --on kubernetes").ends(10);
    let failure = |name: &str| {
        let operation = bench.operation(name);
        let event = &operation["diagnosticEvents"][0];
        (event["statusCode"].as_str().unwrap().to_owned(), event["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(failure("image").0, "image-name");
    let (code, message) = failure("folder");
    assert!(code == "spawn" && message.contains("is not in its pod"), "{message}");
    let registry = json!({"basePodConfig": {"workspaceMountPath": "/workspace"}});
    bench.write("registry.json", registry.to_string());
    cluster.call(&bench, "run a.json -k --on kubernetes").ends(10);
    let there = failure("folder");
    cluster.call(&bench, "run a.json -k --on local").ends(10);
    assert_eq!(there, failure("folder"));
}

#[test]
fn f63_deleted_pod_that_exits_with_0_is_no_success() {
    let cluster = Cluster::of_processes();
    let line = "trap 'exit 0' TERM; echo ran >> ran; test $(wc -l < ran) -gt 1 || while :; do sleep 0.05; done; echo whole >> whole";
    let bench = lines(&[("a", line)]);
    let running = cluster.call(&bench, "run a.json --on kubernetes").spawn();
    bench.wait_for("ran", 1);
    cluster.stand_in.delete_pod("pop", &cluster.pods()[0]).unwrap();
    running.ends(0);
    assert_eq!((bench.read("whole").as_str(), &bench.operation("a")["attempts"]), ("whole\n", &json!(2)));
}

/// A pod that runs an executor on the folder of a bench, as the Job of deploy/ does.
fn executor_pod(bench: &Bench, name: &str) -> Value {
    let folder = bench.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let line = format!(
        "cd {folder}; exec {} run a.json --run-id job --launchType kubernetes --externalLaunchType kubernetes --grace 5",
        env!("CARGO_BIN_EXE_pop")
    );
    let field =
        |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    json!({
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 60,
            "containers": [{"name": "pop", "image": "pop:1", "command": ["sh", "-c", line], "env": [
                field("MY_POD_NAME", "metadata.name"), field("MY_POD_UID", "metadata.uid"),
                {"name": "KUBECONFIG", "value": bench.path("kubeconfig").to_str().unwrap()},
            ]}],
        },
    })
}

#[test]
fn fr_k5_deleted_executor_ends_its_pods_first() {
    let cluster = Cluster::of_processes();
    let long = "echo start >> long; trap 'sleep 0.5; echo end >> long; exit 1' TERM; while ! test -e go; do sleep 0.05; done; echo whole >> long";
    let bench = lines(&[("first", "echo first >> first"), ("long", long)]);
    bench.write("kubeconfig", cluster.stand_in.kubeconfig());
    let create = |name: &str| {
        let pod: Pod = serde_json::from_value(executor_pod(&bench, name)).unwrap();
        cluster.ask(async |client| {
            let pods: kube::Api<Pod> = kube::Api::namespaced(client, "pop");
            pods.create(&PostParams::default(), &pod).await.unwrap();
        });
    };
    create("job-1");
    bench.wait_for("long", 1);
    let begun = Instant::now();
    while !bench.has(".pop/runs/job/journal") || bench.operation("first")["outcome"] != "succeeded" {
        assert!(begun.elapsed() < crate::bench::PATIENCE);
    }
    cluster.stand_in.delete_pod("pop", "job-1").unwrap();
    // a Job with `podReplacementPolicy: Failed` makes its next pod when the first has ended
    let begun = Instant::now();
    loop {
        let pods = cluster.list::<Pod>();
        let own = pods.iter().find(|pod| pod["metadata"]["name"] == "job-1");
        if own.is_none_or(|pod| pod["status"]["phase"] == "Failed") {
            break;
        }
        assert!(begun.elapsed() < crate::bench::PATIENCE, "{pods:?}");
    }
    assert_eq!(bench.read("long"), "start\nend\n");
    create("job-2");
    bench.wait_for("long", 3);
    bench.write("go", "");
    bench.wait_for("long", 4);
    assert_eq!(
        (bench.read("long").as_str(), bench.read("first").as_str()),
        ("start\nend\nstart\nwhole\n", "first\n")
    );
}
