//! `pop run --run-id`: the same command resumes an unfinished run, and does not repeat one that ended.

use crate::bench::Bench;
use rustix::process::Signal;
use serde_json::json;
use std::fs;

/// `one` is done at once; `hold` waits for ever, unless there is a file `again`.
const HOLDING: &str = r#"
operations:
  - {name: one, type: exec, payload: {command: [sh, -c, "echo one >> ran"]}}
  - name: hold
    type: exec
    params: {dependsOn: one}
    payload: {command: [sh, -c, "echo hold >> ran; test -e again || exec sleep 1000"]}
"#;

const FAILING: &str =
    "operations: [{name: a, type: exec, payload: {command: [sh, -c, \"echo a >> ran; exit 3\"]}}]";

const RUN: &str = "run a.yaml --run-id pop-hello";

#[test]
fn f1_same_run_id_after_kill_resumes_the_run() {
    let bench = Bench::with_agenda(HOLDING);
    let running = bench.call(RUN).spawn();
    bench.wait_for("ran", 2);
    running.crash();
    bench.write("again", "");
    let ended = bench.pop(0, RUN);
    assert!(ended.stderr.contains("lost      hold"), "{}", ended.stderr);
    assert_eq!(bench.sorted_lines("ran"), ["hold", "hold", "one"]);
    assert_eq!(bench.shown()["run"], "pop-hello");
    let said = bench.pop(0, RUN).stderr;
    assert_eq!(said, "run pop-hello has succeeded already; nothing to do\n");
    assert_eq!(bench.sorted_lines("ran").len(), 3);
}

#[test]
fn same_run_id_after_failure_repeats_only_the_exit_code() {
    let bench = Bench::with_agenda(FAILING);
    bench.pop(10, RUN);
    let said = bench.pop(10, RUN).stderr;
    assert_eq!(
        said,
        "run pop-hello has ended already: failed; `pop resume pop-hello` retries what did not succeed\n"
    );
    assert_eq!(bench.sorted_lines("ran"), ["a"]);
    bench.pop(10, "resume pop-hello");
    assert_eq!(bench.sorted_lines("ran"), ["a", "a"]);
}

#[test]
fn f76_same_run_id_after_a_signal_resumes_the_run() {
    let bench = Bench::with_agenda(HOLDING);
    let running = bench.call(RUN).spawn();
    bench.wait_for("ran", 2);
    running.signal(Signal::TERM);
    running.ends(143);
    bench.write("again", "");
    bench.pop(0, RUN);
    assert_eq!(bench.sorted_lines("ran"), ["hold", "hold", "one"]);
}

#[test]
fn f1_created_run_that_never_started_is_started() {
    let bench = Bench::with_agenda(FAILING);
    bench.pop(10, RUN);
    let folder = bench.path(".pop/runs/pop-hello");
    // as an executor leaves it that dies before its journal, and before its settings
    for gone in ["journal", "inputs/settings.json"] {
        fs::remove_file(folder.join("journal")).ok();
        fs::remove_file(folder.join(gone)).ok();
        fs::remove_file(bench.path("ran")).unwrap();
        bench.pop(10, RUN);
        assert_eq!(bench.sorted_lines("ran"), ["a"], "{gone}");
        assert_eq!(bench.operation("a")["attempts"], 1);
    }
}

#[test]
fn same_run_id_with_other_inputs_is_refused() {
    let bench = Bench::with_agenda(FAILING);
    bench.pop(10, &format!("{RUN} --policy retry=null"));
    let refused = |arguments: &str| bench.pop(15, arguments).stderr;
    assert_eq!(
        refused(RUN),
        "error: run `pop-hello` began with other `--policy` values\n\
         hint: choose another `--run-id`, or resume with the original inputs: `pop resume pop-hello`\n"
    );
    let launcher = refused(&format!("{RUN} --policy retry=null --on docker"));
    assert!(launcher.starts_with("error: run `pop-hello` began with another launcher\n"), "{launcher}");
    bench.write("a.yaml", format!("{FAILING} "));
    let agenda = refused(&format!("{RUN} --policy retry=null"));
    assert!(agenda.starts_with("error: run `pop-hello` began with another agenda\n"), "{agenda}");
    assert_eq!(bench.sorted_lines("ran"), ["a"]);
}

#[test]
fn f4_the_same_run_started_twice_is_executed_once() {
    let bench = Bench::with_agenda(HOLDING);
    let running = bench.call(RUN).spawn();
    bench.wait_for("ran", 2);
    let said = bench.pop(15, RUN).stderr;
    assert!(said.starts_with("error: run `pop-hello` is being executed by process "), "{said}");
    running.crash();
}

#[test]
fn f10_same_run_id_in_another_folder_is_independent() {
    let (one, other) = (Bench::with_agenda(HOLDING), Bench::with_agenda(HOLDING));
    let staying = one.call(RUN).spawn();
    let killed = other.call(RUN).spawn();
    one.wait_for("ran", 2);
    other.wait_for("ran", 2);
    killed.crash();
    other.write("again", "");
    other.pop(0, RUN);
    assert!(one.shown()["outcome"].is_null());
    staying.signal(Signal::TERM);
    assert!(staying.ends(143).stderr.contains("1 succeeded, 1 cancelled"));
}

#[test]
fn f35_invalid_run_id_is_refused() {
    let bench = Bench::with_agenda(FAILING);
    for id in ["a/b", "..", "-x", "last"] {
        let said = bench.call("run a.yaml").argument(&format!("--run-id={id}")).ends(2).stderr;
        assert!(said.contains("for '--run-id <ID>'"), "{said}");
    }
    assert!(!bench.has(".pop"));
}

#[test]
fn last_is_the_run_started_last_whatever_its_name() {
    let bench = Bench::with_agenda("operations: []");
    for arguments in ["run a.yaml --run-id zebra", "run a.yaml", "run a.yaml --run-id aardvark"] {
        bench.pop(0, arguments);
    }
    assert_eq!(bench.shown()["run"], "aardvark");
    let runs = bench.pop(0, "runs --output json").json();
    assert_eq!((&runs[0]["run"], &runs[2]["run"]), (&json!("aardvark"), &json!("zebra")));
}
