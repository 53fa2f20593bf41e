//! Warm handlers in a run: which instance served, kills of pop, time limits, programs that do not serve.

use crate::bench::Bench;
use serde_json::json;
use std::fmt::Write as _;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../launchers/tests/warm_program.py");

/// A folder with an agenda, and a registry whose type `t` is served by a warm program.
fn bench(agenda: &str, entry: &str) -> Bench {
    let bench = Bench::with_agenda(agenda);
    bench.write("registry.json", format!(r#"{{"t": {{"command": ["python3", "{PROGRAM}"], {entry}}}}}"#));
    bench
}

#[test]
fn operations_of_a_warm_handler_share_an_instance_and_explain_names_it() {
    let mut agenda = "operations:\n".to_owned();
    for number in 0..20 {
        writeln!(agenda, "  - {{name: op{number}, type: t, payload: {{mark: pids, n: {number}}}}}").unwrap();
    }
    let bench = bench(&agenda, r#""warm": {"max": 1}"#);
    bench.pop(0, "run a.yaml -j 4");
    let mut pids = bench.sorted_lines("pids");
    assert_eq!(pids.len(), 20);
    pids.dedup();
    assert_eq!(pids.len(), 1);
    assert_eq!(bench.operation("op7")["result"]["payload"]["n"], 7);
    assert_eq!(bench.operation("op7")["result"]["variables"]["OPERATION_NAME"], "op7");
    let said = bench.pop(0, "explain last op7").stdout;
    assert!(said.contains("served by the instance t-1"), "{said}");
}

#[test]
fn a_killed_pop_leaves_no_instance_and_resume_repeats_only_what_was_lost() {
    let agenda = "operations:\n  - {name: one, type: t, payload: {mark: ran}}\n  \
                  - {name: hold, type: t, params: {dependsOn: one}, payload: {mark: pid, do: wait}}\n";
    let bench = bench(agenda, r#""warm": true"#);
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("pid", 1);
    let instance = bench.process("pid");
    running.crash();
    instance.ends();
    bench.write("again", "");
    let ended = bench.pop(0, "resume last");
    assert!(ended.stderr.contains("lost      hold"), "{}", ended.stderr);
    assert_eq!(bench.sorted_lines("ran").len(), 1);
    assert_eq!(
        (&bench.operation("one")["attempts"], &bench.operation("hold")["attempts"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn time_limits_hit_one_operation_and_the_instance_goes_on() {
    let agenda = "operations:\n  - {name: a, type: t, payload: {mark: pids}}\n  \
                  - {name: slow, type: t, params: {dependsOn: a, timeoutMs: 200}, payload: {do: wait}}\n  \
                  - {name: silent, type: t, params: {dependsOn: slow.settled, noOutputTimeoutMs: 200}, payload: {do: wait}}\n  \
                  - {name: b, type: t, params: {dependsOn: silent.settled}, payload: {mark: pids}}\n";
    let bench = bench(agenda, r#""warm": {"max": 1}"#);
    bench.pop(10, "run a.yaml --keep-going");
    let code = |name: &str| bench.operation(name)["diagnosticEvents"].to_string();
    assert!(code("slow").contains("timeoutMs of 200"), "{}", code("slow"));
    assert!(code("silent").contains("noOutputTimeoutMs of 200"), "{}", code("silent"));
    let pids = bench.sorted_lines("pids");
    assert_eq!(pids[0], pids[1]);
}

#[test]
fn a_program_that_does_not_serve_is_run_once_for_each_operation() {
    let agenda =
        "operations:\n  - {name: a, type: t, payload: {n: 1}}\n  - {name: b, type: t, payload: {n: 2}}\n";
    let entry = r#""warm": {"max": 1}, "envVars": {"STATE": "{\"version\": 9}"}"#;
    let bench = bench(agenda, entry);
    let ended = bench.pop(0, "run a.yaml");
    assert_eq!(ended.stderr.matches("is run once for each operation").count(), 1, "{}", ended.stderr);
    assert_eq!(bench.operation("b")["result"], json!({"once": r#"{"n":2}"#, "name": "b"}));
    assert!(!bench.pop(0, "explain last b").stdout.contains("served by"));
}

#[test]
fn only_kubernetes_refuses_warm_once_with_the_reason() {
    let agenda = "operations:\n  - {name: a, type: t}\n  - {name: b, type: t}\n";
    let entry = r#""warm": true, "podConfig": {"imageName": "i:1"}}, "basePodConfig": {"#;
    let bench = bench(agenda, entry);
    for (on, refusals) in [("local", 0), ("docker", 0), ("kubernetes", 1)] {
        let checked = bench.call("check a.yaml --on").argument(on).ends(0);
        let said = checked.stdout + &checked.stderr;
        assert_eq!(said.matches("not-warm").count(), refusals, "{on}: {said}");
        assert_eq!(said.contains("does not reach the node"), refusals == 1, "{on}: {said}");
    }
}
