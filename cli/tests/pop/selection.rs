//! Which runs and logs `pop runs`, `prune` and `logs` select, and `pop explain` as data.

use crate::bench::Bench;
use crate::manage::PATIENT;
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::time::{Duration, SystemTime};

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
      "needs": null,
      "payload": {
        "command": [
          "echo",
          "@<thumb.out::/exitCode>"
        ]
      },
      "properties": [],
      "reason": "was cancelled: it depends on `thumb`, which did not succeed",
      "replayOf": null,
      "replayedBy": null,
      "resourceWaits": [],
      "reuse": null,
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
