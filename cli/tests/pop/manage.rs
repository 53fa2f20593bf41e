//! `pop cancel`, `wait` and `prune`, and the choices of `pop runs` and `pop logs`.

use crate::bench::{Bench, PATIENCE};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::time::{Duration, SystemTime};

/// An operation that says where it is, and ends when it is asked to.
const PATIENT: &str = r#"operations:
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
fn four_runs() -> Bench {
    let bench =
        Bench::with_agenda("operations: [{name: a, type: exec, payload: {command: [test, -e, good]}}]\n");
    bench.write(
        "sub/b.yaml",
        "operations: [{name: b, type: exec, params: {onFail: DLQ}, payload: {command: ['false']}}]\n",
    );
    bench.pop(10, "run a.yaml --run-id first");
    bench.write("good", "");
    bench.pop(0, "run a.yaml --run-id second");
    bench.pop(11, "run sub/b.yaml --run-id third");
    bench.write("c.yaml", PATIENT);
    let running = bench.call("run c.yaml --run-id fourth").spawn();
    bench.wait_for("here", 1);
    running.crash();
    // `last` and all lists go by the time of the settings
    for (run, seconds) in [("first", 4), ("second", 3), ("third", 2), ("fourth", 1)] {
        let settings = fs::File::options()
            .write(true)
            .open(bench.path(&format!(".pop/runs/{run}/inputs/settings.json")))
            .unwrap();
        settings.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }
    bench
}

#[test]
fn runs_are_selected_by_outcome_agenda_and_number() {
    let bench = four_runs();
    let names = |options: &str| bench.pop(0, &format!("runs -q {options}")).stdout.replace('\n', " ");
    assert_eq!(names(""), "fourth third second first ");
    assert_eq!(names("-n 2"), "fourth third ");
    assert_eq!(names("-n 0"), "");
    assert_eq!(names("--outcome failed"), "first ");
    assert_eq!(names("--outcome failed --outcome deadLettered"), "third first ");
    assert_eq!(names("--outcome stopped"), "fourth ");
    assert_eq!(names("--agenda a.yaml -n 1"), "second ");
    for agenda in ["b.yaml", "sub/b.yaml", "./sub/b.yaml"] {
        assert_eq!(names(&format!("--agenda {agenda}")), "third ", "{agenda}");
    }
    let absolute = bench.path("sub/b.yaml").canonicalize().unwrap();
    assert_eq!(names(&format!("--agenda {}", absolute.display())), "third ");
    assert_eq!(bench.pop(0, "runs --outcome fatal").stderr, "no such runs in `.pop/runs`\n");
    let said = bench.pop(2, "runs --outcome faild").stderr;
    assert!(said.contains("a similar value exists: 'failed'"), "{said}");
    insta::assert_snapshot!(bench.pop(0, "runs --outcome succeeded --outcome deadLettered").screen(), @r"
    exit 0
    --- stdout
    RUN     STATE         DONE  STARTED      TOOK   AGENDA
    third   deadLettered  0/1   $START  $TOOK  sub/b.yaml
    second  succeeded     1/1   $START  $TOOK  a.yaml
    ");
}

#[test]
fn fr_g3_last_without_runs_says_that_there_are_none_yet() {
    insta::assert_snapshot!(Bench::new().pop(2, "show last").screen(), @r"
    exit 2
    --- stderr
    error: there are no runs in `.pop/runs` yet
    hint: start one: `pop run agenda.yaml`; `--runs DIR` or POP_RUNS names another folder of runs
    ");
}

#[test]
fn prune_keeps_new_running_and_needed_runs() {
    let bench = four_runs();
    insta::assert_snapshot!(bench.pop(0, "prune").screen(), @r"
    exit 0
    --- stderr
    no runs to delete
    ");
    bench.write("here", "");
    fs::remove_file(bench.path("here")).unwrap();
    let running = bench.call("run c.yaml --run-id fifth").spawn();
    bench.wait_for("here", 1);
    insta::assert_snapshot!(bench.pop(0, "prune --keep 0 --dry-run").screen(), @r"
    exit 0
    --- stdout
    would delete first (failed, $TIME)
    would delete second (succeeded, $TIME)
    would delete fourth (stopped, $TIME)
    --- stderr
    kept third: it has 1 dead letter (`pop dlq drop --all third` deletes them)
    kept fifth: it is running
    ");
    assert_eq!(bench.pop(0, "runs -q").stdout.lines().count(), 5);
    assert_eq!(bench.pop(0, "prune --older-than 1h -q").stdout, "");
    assert_eq!(bench.pop(0, "prune --keep 4 -q").stdout, "first\n");
    assert_eq!(bench.pop(0, "prune --older-than 0s -q").stdout, "second\nfourth\n");
    bench.pop(0, "dlq drop --all third");
    insta::assert_snapshot!(bench.pop(0, "prune --keep 0").screen(), @r"
    exit 0
    --- stdout
    deleted third (deadLettered, $TIME)
    --- stderr
    kept fifth: it is running
    ");
    assert_eq!(fs::read_dir(bench.path(".pop/runs")).unwrap().count(), 1);
    running.signal(Signal::INT);
    running.ends(130);
    for wrong in ["--older-than 7", "--older-than soon", "--keep -1", "--keep all"] {
        bench.pop(2, &format!("prune {wrong}"));
    }
}

#[test]
fn prune_keeps_runs_that_wrote_cached_results_and_replays() {
    let bench = Bench::with_agenda(
        "operations: [{name: a, type: exec, params: {useCache: true}, payload: {command: [echo, a], capture: text}}]\n",
    );
    bench.pop(0, "run a.yaml --run-id wrote");
    bench.pop(0, "run a.yaml --run-id hit");
    assert_eq!(bench.pop(0, "prune --keep 0 -q").stdout, "hit\n");
    bench.pop(0, "cache clear");
    assert_eq!(bench.pop(0, "prune --keep 0 -q").stdout, "wrote\n");
    bench.write(
        "b.yaml",
        "operations: [{name: b, type: exec, params: {onFail: DLQ}, payload: {command: [test, -e, good]}}]\n",
    );
    bench.pop(11, "run b.yaml --run-id dead");
    bench.write("good", "");
    bench.pop(0, "dlq replay dead b");
    assert_eq!(bench.pop(0, "prune --keep 0 -q").stdout, "");
    bench.pop(0, "dlq drop dead b");
    assert_eq!(bench.pop(0, "prune --keep 0 -q").stdout.lines().count(), 2);
}

#[test]
fn logs_are_limited_by_lines_and_age() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, payload: {command: [seq, '1000']}}\n  - {name: b, type: exec, payload: {command: [echo, only]}}\n",
    );
    bench.pop(0, "run a.yaml -j 1");
    assert_eq!(bench.pop(0, "logs last -n 2").stdout, "==> a <==\n999\n1000\n==> b <==\nonly\n");
    assert_eq!(bench.pop(0, "logs last a -n 1 -f").stdout, "==> a <==\n1000\n");
    assert_eq!(bench.pop(0, "logs last -n 0").stdout, "");
    assert_eq!(bench.pop(0, "logs last --since 1h").stdout.lines().count(), 1_003);
    assert_eq!(bench.pop(0, "logs last --since 0s").stdout, "");
    assert!(bench.pop(2, "logs last --since 10").stderr.contains("for example `10m`"));
}

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

#[test]
fn explain_as_data() {
    let bench = crate::screens::mixed();
    let mut explained = bench.pop(0, "explain last upload --output json").json();
    assert!(explained["run"].is_string());
    assert_eq!(explained["policies"].as_array_mut().unwrap().len(), 6);
    assert_eq!(explained["policies"][1], json!({"key": "timeoutMs", "value": "60000", "scope": "agenda"}));
    explained.as_object_mut().unwrap().retain(|key, _| key != "policies" && key != "run");
    insta::assert_snapshot!(format!("{explained:#}"), @r#"
    {
      "attempts": [],
      "dependencies": [
        {
          "kind": "reads",
          "name": "thumb",
          "outcome": "failed",
          "requires": "succeeded or fromCache or skipped"
        }
      ],
      "failedStarts": [],
      "gates": [],
      "handler": "the command in its payload",
      "isPayloadResolved": false,
      "name": "upload",
      "payload": {
        "command": [
          "echo",
          "@<thumb.out::/exitCode>"
        ]
      },
      "properties": [],
      "reason": "was cancelled: it depends on `thumb`, which did not succeed",
      "replayOf": null,
      "route": [],
      "runState": "failed",
      "skippedBy": null,
      "state": "cancelled",
      "type": "exec",
      "waitsFor": [
        "thumb"
      ]
    }
    "#);
    let thumb = bench.pop(0, "explain last thumb --output json").json();
    assert_eq!((thumb["state"].as_str(), thumb["attempts"].as_array().unwrap().len()), (Some("failed"), 2));
    assert_eq!(thumb["attempts"][1]["failure"]["code"], json!("exit"));
}
