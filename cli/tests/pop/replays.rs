//! Replayed dead letters give their results back to their run, and clean-up that undoes an operation.

use crate::bench::Bench;
use std::fs;

/// Three items of which `two` fails while `broken` exists, and what reads them.
fn items() -> Bench {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: f, type: exec, params: {forEach: [one, two], onFail: DLQ}, \
         payload: {command: [sh, item.sh, '@<pop.item>'], capture: text}}\n  \
         - {name: merge, type: exec, payload: {command: [sh, merge.sh, '@<f.out::/1/stdout>']}}\n",
    );
    bench.write("item.sh", "echo $1 >> ran\necho $1\n[ $1 = one ] || [ ! -e broken ]\n");
    bench.write("merge.sh", "echo $1 > merged\n");
    bench.write("broken", "");
    bench.pop(11, "run a.yaml --run-id r");
    bench
}

fn replay_of(bench: &Bench, run: &str, operation: &str) -> String {
    let runs = bench.pop(0, "runs --output json").json();
    let is_wanted = |about: &&serde_json::Value| {
        about["replayOf"]["run"] == run && about["replayOf"]["operation"] == operation
    };
    runs.as_array().unwrap().iter().find(is_wanted).unwrap()["run"].as_str().unwrap().to_owned()
}

#[test]
fn fr_d5_replayed_item_completes_its_run() {
    let bench = items();
    assert!(bench.pop(0, "show r").stdout.contains("depends on `f`, which is in the dead-letter queue"));
    // without a replay, a resume changes nothing
    let ended = bench.pop(11, "resume r");
    let said =
        "no dead letter of run r has the result of a replay: `pop dlq replay r OPERATION` runs one again\n";
    assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
    fs::remove_file(bench.path("broken")).unwrap();
    let ended = bench.pop(0, "dlq replay r f#1");
    assert!(
        ended.stderr.ends_with("`pop resume r` gives the result to `f#1` of run r\n"),
        "{}",
        ended.stderr
    );
    let replay = replay_of(&bench, "r", "f#1");
    let ended = bench.pop(0, "resume r");
    assert!(ended.stderr.contains(&format!("replayed  f#1: result of run {replay}\n")), "{}", ended.stderr);
    assert_eq!(bench.read("merged"), "two\n");
    assert_eq!(bench.sorted_lines("ran"), ["one", "two", "two"]);
    assert_eq!(bench.pop(0, "dlq list").stdout, "");
    assert!(
        bench
            .pop(0, "explain r f#1")
            .stdout
            .starts_with(&format!("f#1: succeeded: run {replay} replayed its dead letter\n"))
    );
    assert!(bench.pop(0, "show r").stdout.contains(&format!("replayed by {replay}")));
    let shown = bench.pop(0, "show r --output json").json();
    let item = shown["operations"].as_array().unwrap().iter().find(|one| one["name"] == "f#1").unwrap();
    assert_eq!((&item["replayedBy"], &item["result"]["stdout"]), (&replay.as_str().into(), &"two".into()));
    assert_eq!(bench.pop(0, "resume r").stderr, "run r has succeeded already; nothing to do\n");
}

#[test]
fn fr_d5_replay_that_fails_again_can_be_replayed_again() {
    let bench = items();
    bench.pop(11, "dlq replay r f#1");
    let first = replay_of(&bench, "r", "f#1");
    bench.pop(11, "resume r");
    fs::remove_file(bench.path("broken")).unwrap();
    // the replay has a dead letter of its own: its replay helps the first run, too
    bench.call("dlq replay").argument(&first).argument("f.1").ends(0);
    bench.pop(0, "resume r");
    assert_eq!(bench.read("merged"), "two\n");
}

#[test]
fn fr_d5_second_replay_counts() {
    let bench = items();
    bench.pop(11, "dlq replay r f#1");
    fs::remove_file(bench.path("broken")).unwrap();
    bench.pop(2, "dlq replay r f#1");
    bench.pop(0, "dlq replay r f#1 --again");
    bench.pop(0, "resume r");
    assert_eq!(bench.read("merged"), "two\n");
}

#[test]
fn fr_d5_replay_while_the_run_goes_on() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, params: {onFail: DLQ}, payload: {command: [sh, -c, '[ ! -e broken ]']}}\n  \
         - {name: hold, type: exec, params: {dependsOn: a.settled}, payload: {command: [sh, -c, 'until [ -e .pop/runs/r/dead-letters/a.json ]; do sleep 0.02; done; echo >> held; read x < go']}}\n  \
         - {name: b, type: exec, params: {dependsOn: a}, payload: {command: [sh, -c, 'echo b > done']}}\n",
    );
    bench.fifo("go");
    bench.write("broken", "");
    let running = bench.call("run a.yaml --run-id r -k").spawn();
    bench.wait_for("held", 1);
    fs::remove_file(bench.path("broken")).unwrap();
    bench.pop(0, "dlq replay r a");
    fs::write(bench.path("go"), "x\n").unwrap();
    running.ends(11);
    bench.pop(0, "resume r");
    assert_eq!(bench.read("done"), "b\n");
}

#[test]
fn fr_d5_replayed_call_and_generated_operation_complete_their_run() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: gen, type: exec, params: {agenda.operation.generator: {operationsJsonPointer: /stdout}}, \
         payload: {command: [cat, made.json], capture: json}}\n  \
         - {name: end, type: exec, params: {finally: true}, payload: {command: [sh, -c, 'echo $0 >> ends', '@<pop.run::/outcome>']}}\n",
    );
    bench.write("made.json", r#"[{"name": "made", "type": "exec", "params": {"onFail": "DLQ", "when": "outcomes.gen == 'succeeded'"},
        "payload": {"command": ["sh", "-c", "[ ! -e broken ]"]}}]"#);
    bench.write("broken", "");
    bench.pop(11, "run a.yaml --run-id r");
    fs::remove_file(bench.path("broken")).unwrap();
    bench.pop(0, "dlq replay r made");
    bench.pop(0, "resume r");
    assert_eq!(bench.sorted_lines("ends"), ["deadLettered", "succeeded"]);
}

#[test]
fn fr_d5_map_put_by_a_reference_is_no_form_when_replayed() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: x, type: exec, payload: {command: [echo, '{\"m\": {\"json\": 1}}'], capture: json}}\n  \
         - {name: a, type: exec, params: {onFail: DLQ}, payload: {command: [echo, '@<x.out::/stdout/m>'], capture: text}}\n",
    );
    bench.pop(11, "run a.yaml --run-id r");
    let ended = bench.pop(15, "dlq replay r a");
    insta::assert_snapshot!(ended.steady(&ended.stderr), @"error: dead letter r/a cannot be replayed: a reference put a map into `/command/1` of its payload, where only text can be: mend the operation and use `pop rerun`");
}

#[test]
fn fr_d3_resume_repeats_what_clean_up_has_undone() {
    let agenda = |undoes: &str| {
        format!(
            "operations:\n  - {{name: fetch, type: exec, payload: {{command: [sh, -c, 'mkdir scratch; echo data > scratch/d; echo fetch >> ran']}}}}\n  \
         - {{name: use, type: exec, params: {{dependsOn: fetch}}, payload: {{command: [sh, -c, 'cat scratch/d >> ran && [ -e ok ]']}}}}\n  \
         - {{name: tidy, type: exec, params: {{finally: true{undoes}}}, payload: {{command: [rm, -rf, scratch]}}}}\n"
        )
    };
    let bench = Bench::with_agenda(&agenda(", undoes: fetch"));
    bench.pop(10, "run a.yaml");
    assert!(!bench.has("scratch"));
    bench.write("ok", "");
    bench.pop(0, "resume last");
    assert_eq!(bench.read("ran"), "fetch\ndata\nfetch\ndata\n");
    assert!(!bench.has("scratch"));
    // without the declaration, a rerun notices that the files are gone
    let bench = Bench::with_agenda(&agenda(""));
    bench.pop(10, "run a.yaml --run-id p");
    bench.write("ok", "");
    bench.pop(10, "resume last");
    bench.pop(0, "rerun p");
    let explained = bench.pop(0, "explain last fetch").stdout;
    assert!(explained.contains("`scratch` does not exist any more"), "{explained}");
    // names are checked, and only clean-up can undo
    bench.write("b.yaml", agenda(", undoes: fetsh"));
    let ended = bench.pop(3, "check b.yaml");
    insta::assert_snapshot!(ended.stdout + &ended.stderr, @r"
    error[unknown-dependency]: operation `tidy` depends on `fetsh`, which is not in this agenda
     --> b.yaml:4:62
      |
    4 |   - {name: tidy, type: exec, params: {finally: true, undoes: fetsh}, payload: {command: [rm, -rf, scratch]}}
      |                                                              ^^^^^ did you mean `fetch`?

    1 fault in b.yaml; nothing was started (exit 3)
    ");
    bench.write("b.yaml", agenda("").replace("dependsOn: fetch", "undoes: fetch"));
    let ended = bench.pop(3, "check b.yaml");
    insta::assert_snapshot!(ended.stdout + &ended.stderr, @r"
    error[misplaced-param]: `undoes` needs `finally`: only clean-up removes the effects of other operations
     --> b.yaml:3:38
      |
    3 |   - {name: use, type: exec, params: {undoes: fetch}, payload: {command: [sh, -c, 'cat scratch/d >> ran && [ -e ok ]']}}
      |                                      ^^^^^^

    1 fault in b.yaml; nothing was started (exit 3)
    ");
}
