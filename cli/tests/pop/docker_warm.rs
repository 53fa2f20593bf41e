//! Warm handlers as containers of a real Docker Engine: shared instances, cancels, crashes, kills of pop.

use crate::bench::Bench;
use crate::docker::{IMAGE, containers, docker, engine, log, sees_engine, socket};
use crate::forwarder::Forwarder;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../launchers/tests/warm_program.py");

/// This machine's Python: its path, and the folders that it needs, as mounts.
fn python() -> (String, Vec<Value>) {
    let code = "import os, sys; print(os.path.realpath(sys.executable)); print(sys.base_prefix)";
    let said = Command::new("python3").args(["-c", code]).output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let (program, prefix) = said.trim().split_once('\n').unwrap();
    let own = (!prefix.starts_with("/usr")).then_some(prefix);
    let mount = |path: &str| {
        let real = Path::new(path).canonicalize().ok()?;
        Some(json!({"path": real, "mountPath": path, "readOnly": true}))
    };
    let mounts = ["/usr", "/lib", "/lib64"].into_iter().chain(own).filter_map(mount).collect();
    (program.to_owned(), mounts)
}

/// A folder with an agenda, and a registry whose type `t` is served by a warm program in containers.
pub(crate) fn bench(operations: &Value, warm: &Value, state: &Value) -> Bench {
    engine();
    let bench = Bench::new();
    std::fs::copy(PROGRAM, bench.path("program.py")).unwrap();
    let (python, mounts) = python();
    let pod = json!({"imageName": IMAGE, "arguments": [python, "program.py"], "hostPaths": mounts});
    write(&bench, operations, warm, state, &pod);
    bench
}

fn write(bench: &Bench, operations: &Value, warm: &Value, state: &Value, pod: &Value) {
    bench.write("a.json", json!({ "operations": operations }).to_string());
    let entry = json!({"warm": warm, "envVars": {"STATE": state.to_string()}, "podConfig": pod});
    let registry = json!({"basePodConfig": {"reapCompletedPods": true}, "t": entry});
    bench.write("registry.json", registry.to_string());
}

/// An operation of the warm program.
fn operation(name: &str, params: &Value, payload: &Value) -> Value {
    json!({"name": name, "type": "t", "params": params, "payload": payload})
}

/// The host name of the container that served an operation.
fn host(bench: &Bench, name: &str) -> String {
    bench.operation(name)["result"]["host"].as_str().unwrap().to_owned()
}

/// Waits until the container with this host name is gone.
pub(crate) fn until_removed(host: &str) {
    let begun = std::time::Instant::now();
    while !docker(&["ps", "-aq", "--filter", &format!("id={host}")]).is_empty() {
        assert!(begun.elapsed() < crate::bench::PATIENCE, "{host} is left");
    }
}

/// That nothing of an instance is left on the machine.
fn nothing_is_left(bench: &Bench) {
    assert_eq!(containers(bench), [""; 0]);
    let sockets = bench.run_folder().join("sockets");
    assert_eq!(std::fs::read_dir(sockets).unwrap().count(), 0);
}

#[test]
fn operations_of_a_warm_handler_share_a_container() {
    let operations: Vec<Value> =
        (0..8).map(|n| operation(&format!("op{n}"), &json!({}), &json!({"n": n, "do": "print"}))).collect();
    // its user is not that of the socket
    let bench = bench(&json!(operations), &json!({"max": 1}), &json!({"user": 65_534}));
    bench.pop(0, "run a.json -j 4 --on docker");
    let first = host(&bench, "op0");
    for n in 0..8 {
        let name = format!("op{n}");
        let result = bench.operation(&name)["result"].clone();
        assert_eq!(
            (&result["payload"]["n"], &result["variables"]["OPERATION_NAME"]),
            (&json!(n), &json!(name))
        );
        assert_eq!(host(&bench, &name), first);
        let explained = bench.pop(0, &format!("explain last {name}")).stdout;
        assert!(explained.contains("served by the instance t-1"), "{explained}");
        assert!(log(&bench, &name).contains("a line of the log\n"));
    }
    nothing_is_left(&bench);
}

#[test]
fn memory_of_a_container_instance_is_measured_on_the_host() {
    let operations = json!([
        operation("a", &json!({}), &json!({})),
        operation("b", &json!({"dependsOn": "a"}), &json!({})),
    ]);
    // an Engine in an outer namespace has processes that this one cannot see: nothing is measured
    for (limit, is_shared) in [("1Ki", !sees_engine()), ("100Gi", true)] {
        let bench = bench(&operations, &json!({"max": 1, "recycle": {"memory": limit}}), &json!({}));
        bench.pop(0, "run a.json --on docker");
        assert_eq!(host(&bench, "a") == host(&bench, "b"), is_shared, "{limit}");
        nothing_is_left(&bench);
    }
}

#[test]
fn time_limit_cancels_one_operation_and_the_container_goes_on() {
    let operations = json!([
        operation("a", &json!({}), &json!({})),
        operation("slow", &json!({"dependsOn": "a", "timeoutMs": 500}), &json!({"do": "wait"})),
        operation("b", &json!({"dependsOn": "slow.settled"}), &json!({})),
    ]);
    let bench = bench(&operations, &json!({"max": 1}), &json!({}));
    let ended = bench.pop(10, "run a.json -k --on docker");
    assert!(ended.stderr.contains("ran longer than its timeoutMs of 500"), "{}", ended.stderr);
    assert_eq!(host(&bench, "a"), host(&bench, "b"));
    nothing_is_left(&bench);
}

#[test]
fn ctrl_c_ends_the_instance_that_serves() {
    let operations = json!([operation("a", &json!({}), &json!({"do": "wait", "mark": "ran"}))]);
    // this program does not know `cancel`, so it gets a signal
    let bench = bench(&operations, &json!(true), &json!({"cancels": false}));
    let running = bench.call("run a.json --on docker").spawn();
    bench.wait_for("ran", 1);
    running.signal(Signal::INT);
    running.ends(130);
    nothing_is_left(&bench);
}

#[test]
fn crash_of_a_container_fails_the_operation_in_hand() {
    let operations = json!([
        operation("a", &json!({}), &json!({"do": "crash"})),
        operation("b", &json!({"dependsOn": "a.settled"}), &json!({})),
    ]);
    let bench = bench(&operations, &json!({"max": 1}), &json!({}));
    let ended = bench.pop(10, "run a.json -k --on docker");
    assert!(ended.stderr.contains("ended with signal SIGSEGV"), "{}", ended.stderr);
    let diagnostic = &bench.operation("a")["diagnosticEvents"][0];
    assert_eq!(
        (&diagnostic["statusCode"], &diagnostic["payload"]["blame"]),
        (&json!("signal"), &json!("handler"))
    );
    assert!(log(&bench, "a").contains("last words\n"));
    let explained = bench.pop(0, "explain last b").stdout;
    assert!(explained.contains("served by the instance t-2"), "{explained}");
    nothing_is_left(&bench);
}

#[test]
fn removed_container_is_replaced_without_failure() {
    let bench = bench(
        &json!([operation("a", &json!({}), &json!({"do": "wait", "mark": "ran"}))]),
        &json!(true),
        &json!({}),
    );
    let running = bench.call("run a.json --on docker").spawn();
    bench.wait_for("ran", 1);
    bench.write("again", "");
    docker(&["rm", "-f", &containers(&bench)[0]]);
    let ended = running.ends(0);
    assert!(ended.stderr.contains("displaced a:"), "{}", ended.stderr);
    assert_eq!(bench.operation("a")["attempts"], 2);
    nothing_is_left(&bench);
}

#[test]
fn a_killed_pop_leaves_no_container_and_resume_repeats_only_what_was_lost() {
    let operations = json!([
        operation("one", &json!({}), &json!({"mark": "ran"})),
        operation("hold", &json!({"dependsOn": "one"}), &json!({"mark": "held", "do": "wait"})),
    ]);
    let bench = bench(&operations, &json!(true), &json!({}));
    let running = bench.call("run a.json --on docker").spawn();
    bench.wait_for("held", 1);
    let before = containers(&bench);
    assert_eq!(before.len(), 1);
    running.crash();
    // its socket is closed: it ends by itself
    assert_eq!(docker(&["wait", &before[0]]), "0");
    bench.write("again", "");
    let ended = bench.pop(0, "resume last");
    assert!(ended.stderr.contains("lost      hold"), "{}", ended.stderr);
    assert_eq!((bench.sorted_lines("ran").len(), bench.sorted_lines("held").len()), (1, 2));
    assert_eq!(
        (&bench.operation("one")["attempts"], &bench.operation("hold")["attempts"]),
        (&json!(1), &json!(2))
    );
    nothing_is_left(&bench);
}

#[test]
fn resume_removes_an_instance_that_does_not_end() {
    let operations = json!([operation("hold", &json!({}), &json!({"mark": "held", "do": "wait"}))]);
    let bench = bench(&operations, &json!(true), &json!({}));
    let running = bench.call("run a.json --on docker").spawn();
    bench.wait_for("held", 1);
    let before = containers(&bench).remove(0);
    docker(&["pause", &before]);
    running.crash();
    bench.write("again", "");
    bench.pop(0, "resume last");
    assert_eq!(bench.operation("hold")["attempts"], 2);
    nothing_is_left(&bench);
}

#[test]
fn image_that_never_connects_runs_once_for_each_operation() {
    let line = r#"echo x >> starts; test -n "$PAYLOAD" || exit 3
        echo "$OPERATION_NAME" >> ran; test "$OPERATION_NAME" = a || until test -e go; do sleep 0.05; done
        echo "pop.report.payload $PAYLOAD""#;
    let operations = json!([
        operation("a", &json!({}), &json!({"n": 1})),
        operation("b", &json!({"dependsOn": "a"}), &json!({"n": 2})),
    ]);
    let bench = bench(&operations, &json!(true), &json!({}));
    let pod = json!({"imageName": IMAGE, "arguments": ["sh", "-c", line]});
    write(&bench, &operations, &json!({"max": 1}), &json!({}), &pod);
    let mut running = bench.call("run a.json --on docker").spawn();
    running.says("run once for each operation, not warm: it ended with exit status 3 without a hello");
    bench.wait_for("ran", 2);
    // a container of one operation outlives pop, and the next one takes it over
    running.crash();
    bench.write("go", "");
    let ended = bench.pop(0, "resume last");
    assert!(!ended.stderr.contains("lost"), "{}", ended.stderr);
    assert_eq!((bench.read("ran").as_str(), bench.sorted_lines("starts").len()), ("a\nb\n", 3));
    let b = bench.operation("b");
    assert_eq!((&b["attempts"], &b["result"]), (&json!(1), &json!({"n": 2})));
    nothing_is_left(&bench);
}

#[test]
fn engine_of_another_machine_runs_once_for_each_operation() {
    let bench = bench(&json!([operation("a", &json!({}), &json!({"n": 1}))]), &json!(true), &json!({}));
    let forwarder = Forwarder::new(&socket(), None);
    // an address of this machine that pop does not take for one
    let host = forwarder.host().replace("127.0.0.1", "0.0.0.0");
    let ended = bench.call("run a.json --on docker").variable("DOCKER_HOST", &host).ends(0);
    assert!(ended.stderr.contains("not warm: the Docker Engine runs on another machine"), "{}", ended.stderr);
    assert_eq!(bench.operation("a")["result"], json!({"once": r#"{"n":1}"#, "name": "a"}));
    nothing_is_left(&bench);
}

#[test]
fn missing_image_fails_each_operation_with_its_reason() {
    let operations = json!([operation("a", &json!({"pendingTimeoutMs": 5_000}), &json!({}))]);
    let bench = bench(&operations, &json!(true), &json!({}));
    let pod = json!({"imageName": "Not A Name"});
    write(&bench, &operations, &json!(true), &json!({}), &pod);
    let ended = bench.pop(10, "run a.json --on docker");
    assert!(ended.stderr.contains("its image name is invalid"), "{}", ended.stderr);
}

#[test]
fn plan_shows_the_container_of_an_instance() {
    let bench = Bench::new();
    let operations = json!([operation("a", &json!({}), &json!({"n": 1}))]);
    let pod = json!({"imageName": IMAGE, "arguments": ["program"]});
    write(&bench, &operations, &json!(true), &json!({}), &pod);
    let planned = bench.call("plan a.json --on docker --output manifests").ends(0).json();
    let variables = planned[0]["Env"].as_array().unwrap();
    let value = |name: &str| variables.iter().find_map(|text| text.as_str()?.strip_prefix(name));
    assert_eq!((value("POP_WARM_SOCKET="), value("PAYLOAD=")), (Some("/run/pop/warm.sock"), None));
    let mounts = planned[0]["HostConfig"]["Mounts"].as_array().unwrap();
    assert!(mounts.iter().any(|mount| mount["Target"] == "/run/pop/warm.sock"), "{mounts:?}");
}
