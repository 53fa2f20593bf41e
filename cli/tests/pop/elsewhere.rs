//! Progress delivery: to the agenda progress service, and to the pod that `pop` runs in.

use crate::bench::{Bench, Call, PATIENCE};
use crate::kubernetes::{Cluster, answer};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

const AGENDA: &str = r#"
progressId: p-1
operations:
  - {name: a, type: exec, payload: {command: [sh, -c, "echo a >> ran; printf 7"], capture: text}}
  - {name: b, type: exec, payload: {command: [sh, -c, "echo b >> ran; test @<a.out::/stdout> = 7"]}}
"#;

/// It continues when the test writes to `go`.
const WAITING: &str = r#"
progressId: p-1
operations: [{name: a, type: exec, payload: {command: [sh, -c, "echo ran >> ran; cat go; echo x"], capture: text}}]
"#;

/// A progress service with one connection at a time, which passes each request to the test.
struct Service {
    address: String,
    posts: Receiver<Value>,
}

impl Service {
    /// Starts a service that answers the nth request by the function.
    fn new(answer: impl FnMut(usize) -> u16 + Send + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    fn at(listener: TcpListener, mut answer: impl FnMut(usize) -> u16 + Send + 'static) -> Self {
        let address = format!("http://{}/pop/", listener.local_addr().unwrap());
        let (told, posts) = channel();
        std::thread::spawn(move || {
            let mut count = 0;
            for connection in listener.incoming() {
                serve(connection.unwrap(), &told, || {
                    count += 1;
                    answer(count)
                });
            }
        });
        Self { address, posts }
    }

    /// The next progress that is posted.
    fn next(&self) -> Value {
        self.posts.recv_timeout(PATIENCE).unwrap()
    }

    /// All that has been posted.
    fn all(&self) -> Vec<Value> {
        self.posts.try_iter().collect()
    }
}

/// Takes the posts of one connection.
fn serve(connection: TcpStream, told: &Sender<Value>, mut answer: impl FnMut() -> u16) {
    let mut lines = BufReader::new(connection.try_clone().unwrap());
    let mut writer = connection;
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if lines.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        assert_eq!(first.trim(), "POST /pop/updateAgendaProgress HTTP/1.1");
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            length = line.strip_prefix("content-length: ").map_or(length, |number| number.parse().unwrap());
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        told.send(body["agendaProgress"].clone()).ok();
        let status = answer();
        if write!(writer, "HTTP/1.1 {status} Told\r\ncontent-length: 2\r\n\r\n{{}}").is_err() {
            return;
        }
    }
}

/// A call that sends progress to the service at this address.
fn telling<'b>(bench: &'b Bench, address: &str, arguments: &str) -> Call<'b> {
    bench.write("config/external.properties", format!("agenda.progress.url = {address}\n"));
    bench.call(arguments)
}

fn state(progress: &Value) -> (&str, &str) {
    (progress["processingState"].as_str().unwrap(), progress["processingStateMessage"].as_str().unwrap())
}

#[test]
fn progress_service_state_is_adopted_by_another_run() {
    let service = Service::new(|_| 200);
    let bench = Bench::with_agenda(AGENDA);
    let ended = telling(&bench, &service.address, "run a.yaml").ends(0);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    let posts = service.all();
    let last = posts.last().unwrap();
    assert_eq!((&last["id"], state(last)), (&json!("p-1"), ("COMPLETE", "succeeded")));
    assert_eq!(last["operationProgress"][0]["resultPayload"], "{\"exitCode\":0,\"stdout\":\"7\"}");
    assert_eq!(bench.sorted_lines("ran"), ["a", "b"]);
    // another run, which begins with what this one had reached
    let again = telling(&bench, &service.address, "run a.yaml")
        .variable("PROGRESS_ID", "p-2")
        .variable("LAST_PROGRESS", &last.to_string());
    again.ends(0);
    assert_eq!(bench.sorted_lines("ran"), ["a", "b"]);
    let posts = service.all();
    assert_eq!(posts.last().unwrap()["operationProgress"][1]["id"], "p-2-b");
}

#[test]
fn progress_service_gets_resumed_and_failed_runs() {
    let service = Service::new(|_| 200);
    let bench = Bench::with_agenda(&WAITING.replace("echo x", "exit 3"));
    bench.fifo("go");
    let running = telling(&bench, &service.address, "run a.yaml").spawn();
    bench.wait_for("ran", 1);
    let executing = std::iter::repeat_with(|| service.next())
        .find(|told| told["operationProgress"][0]["attemptCount"] == 1);
    let executing = executing.unwrap();
    assert_eq!(state(&executing), ("EXECUTING", "0 of 1 done, 1 running"));
    bench.write("go", "");
    running.ends(10);
    let last = service.all().pop().unwrap();
    assert_eq!(state(&last), ("COMPLETE", "failed"));
    let diagnostics = &last["operationProgress"][0]["diagnosticEvents"][0];
    assert_eq!((&diagnostics["statusCode"], &diagnostics["payload"]["attempt"]), (&json!("exit"), &json!(1)));
}

#[test]
fn f86_service_that_was_down_gets_the_end() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bench = Bench::with_agenda(WAITING);
    bench.fifo("go");
    let mut running = telling(&bench, &format!("http://{port}/pop"), "run a.yaml").spawn();
    running.says(&format!("warning: cannot send progress to http://{port}/pop"));
    let service = Service::at(TcpListener::bind(port).unwrap(), |_| 200);
    bench.write("go", "");
    let ended = running.ends(0);
    assert_eq!(ended.stderr.matches("warning").count(), 1, "{}", ended.stderr);
    let last = service.all().pop().unwrap();
    assert_eq!(state(&last), ("COMPLETE", "succeeded"));
}

#[test]
fn f86_failing_progress_service_does_not_fail_the_run() {
    let bench = Bench::with_agenda(AGENDA);
    let failing = Service::new(|count| if count < 4 { 500 } else { 200 });
    let ended = telling(&bench, &failing.address, "run a.yaml").ends(0);
    assert!(!ended.stderr.contains("was not delivered"), "{}", ended.stderr);
    let refusing = Service::new(|_| 404);
    let ended = telling(&bench, &refusing.address, "run a.yaml").ends(0);
    assert!(ended.stderr.contains("warning: the end of the run was not delivered: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("the service answers 404 Not Found"), "{}", ended.stderr);
}

#[test]
fn f86_silent_progress_service_does_not_delay_the_run() {
    let (release, held) = channel::<()>();
    let service = Service::new(move |_| {
        held.recv().ok();
        200
    });
    let bench = Bench::with_agenda(AGENDA);
    let mut running = telling(&bench, &service.address, "run a.yaml --output json").spawn();
    service.next();
    running.prints("RunEnded");
    drop(release);
    running.ends(0);
    assert_eq!(state(&service.all().pop().unwrap()), ("COMPLETE", "succeeded"));
}

#[test]
fn invalid_progress_address_is_refused() {
    let bench = Bench::with_agenda(AGENDA);
    let said = telling(&bench, "example.org/pop", "run a.yaml").ends(4).stderr;
    assert!(said.contains("`agenda.progress.url`: `example.org/pop` is not a service address: "), "{said}");
    assert!(!bench.has(".pop"));
    let service = Service::new(|_| 200);
    bench.write("a.yaml", AGENDA.replace("progressId: p-1", ""));
    let said = telling(&bench, &service.address, "run a.yaml").ends(0).stderr;
    assert!(said.contains("warning: progress is not sent: "), "{said}");
    assert_eq!(service.all().len(), 0);
}

/// The pod that `pop` believes to run in.
fn own_pod(cluster: &Cluster) {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "own", "annotations": {"kept": "yes"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "pop", "image": "pop", "command": ["sleep", "1000"]}]},
    }))
    .unwrap();
    cluster.ask(async |client| {
        Api::<Pod>::namespaced(client, "pop").create(&PostParams::default(), &pod).await.unwrap()
    });
}

/// The annotations of the own pod once they are as is wanted.
fn annotations(
    cluster: &Cluster,
    wanted: fn(&std::collections::BTreeMap<String, String>) -> bool,
) -> std::collections::BTreeMap<String, String> {
    let found = cluster.ask(async |client| {
        let pods = Api::<Pod>::namespaced(client, "pop");
        let is_so = move |pod: Option<&Pod>| {
            pod.and_then(|pod| pod.metadata.annotations.as_ref()).is_some_and(wanted)
        };
        tokio::time::timeout(PATIENCE, await_condition(pods, "own", is_so)).await.unwrap().unwrap()
    });
    found.unwrap().metadata.annotations.unwrap()
}

fn in_pod<'b>(cluster: &Cluster, bench: &'b Bench, more: &str) -> Call<'b> {
    cluster.call(bench, &format!("run a.yaml --launchType kubernetes {more}")).variable("MY_POD_NAME", "own")
}

#[test]
fn own_pod_gets_progress_and_outcome_annotations() {
    let cluster = Cluster::of_processes();
    own_pod(&cluster);
    let bench = Bench::with_agenda(AGENDA);
    in_pod(&cluster, &bench, "").ends(0);
    let told = annotations(&cluster, |told| told.contains_key("pop.report.payload"));
    assert_eq!(told["kept"], "yes");
    let progress: Value = serde_json::from_str(&told["pop.report.progress"]).unwrap();
    assert_eq!(state(&progress), ("COMPLETE", "succeeded"));
    assert_eq!(progress["operationProgress"][0]["resultPayload"], "{\"exitCode\":0,\"stdout\":\"7\"}");
    let payload: Value = serde_json::from_str(&told["pop.report.payload"]).unwrap();
    assert_eq!((&payload["outcome"], &payload["exitCode"]), (&json!("succeeded"), &json!(0)));
    assert_eq!(payload["counts"]["succeeded"], 2);
    // it is still there: a Job deletes its pods itself
    assert_eq!(cluster.pods(), ["own"]);
}

#[test]
fn f24_annotations_omit_values_that_are_too_large() {
    let cluster = Cluster::of_processes();
    own_pod(&cluster);
    let bench = Bench::with_agenda(&WAITING.replace("echo x", "head -c 300000 /dev/zero | tr '\\\\0' x"));
    bench.fifo("go");
    // all that the cluster takes is the smallest form
    cluster.fault("PATCH", "/pods/own", 2, answer(422, None));
    let running = in_pod(&cluster, &bench, "").spawn();
    let told = annotations(&cluster, |told| told.contains_key("pop.report.progress"));
    let progress: Value = serde_json::from_str(&told["pop.report.progress"]).unwrap();
    assert_eq!((state(&progress).0, &progress["operationProgress"]), ("EXECUTING", &Value::Null));
    bench.wait_for("ran", 1);
    bench.write("go", "");
    running.ends(0);
    let told = annotations(&cluster, |told| told.contains_key("pop.report.payload"));
    let progress: Value = serde_json::from_str(&told["pop.report.progress"]).unwrap();
    assert_eq!(
        (state(&progress), &progress["operationProgress"][0]["resultPayload"]),
        (("COMPLETE", "succeeded"), &Value::Null)
    );
}

#[test]
fn f62_forbidden_annotations_are_only_a_warning() {
    let cluster = Cluster::of_processes();
    own_pod(&cluster);
    cluster.fault("PATCH", "/pods/own", 1_000, answer(403, None));
    let bench = Bench::with_agenda(WAITING);
    bench.fifo("go");
    let mut running = in_pod(&cluster, &bench, "").spawn();
    running.says("warning: pod `own` may not write its own annotations: its service account lacks a Role");
    bench.write("go", "");
    let said = running.ends(0).stderr;
    assert_eq!(said.matches("may not write").count(), 2, "{said}");
    assert!(
        said.contains("warning: the end of the run was not delivered: pod `own` may not write"),
        "{said}"
    );
}

#[test]
fn own_pod_is_deleted_at_the_end_if_configured() {
    let cluster = Cluster::of_processes();
    own_pod(&cluster);
    let bench = Bench::with_agenda(AGENDA);
    bench.write("config/external.properties", "executor.reap.self = true\n");
    in_pod(&cluster, &bench, "").ends(0);
    assert_eq!(cluster.requests("delete", "").len(), 1);
    bench.write("config/external.properties", "executor.reap.self = maybe\n");
    let said = in_pod(&cluster, &bench, "").ends(4).stderr;
    assert!(said.contains("executor.reap.self"), "{said}");
}

#[test]
fn fr_l5_the_end_of_an_empty_agenda_is_told_once() {
    let service = Service::new(|_| 200);
    let bench = Bench::with_agenda("{progressId: p-1, operations: []}");
    telling(&bench, &service.address, "run a.yaml").ends(0);
    let ends = service.all().into_iter().filter(|told| state(told).0 == "COMPLETE").count();
    assert_eq!(ends, 1);
}

#[test]
fn fr_l7_wait_for_a_silent_service_is_bounded() {
    // the kernel accepts connections, but nothing reads from them
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/pop/", silent.local_addr().unwrap());
    let bench = Bench::with_agenda(AGENDA);
    let begun = std::time::Instant::now();
    let ended = telling(&bench, &address, "run a.yaml").ends(0);
    assert!(ended.stderr.contains("the end of the run was not delivered: timed out"), "{}", ended.stderr);
    let took = begun.elapsed();
    assert!((9..30).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn fr_l7_signal_ends_the_wait_for_a_silent_service() {
    let (hold, never) = channel::<()>();
    let service = Service::new(move |_| never.recv().map_or(500, |()| 200));
    let bench = Bench::with_agenda("{progressId: p-1, operations: []}");
    let running = telling(&bench, &service.address, "run a.yaml").spawn();
    assert_eq!(state(&service.next()).0, "COMPLETE");
    let begun = std::time::Instant::now();
    running.signal(rustix::process::Signal::INT);
    let ended = running.ends(0);
    assert!(ended.stderr.contains("a signal ended the wait"), "{}", ended.stderr);
    assert!(begun.elapsed().as_secs() < 8);
    drop(hold);
}

#[test]
fn fr_l1_l2_l13_earlier_progress_is_adopted_entry_by_entry() {
    let bench = Bench::with_agenda(AGENDA);
    let done = |result: &str| json!({"operation": "a", "processingState": "COMPLETE", "processingStateMessage": "succeeded", "resultPayload": result});
    let run = |progress: Value| bench.call("run a.yaml").variable("LAST_PROGRESS", &progress.to_string());
    // the last entry of an operation holds
    let begun = json!({"operation": "a", "processingState": "EXECUTING"});
    run(json!({"operationProgress": [done("{\"stdout\":\"7\"}"), begun]})).ends(0);
    assert_eq!(bench.sorted_lines("ran"), ["a", "b"]);
    // one that cannot be read is ignored, with a word, and the others are taken
    let ended = run(json!({"operationProgress": [7, done("{\"stdout\":\"7\"}")]})).ends(0);
    assert!(ended.stderr.contains("entry 0 of `operationProgress`: it must be a map"), "{}", ended.stderr);
    assert_eq!(bench.sorted_lines("ran"), ["a", "b", "b"]);
    let ended = run(json!([done("7")])).ends(0);
    assert!(ended.stderr.contains("must be a map, not a list; it is ignored"), "{}", ended.stderr);
    assert_eq!(bench.sorted_lines("ran"), ["a", "a", "b", "b", "b"]);
}

#[test]
fn fr_l3_the_final_document_of_a_run_spares_its_added_operations() {
    let service = Service::new(|_| 200);
    let bench = Bench::with_agenda(
        r#"
progressId: p-1
operations:
  - name: each
    type: exec
    params: {forEach: [1, 2, 3], maxParallel: 1}
    payload: {command: [sh, -c, 'echo each@<pop.item> >> ran; test @<pop.item> != 3 || test -e mended'], capture: text}
  - name: gen
    type: generate
    params: {agenda.operation.generator: {operationsJsonPointer: /operations}}
  - {name: after, type: exec, params: {dependsOn: [each, gen]}, payload: {command: [sh, -c, "echo after >> ran"]}}
"#,
    );
    let generated = r#"{"operations": [{"name": "made", "type": "exec", "payload": {"command": ["sh", "-c", "echo made >> ran"]}}]}"#;
    bench.write(
        "registry.yaml",
        format!(
            "generate: {{command: [sh, -c, 'echo gen >> ran; echo pop.report.payload $0', '{generated}']}}\n"
        ),
    );
    telling(&bench, &service.address, "run a.yaml --keep-going").ends(10);
    let before = ["each1", "each2", "each3", "gen", "made"];
    assert_eq!(bench.sorted_lines("ran"), before);
    let last = service.all().pop().unwrap();
    bench.write("mended", "");
    std::fs::remove_file(bench.path("ran")).unwrap();
    telling(&bench, &service.address, "run a.yaml").variable("LAST_PROGRESS", &last.to_string()).ends(0);
    assert_eq!(bench.sorted_lines("ran"), ["after", "each3"]);
}
