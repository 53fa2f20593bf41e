//! Agendas run as pods, against a stand-in API server over HTTPS: takeover, lost answers, broken watches, reasons.
//!
//! With `POP_TEST_KUBECONFIG` the tests that provoke nothing in the server run against that cluster instead; its nodes
//! need the image `pop-tools:0.1.0`.

use crate::bench::{Bench, Call, PATIENCE};
use crate::docker::{self, IMAGE};
use k8s_openapi::api::core::v1::{Pod, Secret};
use pop_stand_in::{Backend, Config, FaultAction, FaultRule, Request, StandIn, Webhook};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A cluster, and its kubeconfig file.
pub(crate) struct Cluster {
    pub(crate) stand_in: StandIn,
    runtime: tokio::runtime::Runtime,
}

impl Cluster {
    fn new(backend: Backend) -> Self {
        Self::with(Config { backend, ..Config::default() })
    }

    /// A cluster that is set up in a way of its own, but for the waits of its node.
    pub(crate) fn with(config: Config) -> Self {
        if config.backend == Backend::Docker {
            docker::engine();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = Config { backoff: std::time::Duration::from_millis(200), ..config };
        let stand_in = runtime.block_on(StandIn::start(config)).unwrap();
        Self { stand_in, runtime }
    }

    /// A cluster whose pods are processes of this machine: an image is only a name.
    pub(crate) fn of_processes() -> Self {
        Self::new(Backend::Process)
    }

    fn kubeconfig(&self, bench: &Bench) -> PathBuf {
        let path = bench.path("kubeconfig");
        if !path.exists() {
            bench.write("kubeconfig", self.stand_in.kubeconfig());
        }
        path
    }

    /// A call of `pop` that knows the cluster.
    pub(crate) fn call<'b>(&self, bench: &'b Bench, arguments: &str) -> Call<'b> {
        bench.call(arguments).variable("KUBECONFIG", self.kubeconfig(bench).to_str().unwrap())
    }

    pub(crate) fn fault(&self, method: &str, path: &str, times: u32, action: FaultAction) {
        self.stand_in.add_fault(FaultRule::new(method, path, action).times(times)).unwrap();
    }

    /// Requests about pods of one verb, on a subresource or none.
    pub(crate) fn requests(&self, verb: &str, subresource: &str) -> Vec<Request> {
        let all = self.stand_in.requests().into_iter();
        let is_meant = |request: &Request| {
            request.resource == "pods" && request.verb == verb && request.subresource == subresource
        };
        all.filter(is_meant).collect()
    }

    /// The names of the pods that were created.
    pub(crate) fn created(&self) -> usize {
        self.requests("create", "").len()
    }

    /// All objects of a kind in the namespace, as JSON.
    pub(crate) fn list<K>(&self) -> Vec<Value>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        let list = async |client| {
            let api: kube::Api<K> = kube::Api::namespaced(client, "pop");
            api.list(&kube::api::ListParams::default()).await.unwrap()
        };
        self.ask(list).items.iter().map(|item| serde_json::to_value(item).unwrap()).collect()
    }

    /// What the API answers to a client of the test's own.
    pub(crate) fn ask<T>(&self, asking: impl AsyncFnOnce(kube::Client) -> T) -> T {
        let kubeconfig = kube::config::Kubeconfig::from_yaml(&self.stand_in.kubeconfig()).unwrap();
        self.runtime.block_on(async {
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
            asking(kube::Client::try_from(config).unwrap()).await
        })
    }

    /// Waits until its node has ended every pod.
    pub(crate) fn until_empty(&self) {
        let begun = std::time::Instant::now();
        while !self.pods().is_empty() {
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.pods());
            std::thread::yield_now();
        }
    }

    pub(crate) fn pods(&self) -> Vec<String> {
        let pods = self.list::<Pod>();
        pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn answer(status: u16, retry_after: Option<u32>) -> FaultAction {
    FaultAction::Answer { status, reason: None, body: None, retry_after }
}

pub(crate) fn agenda(operations: &Value) -> Bench {
    let bench = Bench::new();
    bench.write("a.json", json!({ "operations": operations }).to_string());
    bench
}

/// An operation of one shell line; `FOLDER` in it is the bench's folder.
pub(crate) fn shell(name: &str, line: &str) -> Value {
    json!({"name": name, "type": "exec", "payload": {"command": ["sh", "-c", line], "image": IMAGE}})
}

/// An agenda of shell lines that run as processes, and so can write into the bench's folder.
pub(crate) fn lines(lines: &[(&str, &str)]) -> Bench {
    lines_with(lines, &json!({}))
}

/// The same with params for all of them.
pub(crate) fn lines_with(lines: &[(&str, &str)], params: &Value) -> Bench {
    let bench = Bench::new();
    let folder = bench.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let operations: Vec<Value> =
        lines.iter().map(|(name, line)| shell(name, &format!("cd {folder}; {line}"))).collect();
    bench.write("a.json", json!({ "operations": operations, "params": params }).to_string());
    bench
}

#[test]
fn k1_pods_give_the_same_results_as_processes() {
    let bench = agenda(&json!([
        {"name": "text", "type": "exec", "payload": {"command": ["sh", "-c", "echo 'a $$ $(b) $C'; echo $((1 + 1))"], "image": IMAGE, "capture": "text"}},
        {"name": "json", "type": "exec", "payload": {"command": ["echo", "{\"w\": 3, \"s\": \"$$ $(X)\"}"], "image": IMAGE, "capture": "json"}},
        shell("reports", "echo 'pop.report.progress {\"percentComplete\": 40}'; echo 'pop.report.payload {\"x\": @<json.out::/stdout/w>}'"),
        shell("fails", "echo why; exit 7"),
        {"name": "environment", "type": "exec", "payload": {"command": ["sh", "-c", "echo $A"], "env": {"A": "$$ $(B) $C"}, "image": IMAGE, "capture": "text"}},
    ]));
    let real = std::env::var("POP_TEST_KUBECONFIG").ok();
    let cluster = real.is_none().then(|| Cluster::new(Backend::Docker));
    let told = |on: &str| {
        let call = match (&cluster, &real) {
            (Some(cluster), _) => cluster.call(&bench, "run a.json -k --on"),
            (None, real) => bench.call("run a.json -k --on").variable("KUBECONFIG", real.as_deref().unwrap()),
        };
        call.argument(on).ends(10);
        let shown = bench.shown();
        let fields = ["name", "outcome", "attempts", "result", "diagnosticEvents"];
        let kept = |operation: &Value| fields.map(|field| operation[field].clone());
        shown["operations"].as_array().unwrap().iter().map(kept).collect::<Vec<_>>()
    };
    assert_eq!(told("local"), told("kubernetes"));
    if let Some(cluster) = cluster {
        assert_eq!(cluster.pods(), [""; 0]);
    }
}

#[test]
fn k2_operation_costs_one_create_one_log_and_one_delete() {
    let cluster = Cluster::of_processes();
    let names: Vec<String> = (0..20).map(|n| format!("o{n}")).collect();
    let operations: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "echo hello")).collect();
    let bench = lines(&operations);
    cluster.call(&bench, "run a.json -j 4 --on kubernetes").ends(0);
    let count = |verb, subresource| cluster.requests(verb, subresource).len();
    assert_eq!((count("create", ""), count("delete", "")), (20, 20));
    // a log that ends before the end of its program is known is read once more
    assert!((20..=24).contains(&count("get", "log")), "{}", count("get", "log"));
    // two to reach the cluster, one to begin the watch, one to look for leftovers
    assert_eq!((count("watch", ""), count("list", ""), count("get", "")), (1, 4, 0));
    assert_eq!(count("patch", "") + count("get", "status"), 0);
}

#[test]
fn k3_pod_mounts_the_run_folder_where_configured() {
    let cluster = Cluster::new(Backend::Docker);
    let bench = agenda(&json!([shell("a", "pwd; echo x > made")]));
    bench.write("registry.json", json!({"basePodConfig": {"workspaceMountPath": "/workspace"}}).to_string());
    cluster.call(&bench, "run a.json --on kubernetes").ends(0);
    assert_eq!((docker::log(&bench, "a").as_str(), bench.read("made").as_str()), ("/workspace\n", "x\n"));
}

#[test]
fn f1_f75_resume_after_kill_takes_over_five_pods() {
    let cluster = Cluster::of_processes();
    let names: Vec<String> = (0..5).map(|n| format!("c{n}")).collect();
    let line = "echo start >> started; echo before; while ! test -e go; do sleep 0.05; done; echo after";
    let bench = lines(&names.iter().map(|name| (name.as_str(), line)).collect::<Vec<_>>());
    let running = cluster.call(&bench, "run a.json -j 5 --on kubernetes").spawn();
    bench.wait_for("started", 5);
    running.crash();
    assert_eq!(cluster.pods().len(), 5);
    let resuming = cluster.call(&bench, "resume last -j 5").spawn();
    bench.write("go", "");
    let ended = resuming.ends(0);
    assert!(ended.stderr.contains("5 succeeded"), "{}", ended.stderr);
    assert_eq!(bench.sorted_lines("started").len(), 5);
    assert_eq!(cluster.created(), 5);
    for name in &names {
        assert_eq!(bench.operation(name)["attempts"], 1);
        assert_eq!(docker::log(&bench, name), "before\nafter\n");
    }
    assert_eq!(cluster.pods(), [""; 0]);
}

#[test]
fn f61_create_with_a_lost_answer_is_not_repeated() {
    let cluster = Cluster::of_processes();
    let bench = lines(&[("a", "echo ran >> ran")]);
    cluster.fault("POST", "/pods$", 1, FaultAction::ResetAfter);
    cluster.call(&bench, "run a.json --on kubernetes").ends(0);
    assert_eq!(bench.read("ran"), "ran\n");
    assert_eq!((cluster.created(), &bench.operation("a")["attempts"]), (2, &json!(1)));
}

#[test]
fn f59_busy_api_server_is_retried() {
    let cluster = Cluster::of_processes();
    let bench = lines(&[("a", "echo ran >> ran; echo said")]);
    cluster.fault("POST", "/pods$", 1, answer(429, Some(1)));
    cluster.fault("POST", "/pods$", 1, answer(500, None));
    cluster.fault("POST", "/pods$", 1, answer(503, None));
    cluster.fault("POST", "/pods$", 1, FaultAction::ResetBefore);
    cluster.fault("GET", "watch=true", 1, answer(500, None));
    cluster.fault("GET", "/log", 1, answer(500, None));
    cluster.fault("DELETE", "/pods/", 2, answer(429, None));
    cluster.call(&bench, "run a.json --on kubernetes").ends(0);
    assert_eq!((bench.read("ran").as_str(), docker::log(&bench, "a").as_str()), ("ran\n", "said\n"));
    assert_eq!(cluster.pods(), [""; 0]);
}

#[test]
fn f60_broken_or_expired_watch_is_restarted() {
    let cluster = Cluster::of_processes();
    let wait = "echo start >> started; while ! test -e go; do sleep 0.05; done";
    let bench = lines(&[("a", wait), ("b", wait)]);
    cluster.fault("GET", "watch=true", 1, FaultAction::CutAfterEvents { events: 1 });
    cluster.fault("GET", "watch=true", 1, FaultAction::EndAfterEvents { events: 1 });
    let running = cluster.call(&bench, "run a.json -j 2 --on kubernetes").spawn();
    bench.wait_for("started", 2);
    // a watch from an older version now gets 410
    cluster.stand_in.compact();
    cluster.fault("GET", "watch=true", 1, answer(410, None));
    bench.write("go", "");
    assert!(running.ends(0).stderr.contains("2 succeeded"));
}

#[test]
fn f67_broken_log_stream_continues_without_loss() {
    let cluster = Cluster::of_processes();
    let bench = lines(&[("a", "for n in $(seq 500); do echo line $n; done")]);
    cluster.fault("GET", "/log", 1, FaultAction::CutAfterBytes { bytes: 5_000 });
    cluster.fault("GET", "/log", 1, FaultAction::CutAfterEvents { events: 40 });
    cluster.call(&bench, "run a.json --on kubernetes").ends(0);
    let log = docker::log(&bench, "a");
    assert!(log.lines().enumerate().all(|(at, line)| line == format!("line {}", at + 1)), "{log}");
    assert_eq!(log.lines().count(), 500);
}

#[test]
fn f63_displaced_pods_run_again_without_failure() {
    type Take = fn(&StandIn, &str);
    let taken: [(&str, Take); 3] = [
        ("Evicted", |stand_in, name| stand_in.evict("pop", name).unwrap()),
        ("PreemptionByScheduler", |stand_in, name| stand_in.preempt("pop", name).unwrap()),
        ("deleted", |stand_in, name| stand_in.delete_pod("pop", name).unwrap()),
    ];
    for (why, take) in taken {
        let cluster = Cluster::of_processes();
        let bench = lines(&[("a", "echo ran >> ran; test $(wc -l < ran) -gt 1 || exec sleep 1000")]);
        let running = cluster.call(&bench, "run a.json --on kubernetes").spawn();
        bench.wait_for("ran", 1);
        take(&cluster.stand_in, &cluster.pods()[0]);
        let ended = running.ends(0);
        assert!(
            ended.stderr.contains("displaced a:") && ended.stderr.contains(why),
            "{why}: {}",
            ended.stderr
        );
        assert_eq!(bench.operation("a")["attempts"], 2);
    }
}

#[test]
fn f64_each_reason_not_to_start_has_a_name() {
    let cluster = Cluster::new(Backend::Docker);
    let bench = agenda(&json!([
        {"name": "image", "type": "exec", "payload": {"command": ["true"], "image": "none/at-all:1"}},
        {"name": "name", "type": "exec", "payload": {"command": ["true"], "image": "Not A Name"}},
        {"name": "cpu", "type": "exec", "payload": {"command": ["true"], "image": IMAGE, "cpu": "900"}},
        {"name": "program", "type": "exec", "payload": {"command": ["no-such-program"], "image": IMAGE}},
        {"name": "oom", "type": "exec", "payload": {"command": ["sh", "-c", "x=a; while :; do x=$x$x; done"], "image": IMAGE, "memory": "16Mi"}},
        {"name": "mount", "type": "mount"}, {"name": "account", "type": "account"},
    ]));
    bench.write(
        "registry.json",
        json!({"basePodConfig": {"reapCompletedPods": true, "imageName": IMAGE, "arguments": ["true"]},
        "mount": {"configMapName": "not-there", "podConfig": {"serviceAccountName": "default"}},
        "account": {"podConfig": {"serviceAccountName": "nobody"}}})
        .to_string(),
    );
    let call = cluster.call(&bench, "run a.json -k -j 8 --on kubernetes --policy pendingTimeoutMs=4000");
    let ended = call.ends(10);
    let says = |words: &str| assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    says("[image-pull] its pod cannot start: ErrImagePull: ");
    says("InvalidImageName");
    says(
        "[unschedulable] was not scheduled within its pendingTimeoutMs of 4000: Unschedulable: 0/1 nodes are available",
    );
    says("its program could not be started");
    says("OOMKilled");
    says("[config]");
    says("serviceaccount \"nobody\" not found");
    cluster.until_empty();
}

#[test]
fn f64_f73_refusal_of_the_api_server_has_a_hint() {
    let cluster = Cluster::of_processes();
    let bench = lines(&[("a", "true")]);
    let ends = |words: &str| {
        let ended = cluster.call(&bench, "run a.json --on kubernetes --policy pendingTimeoutMs=700").ends(10);
        assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    };
    cluster.stand_in.set_webhook(Webhook::Denies);
    ends("an admission webhook rejected the pod");
    cluster.stand_in.set_webhook(Webhook::Unavailable);
    ends("an admission webhook does not answer");
    cluster.stand_in.set_webhook(Webhook::None);
    let says = |status, body: &str, words| {
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": body, "reason": "Forbidden", "code": status});
        let action =
            FaultAction::Answer { status, reason: None, body: Some(body.to_string()), retry_after: None };
        cluster.stand_in.clear_faults();
        cluster.fault("POST", "/pods$", 100, action);
        ends(words);
    };
    says(
        403,
        "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
        "[quota]",
    );
    says(403, "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"", "[pod-security]");
    says(403, "unable to create new content in namespace pop because it is being terminated", "[namespace]");
    assert_eq!(cluster.pods(), [""; 0]);
}

#[test]
fn f64_forbidden_account_is_told_the_missing_role() {
    let cluster = Cluster::of_processes();
    let bench = lines(&[("a", "true")]);
    bench.write("kubeconfig", cluster.stand_in.kubeconfig_for("pop", "default"));
    let ended = cluster.call(&bench, "run a.json --on kubernetes").ends(14);
    assert!(ended.stderr.contains("lacks a Role that lets it list pods"), "{}", ended.stderr);
    assert!(!bench.has(".pop"));
}

#[test]
fn f76_ctrl_c_stops_pods_and_deletes_them() {
    let cluster = Cluster::of_processes();
    let bench =
        lines(&[("a", "trap 'echo asked; exit 9' TERM; echo ran >> ran; while :; do sleep 0.05; done")]);
    let running = cluster.call(&bench, "run a.json --on kubernetes").spawn();
    bench.wait_for("ran", 1);
    running.signal(rustix::process::Signal::INT);
    running.ends(130);
    assert_eq!(docker::log(&bench, "a"), "asked\n");
    assert_eq!(cluster.pods(), [""; 0]);
}

#[test]
fn f45_local_secret_reaches_a_pod_but_no_manifest() {
    const CANARY: &str = "canary/7f3+a9 b1";
    let cluster = Cluster::of_processes();
    let bench = Bench::new();
    bench.write("a.json", json!({"operations": [{"name": "t", "type": "t"}]}).to_string());
    let folder = bench.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let line = format!(
        "cd {folder}; test ${{#TOKEN}} = 16 && echo seen; echo $TOKEN; echo start >> started; while ! test -e go; do sleep 0.05; done"
    );
    bench.write("registry.json", json!({"basePodConfig": {"imageName": IMAGE, "serviceAccountName": "default"},
        "t": {"secrets": {"TOKEN": {"fromEnv": "OUTER_TOKEN"}}, "podConfig": {"arguments": ["sh", "-c", line]}}}).to_string());
    let running = cluster.call(&bench, "run a.json --on kubernetes").variable("OUTER_TOKEN", CANARY).spawn();
    bench.wait_for("started", 1);
    let pods = Value::from(cluster.list::<Pod>()).to_string();
    assert!(pods.contains("secretKeyRef") && !pods.contains(CANARY), "{pods}");
    assert_eq!(cluster.list::<Secret>().len(), 1);
    bench.write("go", "");
    let ended = running.ends(0);
    assert!(!ended.stderr.contains(CANARY));
    assert_eq!(docker::log(&bench, "t"), "seen\n***\n");
    assert_eq!(cluster.pods(), [""; 0]);
    assert_eq!(cluster.list::<Secret>(), [Value::Null; 0]);
}
