//! Type `agenda`: one bad file among twenty, agendas in files of their own, and names of items on the screen.

use crate::bench::Bench;
use serde_json::Value;
use std::fmt::Write as _;

/// Twenty files in two steps each; the file `bad` fails in the first one.
fn twenty() -> Bench {
    let bench = Bench::with_agenda(
        r#"
operations:
  - {name: list, type: exec, payload: {command: [cat, names], capture: lines}}
  - name: file
    type: agenda
    params: {forEach: "@<list.out::/stdout>", itemName: "@<pop.item>", maxParallel: 3, itemFailures: keep}
    payload:
      operations:
        - {name: first, type: exec, payload: {shell: 'echo "$F" >> first; test "$F" != bad; if [ -e hold ]; then exec sleep 600; fi', env: {F: "@<pop.item>"}}}
        - {name: second, type: exec, params: {dependsOn: first}, payload: {shell: 'echo "$F" >> second', env: {F: "@<pop.item>"}}}
      result: "done @<pop.item>"
  - {name: all, type: exec, payload: {shell: 'cat > all', stdin: "@<file.out>"}}
"#,
    );
    let mut names = String::new();
    for index in 0..20 {
        writeln!(names, "{}", if index == 7 { "bad".to_owned() } else { format!("file {index}") }).unwrap();
    }
    bench.write("names", names);
    bench
}

/// Checks that nineteen files have a result and one has a failure.
fn is_complete(bench: &Bench) {
    let all: Value = serde_json::from_str(&bench.read("all")).unwrap();
    let good = |entry: &&Value| entry["outcome"] == "succeeded" && entry["result"].is_string();
    assert_eq!(all.as_array().unwrap().iter().filter(good).count(), 19);
    assert_eq!((&all[7]["item"], &all[7]["outcome"]), (&"bad".into(), &"failed".into()));
    assert_eq!(all[7]["failure"]["operation"], "file#7/first");
    assert_eq!(bench.sorted_lines("second").len(), 19);
}

#[test]
fn bad_file_among_twenty_stops_nobody_and_is_named() {
    let bench = twenty();
    let ended = bench.pop(0, "run a.yaml -j 4");
    is_complete(&bench);
    for words in
        ["failed    file[bad]/first after ", "cancelled file[bad]/second\n", "succeeded file[file 19]\n"]
    {
        assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    }
    let end = "60 succeeded, 2 failed, 1 cancelled (1 of 20 items of `file` failed)\n";
    assert!(ended.stderr.ends_with(end), "{}", ended.stderr);
    let more = "pop logs ";
    assert!(ended.stderr.contains(more) && ended.stderr.contains("\"file#7/first\"\n"), "{}", ended.stderr);
    // a person may use either name
    for name in ["file#7/first", "file[bad]/first"] {
        let explained = bench.call("explain last").argument(name).ends(0).stdout;
        assert!(explained.starts_with("file#7/first (file[bad]/first): failed"), "{explained}");
    }
    let shown = bench.operation("file#7/first");
    assert_eq!((&shown["shownName"], &shown["outcome"]), (&"file[bad]/first".into(), &"failed".into()));
    // there is nothing to repeat
    let again = bench.pop(0, "resume last").stderr;
    assert!(again.contains("has succeeded already; nothing to do"), "{again}");
}

#[test]
fn f1_twenty_files_are_killed_in_the_middle_and_resumed() {
    let bench = twenty();
    bench.write("hold", "");
    let running = bench.call("run a.yaml -j 4").spawn();
    bench.wait_for("first", 3);
    running.crash();
    std::fs::remove_file(bench.path("hold")).unwrap();
    bench.pop(0, "resume last -j 4");
    is_complete(&bench);
}

#[test]
fn failed_item_is_mended_and_the_rest_is_not_repeated() {
    let bench = Bench::with_agenda(
        r#"
operations:
  - name: file
    type: agenda
    params: {forEach: [a, b]}
    payload:
      operations:
        - {name: first, type: exec, payload: {shell: 'echo "$F" >> first', env: {F: "@<pop.item>"}}}
        - {name: second, type: exec, params: {dependsOn: first}, payload: {shell: 'test -e "ok-$F"', env: {F: "@<pop.item>"}}}
        - {name: tidy, type: exec, params: {finally: true}, payload: {shell: 'echo "$F" >> tidy', env: {F: "@<pop.item>"}}}
"#,
    );
    bench.write("ok-a", "");
    bench.pop(10, "run a.yaml -k");
    bench.write("ok-b", "");
    bench.pop(0, "resume last");
    assert_eq!(bench.sorted_lines("first"), ["a", "b"]);
    // the item that went on is tidied again
    assert_eq!(bench.sorted_lines("tidy"), ["a", "b", "b"]);
}

/// An agenda that uses a file, which uses another one.
fn reuse() -> Bench {
    let bench = Bench::with_agenda(
        r#"
inputs: {who: {default: world}}
operations:
  - name: each
    type: agenda
    params: {forEach: [x, y]}
    payload: {agenda: lib/greet.yaml, inputs: {name: "@<pop.item>-@<pop.inputs::/who>"}}
  - {name: all, type: exec, payload: {shell: 'cat > all; test -e ok', stdin: "@<each.out>"}}
"#,
    );
    bench.write(
        "lib/greet.yaml",
        r#"
inputs: {name: {type: string}, times: {type: integer, default: 2, maximum: 3}}
operations:
  - {name: hi, type: exec, payload: {shell: 'echo "hi $N $T"', env: {N: "@<pop.inputs::/name>", T: "@<pop.inputs::/times>"}, capture: text}}
  - {name: more, type: agenda, payload: {agenda: loud.yaml, inputs: {text: "@<hi.out::/stdout>"}}}
result: {said: "@<more.out>"}
"#,
    );
    bench.write(
        "lib/loud.yaml",
        r#"
inputs: {text: {}}
operations: [{name: tr, type: exec, payload: {command: [tr, a-z, A-Z], stdin: "@<pop.inputs::/text>", capture: text}}]
result: "@<tr.out::/stdout>"
"#,
    );
    bench
}

#[test]
fn agendas_in_files_have_inputs_and_are_frozen_with_the_run() {
    let bench = reuse();
    let expected = r#"[{"said":"HI X-WORLD 2"},{"said":"HI Y-WORLD 2"}]"#;
    bench.pop(10, "run a.yaml");
    assert_eq!(bench.read("all"), expected);
    bench.write("ok", "");
    bench.write("lib/loud.yaml", "operations: [{name: other, type: sample}]");
    let resumed = bench.pop(0, "resume last").stderr;
    assert!(resumed.contains("lib/loud.yaml"), "{resumed}");
    assert_eq!(bench.read("all"), expected);
    bench.pop(0, "show last each#1/more/tr");
}

#[test]
fn faults_of_an_agenda_in_a_file_have_its_place() {
    let bench = reuse();
    bench.write(
        "a.yaml",
        "operations:\n  - {name: a, type: agenda, payload: {agenda: lib/greet.yaml, inputs: {times: 5, nam: x}}}\n  - {name: b, type: agenda, payload: {agenda: lib/none.yaml}}\n",
    );
    bench.write(
        "lib/loud.yaml",
        "operations:\n  - {name: tr, type: exec, payload: {command: [tr, '@<tt.out>']}}\n  - {name: again, type: agenda, payload: {agenda: greet.yaml}}\n",
    );
    let checked = bench.pop(3, "check a.yaml --output json").json();
    let found: Vec<String> = checked
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            let text = |key: &str| fault[key].as_str().unwrap_or_default().to_owned();
            format!("{}:{} {}: {}", text("file"), fault["line"], text("code"), text("message"))
        })
        .map(|line| line.replace(&bench.path("").display().to_string(), ""))
        .collect();
    assert_eq!(
        found,
        [
            "a.yaml:2 missing-input: operation `a` gives no value to input `name` of `lib/greet.yaml`",
            "a.yaml:2 wrong-input: input `times` of `lib/greet.yaml` must be at most 3, not `5`",
            "a.yaml:2 unknown-input: `nam` is not an input of `lib/greet.yaml`",
            "a.yaml:3 unreadable: cannot read the agenda `lib/none.yaml`: No such file or directory (os error 2)",
            "lib/greet.yaml:5 unknown-input: `text` is not an input of `lib/loud.yaml`",
            "lib/loud.yaml:2 unknown-reference: operation `tr` refers to `tt`, which is not in this agenda",
            "lib/loud.yaml:3 cycle: `lib/greet.yaml` uses itself, directly or through another agenda",
        ]
    );
}
