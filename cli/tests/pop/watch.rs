//! `pop watch`: a run of another process, as lines and on a terminal.

use crate::bench::Bench;
use crate::running::Running;
use crate::terminal::{frames, on_terminal};
use std::fs;

/// `hold` waits until somebody writes into the named pipe `go`.
const AGENDA: &str = r#"
operations:
  - {name: one, type: exec, payload: {command: [sh, -c, "echo one >> ran"]}}
  - {name: hold, type: exec, params: {dependsOn: one}, payload: {command: [sh, -c, "echo hold >> ran; cat go"]}}
  - {name: bad, type: exec, params: {dependsOn: hold}, payload: {command: ["false"]}}
"#;

/// A run whose operation `hold` runs, and a watch of it.
fn watched() -> (Bench, Running, Running) {
    let bench = Bench::with_agenda(AGENDA);
    bench.fifo("go");
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("ran", 2);
    let mut watching = bench.call("watch last").spawn();
    watching.says(" running after ");
    (bench, running, watching)
}

#[test]
fn watch_shows_what_comes_and_exits_with_the_code_of_the_run() {
    let (bench, running, watching) = watched();
    fs::write(bench.path("go"), "x").unwrap();
    let ended = watching.end();
    assert_eq!(ended.code, 10, "{}", ended.stderr);
    let said = ended.stderr;
    assert!(said.contains("succeeded hold in ") && said.contains("failed    bad after "), "{said}");
    assert!(!said.contains("start     one"), "{said}");
    assert!(said.contains("2 succeeded, 1 failed"), "{said}");
    assert_eq!(running.end().code, 10);
    // a run that has ended is only summed up
    let said = bench.pop(10, "watch last").stderr;
    assert!(said.contains("2 succeeded, 1 failed") && !said.contains("succeeded hold"), "{said}");
    assert!(bench.pop(2, "watch none").stderr.contains("`pop runs` lists the runs"));
}

#[test]
fn watch_ends_when_the_executor_dies() {
    let (_bench, running, watching) = watched();
    running.crash();
    let ended = watching.end();
    assert_eq!(ended.code, 15, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("its executor died") && ended.stderr.contains("`pop resume "),
        "{}",
        ended.stderr
    );
}

#[test]
fn watch_on_a_terminal_shows_running_and_waiting_operations() {
    let bench = Bench::with_agenda(
        r#"
operations:
  - {name: busy, type: exec, payload: {command: [sh, -c, "echo busy >> ran; sleep 3"]}}
  - name: flaky
    type: exec
    params: {retry: {maxAttempts: 2, delayMs: 2500}}
    payload: {command: [sh, -c, "test -e tried || { touch tried; echo tried >> ran; exit 1; }"]}
"#,
    );
    let running = bench.call("run a.yaml -j 2").spawn();
    bench.wait_for("ran", 2);
    let said = on_terminal(&bench, 80, 24, "watch last");
    let lines: Vec<&str> = frames(&said).into_iter().flatten().collect();
    assert!(lines.iter().any(|line| line.starts_with("busy ")), "{said}");
    assert!(
        lines.iter().any(|line| line.starts_with("flaky ") && line.contains("next attempt in ")),
        "{said}"
    );
    assert!(lines.iter().any(|line| line.starts_with("run ") && line.contains("  1 waiting")), "{said}");
    assert!(said.trim_end().ends_with("2 succeeded"), "{said}");
    assert_eq!(running.end().code, 0);
}

#[test]
fn time_left_follows_from_an_earlier_run() {
    let bench =
        Bench::with_agenda("operations:\n  - {name: slow, type: exec, payload: {command: [sleep, '5']}}\n");
    bench.pop(0, "run a.yaml -q");
    let said = on_terminal(&bench, 80, 24, "run a.yaml");
    let lines: Vec<&str> = frames(&said).into_iter().flatten().collect();
    let is_estimated =
        |line: &&str| line.starts_with("run ") && line.contains("  ~") && line.contains("s left");
    assert!(lines.iter().any(is_estimated), "{said}");
}
