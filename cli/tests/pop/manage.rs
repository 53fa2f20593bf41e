//! `pop cancel` and `wait`, the duration of a killed run, quiet runs, and the command that resumes an interrupted run.

use crate::bench::{Bench, PATIENCE};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::time::{Duration, SystemTime};

/// An operation that says where it is, and ends when it is asked to.
pub(crate) const PATIENT: &str = r#"operations:
  - {name: a, type: exec, payload: {command: [sh, -c, "trap 'echo asked >> said; exit 1' TERM; echo $$ > pid; echo > here; sleep 1000 & wait"]}}
"#;
/// An operation that ends only when it is killed.
const STUBBORN: &str = r#"operations:
  - {name: a, type: exec, payload: {command: [sh, -c, "trap '' TERM; echo $$ > pid; echo > here; while :; do sleep 1000; done"]}}
"#;

#[test]
fn cancel_asks_the_executor_of_a_run_to_stop() {
    let bench = Bench::with_agenda(PATIENT);
    let running = bench.call("run a.yaml --run-id r").spawn();
    bench.wait_for("here", 1);
    let said = bench.pop(0, "cancel r");
    insta::assert_snapshot!(said.steady(&said.stderr).replace(&running.pid().to_string(), "PID"), @"asked process $PID to stop the operations of run r; `pop wait r` waits for the end");
    let ended = running.ends(130);
    assert!(ended.stderr.ends_with("continue it with: pop resume r\n"), "{}", ended.stderr);
    assert_eq!(bench.read("said"), "asked\n");
    insta::assert_snapshot!(bench.pop(0, "cancel r").screen(), @r"
    exit 0
    --- stderr
    run r has ended already: interrupted
    ");
    assert_eq!(bench.pop(130, "wait r").stderr.lines().count(), 1);
}

#[test]
fn cancel_uses_sigterm_if_the_executor_ignores_sigint() {
    // a shell starts background commands of a script like that
    let bench = Bench::with_agenda(PATIENT);
    let running = bench.call("run a.yaml").signals("--ignore-signal=INT").spawn();
    bench.wait_for("here", 1);
    bench.pop(0, "cancel last");
    running.ends(143);
}

#[test]
fn cancel_with_kill_gives_both_signals_and_never_a_third() {
    for first in [None, Some("cancel last")] {
        let bench = Bench::with_agenda(STUBBORN);
        let running = bench.call("run a.yaml --grace 1000").spawn();
        bench.wait_for("here", 1);
        let child = bench.process("pid");
        if let Some(line) = first {
            bench.pop(0, line);
        }
        bench.pop(0, "cancel last --kill");
        child.ends();
        running.ends(130);
        assert_eq!(bench.shown()["outcome"], json!("interrupted"));
    }
}

#[test]
fn cancel_signals_only_the_process_that_holds_the_lock() {
    let bench = Bench::with_agenda(PATIENT);
    let running = bench.call("run a.yaml --run-id r").spawn();
    bench.wait_for("here", 1);
    // a copied folder has a lock that names the executor of the original
    let copied = std::process::Command::new("cp")
        .args(["-r", "r", "copy"])
        .current_dir(bench.path(".pop/runs"))
        .status();
    assert!(copied.unwrap().success());
    insta::assert_snapshot!(bench.pop(0, "cancel copy").screen(), @r"
    exit 0
    --- stderr
    run copy is not running: its executor died; `pop resume copy` continues it
    ");
    // a lock that names another process, here this test, which a wrong signal would end
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let start = stat[stat.rfind(')').unwrap()..].split(' ').nth(20).unwrap();
    let lock = fs::read_to_string(bench.path(".pop/runs/r/lock")).unwrap();
    let words: Vec<&str> = lock.split_whitespace().collect();
    fs::write(
        bench.path(".pop/runs/copy/lock"),
        format!("{} {start} {} {}\n", std::process::id(), words[2], words[3]),
    )
    .unwrap();
    bench.pop(0, "cancel copy");
    // a lock of another host
    fs::write(bench.path(".pop/runs/copy/lock"), format!("7 1 {} elsewhere\n", words[2])).unwrap();
    insta::assert_snapshot!(bench.pop(15, "cancel copy").screen(), @r"
    exit 15
    --- stderr
    error: run copy cannot be cancelled from here: its executor is or was process $PID of host `elsewhere`
    hint: run `pop cancel` on that host
    ");
    insta::assert_snapshot!(bench.pop(15, "wait copy").screen(), @r"
    exit 15
    --- stderr
    error: run copy cannot be awaited from here: its executor is or was process $PID of host `elsewhere`
    hint: run `pop wait` on that host
    ");
    bench.pop(0, "cancel r");
    running.ends(130);
}

#[test]
fn wait_exits_with_the_exit_code_of_the_run() {
    let script = |end: &str| {
        format!(
            "operations:\n  - {{name: a, type: exec, params: {{onFail: DLQ}}, payload: {{command: [sh, -c, 'echo > here; read x < fifo; {end}']}}}}\n"
        )
    };
    for (end, code) in [("exit 0", 0), ("exit 3", 11)] {
        let bench = Bench::with_agenda(&script(end));
        bench.fifo("fifo");
        let running = bench.call("run a.yaml").spawn();
        bench.wait_for("here", 1);
        let waiting = bench.call("wait last").spawn();
        fs::write(bench.path("fifo"), "go\n").unwrap();
        let ended = waiting.ends(code);
        assert!(ended.stderr.starts_with("run "), "{}", ended.stderr);
        running.ends(code);
        // a run that has ended
        bench.pop(code, "wait last");
    }
    let bench = Bench::with_agenda(PATIENT);
    let running = bench.call("run a.yaml --run-id r").spawn();
    bench.wait_for("here", 1);
    let waiting = bench.call("wait r").spawn();
    running.crash();
    let ended = waiting.ends(15);
    insta::assert_snapshot!(ended.stderr, @r"
    error: run r has no end: its executor died
    hint: `pop resume r` continues it
    ");
    bench.pop(2, "wait nothing");
}

#[test]
fn a_killed_run_took_until_its_executor_died() {
    // the guard starts with the first operation that runs for a while
    let guarded = "\n  - {name: guarded, type: exec, payload: {command: [sleep, '0.2']}}\n  - {name: a, params: {dependsOn: guarded}, ";
    let bench = Bench::with_agenda(&PATIENT.replace("\n  - {name: a, ", guarded));
    let running = bench.call("run a.yaml --run-id r").spawn();
    bench.wait_for("here", 1);
    let lock = bench.path(".pop/runs/r/lock");
    let taken = fs::metadata(&lock).unwrap().modified().unwrap();
    let child = bench.process("pid");
    running.crash();
    // the guard kills what the executor left behind, then marks the time
    child.ends();
    let began = std::time::Instant::now();
    while fs::metadata(&lock).unwrap().modified().unwrap() == taken {
        assert!(began.elapsed() < PATIENCE, "the end is not marked");
        std::thread::yield_now();
    }
    let journal = fs::metadata(bench.path(".pop/runs/r/journal")).unwrap().modified().unwrap();
    let marked = SystemTime::now() + Duration::from_secs(90);
    assert!(marked > journal);
    fs::File::options().write(true).open(&lock).unwrap().set_modified(marked).unwrap();
    let run = &bench.pop(0, "runs --output json").json()[0];
    assert!(run["tookMs"].as_u64().unwrap() >= 90_000, "{run}");
    assert_eq!(run["outcome"], json!("stopped"));
    let shown = bench.pop(0, "show r").stdout;
    // the run, its second operation and the summary
    assert_eq!(shown.matches("1 m 3").count(), 3, "{shown}");
}

/// Four runs: two of `a.yaml`, of which the second succeeds, one of `b.yaml`, and one that is stopped.
#[test]
fn quiet_run_prints_only_problems() {
    let bench =
        Bench::with_agenda("operations: [{name: a, type: exec, payload: {command: [test, -e, good]}}]\n");
    let said = bench.pop(10, "run -q a.yaml");
    insta::assert_snapshot!(said.screen(), @r#"
    exit 10
    --- stderr

    failed: a
      why: ended with exit status 1 [exit, blame: handler]
      more: pop logs $RUN "a"

    run $RUN failed after $TOOK: 1 failed
    "#);
    bench.write("good", "");
    let said = bench.pop(0, "resume last --quiet");
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
}

#[test]
fn the_resume_command_after_an_interrupt_names_other_folders() {
    let bench = Bench::with_agenda(PATIENT);
    for (line, environment, command) in [
        ("run a.yaml --run-id r", None, "pop resume r"),
        ("run a.yaml --run-id s", Some("of"), "pop resume s"),
        (
            "run a.yaml --run-id t --runs of/others --host-folder h",
            Some("of"),
            "pop resume t --runs of/others --host-folder h",
        ),
    ] {
        fs::remove_file(bench.path("here")).ok();
        let call = bench.call(line);
        let call = match environment {
            Some(folder) => call.variable("POP_RUNS", folder),
            None => call,
        };
        let running = call.spawn();
        bench.wait_for("here", 1);
        running.signal(Signal::INT);
        let said = running.ends(130).stderr;
        assert_eq!(said.lines().last(), Some(format!("continue it with: {command}").as_str()));
    }
}
