//! `pop dlq` lists, drops and replays dead letters. The tests write the dead letters.

use crate::bench::{Bench, Ended};
use crate::running::Running;
use serde_json::{Value, json};
use std::fs;

/// A run of two operations, `early` and `late`, whose program echoes its payload.
fn ran() -> (Bench, String) {
    let bench = Bench::with_agenda(
        "id: ag-1\nparams: {logDetail: true}\noperations:\n  - {name: early, type: echo, payload: {n: 1}}\n  \
         - {name: late, id: op-7, type: echo, payload: {n: '@<early.out::/n>'}, params: {dependsOn: early, retry: {maxAttempts: 2}}}\n",
    );
    bench.write("registry.yaml", "echo: {command: [./echo.sh]}\n");
    bench.program(
        "echo.sh",
        "#!/bin/sh\necho \"$AGENDA_ID $OPERATION_ID $LOG_LEVEL $POP_ATTEMPT\" >> ids\necho \"pop.report.payload $PAYLOAD\"\n[ ! -e broken ]\n",
    );
    bench.pop(0, "run a.yaml");
    let run = bench.run_folder().file_name().unwrap().to_str().unwrap().to_owned();
    (bench, run)
}

/// A dead letter as the driver writes it.
fn letter(run: &str, operation: &str) -> Value {
    json!({"format": 1, "id": format!("{run}/{operation}"), "letter": {
        "run": run, "operation": operation, "type": "echo", "agenda": "a.yaml", "launcher": "local",
        "payload": {"n": 1},
        "params": {"dependsOn": "early", "retry": {"maxAttempts": 2}},
        "failure": {
            "blame": "handler", "code": "exit", "message": "ended with exit status 7", "exit": {"code": 7},
            "logTail": ["no such \u{1b}[1mfile"],
        },
        "attempts": [
            {"number": 1, "started": 1_700_000_000_000_u64, "ended": 1_700_000_001_000_u64, "failure": "ended with exit status 7"},
            {"number": 2, "started": 1_700_000_002_000_u64, "ended": 1_700_000_003_000_u64, "failure": "ended with exit status 7"},
        ],
        "settled": 1_700_000_003_000_u64,
    }})
}

impl Bench {
    fn letter(&self, run: &str, operation: &str, letter: &Value) {
        self.write(&format!(".pop/runs/{run}/dead-letters/{operation}.json"), letter.to_string());
    }

    fn run_count(&self) -> usize {
        fs::read_dir(self.path(".pop/runs")).unwrap().count()
    }

    /// A call that must end with this exit code and start nothing.
    fn refused(&self, code: i32, arguments: &str) -> Ended {
        let before = self.run_count();
        let ended = self.pop(code, arguments);
        assert_eq!(self.run_count(), before, "{}", ended.stderr);
        ended
    }
}

#[test]
fn r2_dlq_lists_shows_and_drops_dead_letters() {
    let (bench, run) = ran();
    let ended = bench.pop(0, "dlq list");
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", "no dead letters in `.pop/runs`\n"));
    assert_eq!(bench.pop(0, "dlq list --output json").json(), json!([]));
    bench.letter(&run, "late", &letter(&run, "late"));
    insta::assert_snapshot!(bench.pop(0, "dlq list").screen(), @r"
    exit 0
    --- stdout
    $RUN  late  echo  $TIME  [exit] ended with exit status 7
    ");
    insta::assert_snapshot!(bench.pop(0, "dlq show last late").screen(), @r#"
    exit 0
    --- stdout
    $RUN/late (echo) of a.yaml, dead letter since $TIME
      attempt 1 at $TIME: ended with exit status 7
      attempt 2 at $TIME: ended with exit status 7
      failed: ended with exit status 7 [exit, blame: handler]
          | no such �[1mfile
    params {
      "dependsOn": "early",
      "retry": {
        "maxAttempts": 2
      }
    }
    payload {
      "n": 1
    }
    "#);
    let listed = bench.pop(0, "dlq list --output json").json();
    assert_eq!(listed[0]["id"], format!("{run}/late"));
    assert_eq!((&listed[0]["attempts"], &listed[0]["failure"]["code"]), (&json!(2), &json!("exit")));
    assert_eq!(listed[0].get("payload"), None);
    let shown = bench.pop(0, "dlq show last late --output json").json();
    assert_eq!((&shown["payload"], &shown["attempts"][1]["number"]), (&json!({"n": 1}), &json!(2)));
    let ended = bench.pop(2, "dlq show last early");
    let hint = "hint: `pop dlq list` lists the dead letters\n";
    assert_eq!(ended.stderr, format!("error: there is no dead letter `{run}/early`\n{hint}"));
    bench.pop(2, "dlq drop last early");
    bench.pop(2, "dlq drop last");
    bench.pop(2, "dlq drop last late --all");
    bench.pop(0, "dlq drop last late");
    bench.pop(2, "dlq show last late");
    bench.letter(&run, "late", &letter(&run, "late"));
    bench.letter(&run, "early", &letter(&run, "early"));
    let ended = bench.pop(0, "dlq drop --all last");
    assert_eq!(ended.stderr, format!("2 dead letters of run {run} deleted\n"));
    assert_eq!(bench.pop(0, "dlq list").stdout, "");
}

#[test]
fn r2_replay_runs_one_operation_with_original_inputs() {
    let (bench, run) = ran();
    bench.letter(&run, "late", &letter(&run, "late"));
    // neither file is looked at again
    bench.write("a.yaml", "operations: []\n");
    bench.write("registry.yaml", "echo: {command: ['false']}\n");
    fs::remove_file(bench.path("ids")).unwrap();
    bench.pop(0, &format!("dlq replay {run} late"));
    let shown = bench.shown();
    assert_eq!(shown["agenda"], format!("{run}/late (dead letter)"));
    assert_eq!(shown["replayOf"], json!({"run": run, "operation": "late"}));
    let operations = shown["operations"].as_array().unwrap();
    assert_eq!(operations.len(), 1);
    assert_eq!((&operations[0]["name"], &operations[0]["result"]), (&json!("late"), &json!({"n": 1})));
    assert_eq!(bench.read("ids"), "ag-1 op-7 DEBUG 1\n");
    let replay = shown["run"].as_str().unwrap().to_owned();
    assert_eq!(bench.pop(0, "runs --output json").json()[0]["replayOf"]["run"], run);
    let explained = bench.pop(0, "explain last late").stdout;
    assert!(explained.contains(&format!("  replays   dead letter {run}/late\n")), "{explained}");
    assert!(explained.contains("retry = 2 attempts"), "{explained}");
    assert_eq!(
        bench.pop(0, &format!("dlq show {run} late --output json")).json()["replays"],
        json!([replay])
    );

    // a second replay needs `--again`
    let ended = bench.refused(2, &format!("dlq replay {run} late"));
    let before = format!("dead letter {run}/late was replayed before, by {replay}");
    assert_eq!(ended.stderr, format!("error: {before}\nhint: add `--again` to replay it anyway\n"));
    let ended = bench.pop(0, &format!("dlq replay {run} late --again"));
    assert!(ended.stderr.starts_with(&format!("warning: {before}\n")), "{}", ended.stderr);

    // it ends as a run does, and is resumed as one
    bench.write("broken", "");
    bench.pop(10, &format!("dlq replay {run} late --again"));
    assert_eq!(bench.operation("late")["attempts"], 2);
    fs::remove_file(bench.path("broken")).unwrap();
    bench.pop(0, "resume last");
    let shown = bench.pop(0, &format!("dlq show {run} late --output json")).json();
    assert_eq!(shown["replays"].as_array().unwrap().len(), 3);
}

#[test]
fn r2_concurrent_second_replay_is_refused() {
    let (bench, run) = ran();
    bench.letter(&run, "late", &letter(&run, "late"));
    let replay = format!("dlq replay {run} late");
    let both = [bench.call(&replay).spawn(), bench.call(&replay).spawn()];
    let mut ended = both.map(Running::end);
    ended.sort_unstable_by_key(|ended| ended.code);
    assert_eq!(ended.each_ref().map(|ended| ended.code), [0, 2]);
    let replay = bench.shown()["run"].as_str().unwrap().to_owned();
    assert!(ended[1].stderr.contains(&format!("replayed before, by {replay}\n")), "{}", ended[1].stderr);
}

#[test]
fn r2_replayed_text_that_looks_like_a_reference_stays_text() {
    let (bench, run) = ran();
    let mut letter = letter(&run, "late");
    letter["letter"]["payload"] = json!({"a": ["x @<early.out> y"]});
    bench.letter(&run, "late", &letter);
    bench.pop(0, &format!("dlq replay {run} late"));
    assert_eq!(bench.operation("late")["result"], json!({"a": ["x @<early.out> y"]}));
}

#[test]
fn f84_dead_letter_without_handler_is_not_replayed() {
    let (bench, run) = ran();
    let replay = format!("dlq replay {run} late");
    bench.refused(2, &replay);
    let with = |pointer: &str, value: Value| {
        let mut letter = letter(&run, "late");
        *letter.pointer_mut(pointer).unwrap() = value;
        bench.letter(&run, "late", &letter);
    };
    // a type that the registry of its run does not know
    with("/letter/type", json!("gone"));
    let ended = bench.refused(3, &replay);
    assert!(ended.stderr.contains("operation `late` is of type `gone`, which no handler serves"));
    assert!(ended.stderr.contains(&format!("--> {run}/late (dead letter):")), "{}", ended.stderr);
    // a handler whose program is gone
    with("/letter/payload", json!({}));
    fs::rename(bench.path("echo.sh"), bench.path("moved.sh")).unwrap();
    let ended = bench.refused(4, &replay);
    assert!(ended.stderr.contains("error[program-not-found]: type `echo`"), "{}", ended.stderr);
    fs::rename(bench.path("moved.sh"), bench.path("echo.sh")).unwrap();
    // a torn dead letter does not hide others, and can be dropped
    bench.letter(&run, "early", &letter(&run, "early"));
    let path = bench.run_folder().join("dead-letters/late.json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let ended = bench.refused(15, &replay);
    assert!(ended.stderr.contains("late.json` is damaged"), "{}", ended.stderr);
    let ended = bench.pop(0, "dlq list --output json");
    assert!(ended.stderr.contains("warning: the dead letter "), "{}", ended.stderr);
    assert_eq!(ended.json().as_array().unwrap().len(), 1);
    bench.pop(0, "dlq drop last late");
}
