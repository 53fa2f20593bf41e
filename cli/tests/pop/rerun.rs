//! `pop rerun`: a new run that reuses the unchanged results of an earlier one.

use crate::bench::Bench;
use std::fs;

/// A program that appends its first argument to `ran` and prints the second one.
const PROGRAM: &str = "#!/bin/sh\necho \"$1\" >> ran\nprintf '%s' \"$2\"\n[ ! -e \"broken-$1\" ]\n";

/// A folder with the program and an agenda of these operations.
fn bench(operations: &[String]) -> Bench {
    let bench = Bench::new();
    bench.program("op.sh", PROGRAM);
    write(&bench, operations);
    bench
}

fn write(bench: &Bench, operations: &[String]) {
    bench.write("a.yaml", format!("operations:\n{}", operations.concat()));
}

/// An operation that prints a text.
fn operation(name: &str, text: &str, params: &str) -> String {
    format!(
        "  - {{name: {name}, type: exec, params: {{{params}}}, \
         payload: {{command: [./op.sh, {name}, \"{text}\"], capture: text}}}}\n"
    )
}

/// The operations that ran since the last call, in order of their names.
fn ran(bench: &Bench) -> Vec<String> {
    let names = bench.sorted_lines("ran");
    bench.write("ran", "");
    names
}

/// The line of `pop explain` about reuse.
fn reuse(bench: &Bench, run: &str, operation: &str) -> String {
    let ended = bench.call("explain").argument(run).argument(operation).ends(0);
    let line = ended.stdout.lines().find_map(|line| line.strip_prefix("  reused    "));
    ended.steady(line.unwrap_or("no line"))
}

#[test]
fn edited_operation_of_thirty_runs_with_what_depends_on_it() {
    let agenda = |text: &str| -> Vec<String> {
        let plain = (0..25).map(|index| operation(&format!("o{index}"), "x", ""));
        let others = [
            operation("edited", text, ""),
            operation("reads", "@<edited.out::/stdout>", ""),
            operation("after", "@<reads.out::/stdout>", ""),
            operation("follows", "f", "dependsOn: edited"),
            operation("last", "l", "dependsOn: [follows, o1]"),
        ];
        plain.chain(others).collect()
    };
    let bench = bench(&agenda("old"));
    bench.pop(0, "run a.yaml --run-id p");
    assert_eq!(ran(&bench).len(), 30);
    write(&bench, &agenda("new"));
    let ended = bench.pop(0, "rerun last --run-id q");
    assert_eq!(ran(&bench), ["after", "edited", "follows", "last", "reads"]);
    let said = &ended.stderr;
    assert!(said.starts_with("rerun of p: agenda `a.yaml`, changed since run p started\n"), "{said}");
    assert!(said.contains("run q: 30 operations, at most"), "{said}");
    assert!(said.contains("reused    o7: result of run p\n"), "{said}");
    assert!(said.contains("30 succeeded (25 reused)"), "{said}");
    for index in 0..25 {
        assert_eq!(reuse(&bench, "q", &format!("o{index}")), "from run p: nothing has changed");
    }
    insta::assert_snapshot!(reuse(&bench, "q", "edited"), @"no: changed: payload /command/2 (compared with run p)");
    insta::assert_snapshot!(reuse(&bench, "q", "reads"), @"no: changed: payload /command/2 (compared with run p)");
    insta::assert_snapshot!(reuse(&bench, "q", "follows"), @"no: `edited`, which it follows without reading its result, ran again (compared with run p)");
    insta::assert_snapshot!(reuse(&bench, "q", "last"), @"no: `follows`, which it follows without reading its result, ran again (compared with run p)");
    let shown = bench.pop(0, "show q --output json").json();
    assert_eq!(shown["rerunOf"], "p");
    assert_eq!(
        (&shown["operations"][3]["reusedFrom"], &shown["operations"][3]["result"]["stdout"]),
        (&"p".into(), &"x".into())
    );
    assert_eq!(shown["operations"][25]["reusedFrom"], serde_json::Value::Null);
    let explained = bench.pop(0, "explain q o3 --output json").json();
    assert_eq!((&explained["reuse"]["parent"], &explained["reuse"]["run"]), (&"p".into(), &"p".into()));
    assert_eq!(explained["reason"], "succeeded: the result of run p was reused");
    let explained = bench.pop(0, "explain q edited --output json").json();
    assert_eq!(explained["reuse"]["reason"], "changed: payload /command/2");
    assert!(bench.pop(0, "runs").stdout.contains("a.yaml (rerun of p)"));
    assert_eq!(bench.pop(0, "runs -n 1 --output json").json()[0]["rerunOf"], "p");
    assert!(bench.pop(0, "show q").stdout.contains("\nrerun of p\n"));

    // the reader of an equal result is reused, and the run in which it ran is named; an operation that only follows runs again
    let ended = bench.pop(0, "rerun q edited --run-id r");
    assert_eq!(ran(&bench), ["edited", "follows", "last"]);
    assert!(ended.stderr.starts_with("rerun of q: agenda `a.yaml`, unchanged\n"), "{}", ended.stderr);
    assert_eq!(reuse(&bench, "r", "o3"), "from run p, which run q reused: nothing has changed");
    assert_eq!(reuse(&bench, "r", "reads"), "from run q: nothing has changed");
    bench.pop(0, "rerun r --from edited --run-id s");
    assert_eq!(ran(&bench), ["after", "edited", "follows", "last", "reads"]);
    bench.pop(0, "rerun r");
    assert_eq!(ran(&bench), Vec::<String>::new());
}

#[test]
fn failed_run_goes_on_with_the_mended_file() {
    let agenda = [
        operation("a", "1", ""),
        operation("b", "@<a.out::/stdout>", ""),
        operation("c", "@<b.out::/stdout>", ""),
        operation("tidy", "", "finally: true"),
    ];
    let bench = bench(&agenda);
    bench.write("broken-b", "");
    bench.pop(10, "run a.yaml --run-id p");
    assert_eq!(ran(&bench), ["a", "b", "tidy"]);
    fs::remove_file(bench.path("broken-b")).unwrap();
    bench.pop(0, "rerun p");
    assert_eq!(ran(&bench), ["b", "c", "tidy"]);
    assert_eq!(reuse(&bench, "last", "b"), "no: in that run, it failed (compared with run p)");
    assert_eq!(reuse(&bench, "last", "c"), "no: in that run, it was cancelled (compared with run p)");
    insta::assert_snapshot!(reuse(&bench, "last", "tidy"), @"no: clean-up, and what waits for a failure, runs in each run");
    // --failed names what failed, so a run in which nothing failed is refused
    let ended = bench.pop(2, "rerun last --failed");
    insta::assert_snapshot!(ended.steady(&ended.stderr), @r"
    rerun of $RUN: agenda `a.yaml`, unchanged
    error: no operation of run $RUN failed
    hint: without --failed, `pop rerun $RUN` runs what did not succeed or has changed
    ");
    bench.pop(0, "rerun p --failed");
    assert_eq!(ran(&bench), ["b", "c", "tidy"]);
}

#[test]
fn changed_script_input_or_missing_output_runs_again() {
    let command = |name: &str, words: &str| {
        format!("  - {{name: {name}, type: exec, payload: {{command: {words}}}}}\n")
    };
    let bench = Bench::new();
    bench.write("one.sh", "echo one >> ran\n");
    bench.write("in.txt", "1");
    let agenda = [
        command("script", "[sh, one.sh]"),
        command("line", "[sh, -c, 'sh ./one.sh; exit 0']"),
        command("input", "[grep, -q, '1', in.txt]"),
        command("output", "[cp, in.txt, out.txt]"),
        command("env", "[sh, -c, 'test \"$X\" = in.txt'], env: {X: in.txt}"),
        command("other", "['true']"),
    ];
    write(&bench, &agenda);
    bench.pop(0, "run a.yaml --run-id p");
    bench.pop(0, "rerun p --run-id q");
    assert!(bench.pop(0, "show q").stdout.contains("6 succeeded (6 reused)"));
    fs::remove_file(bench.path("out.txt")).unwrap();
    bench.write("one.sh", "echo two >> ran\n");
    bench.pop(0, "rerun q --run-id r");
    let changed = |operation: &str| reuse(&bench, "r", operation);
    assert_eq!(changed("script"), "no: file `one.sh` has changed (compared with run q)");
    assert_eq!(changed("line"), "no: file `one.sh` has changed (compared with run q)");
    assert_eq!(changed("output"), "no: `out.txt` does not exist any more (compared with run q)");
    assert_eq!(changed("input"), "from run p, which run q reused: nothing has changed");
    assert!(bench.has("out.txt"));
    bench.write("in.txt", "12");
    bench.pop(0, "rerun r --run-id s");
    let changed = |operation: &str| reuse(&bench, "s", operation);
    assert_eq!(changed("script"), "from run r: nothing has changed");
    assert_eq!(changed("input"), "no: file `in.txt` has changed (compared with run r)");
    assert_eq!(changed("env"), "no: file `in.txt` has changed (compared with run r)");
    // an output that exists before may also be an input that somebody changes while the operation runs
    bench.pop(0, "rerun s --run-id t");
    let during = "no: file `out.txt` changed while the operation ran (list it in `writes` if the operation writes it) (compared with run s)";
    assert_eq!(reuse(&bench, "t", "output"), during);
}

#[test]
fn items_of_a_list_are_reused_by_name_and_payload() {
    let agenda = |items: &str| {
        vec![
            operation("f", "@<pop.item>", &format!("forEach: {items}")),
            "  - {name: merge, type: sample, payload: {list: '@<f.out>'}}\n".to_owned(),
        ]
    };
    let bench = bench(&agenda("[a, b, c]"));
    bench.pop(0, "run a.yaml --run-id p");
    ran(&bench);
    write(&bench, &agenda("[a, x, c, d]"));
    bench.pop(0, "rerun p --run-id q");
    assert_eq!(ran(&bench), ["f", "f"]);
    assert_eq!(reuse(&bench, "q", "f#0"), "from run p: nothing has changed");
    assert_eq!(reuse(&bench, "q", "f#1"), "no: changed: payload /command/2 (compared with run p)");
    assert_eq!(reuse(&bench, "q", "f#3"), "no: that run had no such operation (compared with run p)");
    insta::assert_snapshot!(reuse(&bench, "q", "f"), @"2 of 4 parts; see for example `f#0`");
    bench.pop(0, "rerun q f#2 --run-id r");
    assert_eq!(ran(&bench), ["f"]);
    insta::assert_snapshot!(reuse(&bench, "r", "f#2"), @"no: the command line asks for it (OPERATION, --from or --failed) (compared with run q)");
}

#[test]
fn changed_handler_is_named() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: tool, payload: {n: 1}}\n  - {name: b, type: sample, payload: {n: 1}}\n",
    );
    bench.program("tool.sh", "#!/bin/sh\necho a >> ran\n");
    bench.write("registry.yaml", "tool: {command: [./tool.sh], properties: {speed: slow}}\n");
    bench.pop(0, "run a.yaml --run-id p");
    bench.write("registry.yaml", "tool: {command: [./tool.sh], properties: {speed: fast}, version: 2}\n");
    bench.pop(0, "rerun p --run-id q");
    insta::assert_snapshot!(reuse(&bench, "q", "a"), @"no: changed: version none -> `2`, handler properties (compared with run p)");
    assert_eq!(reuse(&bench, "q", "b"), "from run p: nothing has changed");
    bench.program("tool.sh", "#!/bin/sh\necho b >> ran\n");
    bench.pop(0, "rerun q --run-id r");
    insta::assert_snapshot!(reuse(&bench, "r", "a"), @"no: file `tool.sh` has changed (compared with run q)");
    assert_eq!(bench.sorted_lines("ran"), ["a", "a", "b"]);
}

#[test]
fn rerun_takes_the_recorded_inputs_and_overrides_them() {
    let inputs = "inputs:\n  width: {type: integer, default: 720}\n  mode: {type: string}\n";
    let text = operation("a", "@<pop.inputs::/width> @<pop.inputs::/mode>", "");
    let bench = Bench::new();
    bench.program("op.sh", PROGRAM);
    bench.write("a.yaml", format!("{inputs}operations:\n{text}"));
    bench.pop(0, "run a.yaml --input mode=fast --input width=480 --run-id p");
    let printed = |run: &str| {
        bench.pop(0, &format!("show {run} --output json")).json()["operations"][0]["result"]["stdout"].clone()
    };
    assert_eq!(printed("p"), "480 fast");
    bench.pop(0, "rerun p --input width=1080 --run-id q");
    assert_eq!(printed("q"), "1080 fast");
    assert_eq!(reuse(&bench, "q", "a"), "no: changed: payload /command/2 (compared with run p)");
    // an input that the agenda has no more is forgotten; an unknown one on the command line is an error
    bench.write(
        "a.yaml",
        format!(
            "inputs:\n  width: {{type: integer, default: 720}}\noperations:\n{}",
            operation("a", "@<pop.inputs::/width>", "")
        ),
    );
    bench.pop(0, "rerun q --run-id r");
    assert_eq!(printed("r"), "1080");
    bench.pop(2, "rerun q --input mode=slow");
}

#[test]
fn agenda_is_the_file_on_disk_or_the_frozen_one() {
    let agenda = |text: &str| format!("operations:\n{}", operation("a", text, ""));
    let bench = Bench::new();
    bench.program("op.sh", PROGRAM);
    bench.call("run - --run-id p").stdin(&agenda("1")).ends(0);
    let ended = bench.pop(0, "rerun p --run-id q");
    assert!(
        ended.stderr.starts_with("rerun of p: frozen agenda of run p: `<stdin>` is not a file\n"),
        "{}",
        ended.stderr
    );
    bench.write("sub/b.yaml", agenda("2"));
    let ended = bench.pop(0, "rerun q --agenda sub/b.yaml --run-id r");
    assert!(ended.stderr.starts_with("rerun of q: agenda `sub/b.yaml`\n"), "{}", ended.stderr);
    // the file of the parent is found from another folder, too, and programs start where they started
    let ended = bench.call("rerun r --runs ../.pop/runs --run-id s").after("cd sub").ends(0);
    assert!(ended.stderr.contains("/sub/b.yaml`, unchanged\n"), "{}", ended.stderr);
    assert_eq!(bench.sorted_lines("ran"), ["a", "a"]);
    assert_eq!(reuse(&bench, "s", "a"), "from run r: nothing has changed");
    fs::remove_file(bench.path("sub/b.yaml")).unwrap();
    let ended = bench.pop(0, "rerun r");
    assert!(
        ended.stderr.starts_with("rerun of r: frozen agenda of run r: `sub/b.yaml` is not a file\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn rerun_needs_its_parent_only_to_begin() {
    let agenda = [
        operation("a", "1", ""),
        operation("b", "2", "dependsOn: hold"),
        "  - {name: hold, type: exec, payload: {command: [sh, hold.sh]}}\n".to_owned(),
        operation("c", "@<a.out::/stdout>", "dependsOn: [b]"),
    ];
    let bench = bench(&agenda);
    bench.write("hold.sh", "true\n");
    bench.pop(0, "run a.yaml --run-id p");
    ran(&bench);
    bench.write("hold.sh", "echo $PPID >> pid; exec sleep 600\n");
    let running = bench.call("rerun p c --run-id q --sync each").spawn();
    bench.wait_for("pid", 1);
    running.crash();
    fs::remove_dir_all(bench.path(".pop/runs/p")).unwrap();
    bench.write("hold.sh", "true\n");
    bench.pop(0, "resume q");
    assert_eq!(reuse(&bench, "q", "a"), "from run p: nothing has changed");
    assert_eq!(ran(&bench), ["b", "c"]);
    insta::assert_snapshot!(reuse(&bench, "q", "c"), @"no: the command line asks for it (OPERATION, --from or --failed) (compared with run p)");
    // the frozen records are sealed with the other inputs
    bench.write(".pop/runs/q/inputs/parent.jsonl", "");
    bench.pop(15, "resume q");
}

#[test]
fn rerun_that_died_before_its_first_event_keeps_its_parent() {
    let bench = bench(&[operation("a", "1", ""), operation("b", "2", "")]);
    bench.pop(0, "run a.yaml --run-id p");
    bench.pop(0, "rerun p b --run-id q");
    ran(&bench);
    let journal = bench.read(".pop/runs/q/journal");
    bench.write(".pop/runs/q/journal", journal.split_inclusive('\n').next().unwrap());
    fs::remove_dir_all(bench.path(".pop/runs/p")).unwrap();
    bench.pop(0, "resume q");
    assert_eq!(ran(&bench), ["b"]);
    assert_eq!(reuse(&bench, "q", "a"), "from run p: nothing has changed");
}

#[test]
fn generated_operations_are_reused_one_by_one() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: gen, type: exec, params: {agenda.operation.generator: {operationsJsonPointer: /stdout}}, \
         payload: {command: [cat, made.json], capture: json}}\n",
    );
    bench.program("op.sh", PROGRAM);
    let made = |text: &str| {
        let one = |name: &str, text: &str| serde_json::json!({"name": name, "type": "exec", "payload": {"command": ["./op.sh", name, text]}});
        serde_json::json!([one("x", "1"), one("y", text)]).to_string()
    };
    bench.write("made.json", made("1"));
    bench.pop(0, "run a.yaml --run-id p");
    assert_eq!(ran(&bench), ["x", "y"]);
    bench.pop(0, "rerun p --run-id q");
    assert_eq!(ran(&bench), Vec::<String>::new());
    bench.write("made.json", made("2"));
    bench.pop(0, "rerun q --run-id r");
    assert_eq!(ran(&bench), ["y"]);
    assert_eq!(reuse(&bench, "r", "x"), "from run p, which run q reused: nothing has changed");
    bench.pop(0, "rerun r --from gen");
    assert_eq!(ran(&bench), ["x", "y"]);
}

#[test]
fn rerun_refuses_what_has_no_meaning() {
    let bench = bench(&[operation("probe", "1", "")]);
    bench.pop(0, "run a.yaml --run-id p");
    for (line, code) in [
        ("rerun p prob", 2),
        ("rerun p --from x", 2),
        ("rerun p --run-id p", 2),
        ("rerun nobody", 2),
        ("rerun p --payload-file a.yaml", 2),
        ("rerun p --agenda missing.yaml", 3),
    ] {
        bench.pop(code, line);
    }
    let ended = bench.pop(2, "rerun p prob");
    insta::assert_snapshot!(ended.steady(&ended.stderr), @r"
    rerun of p: agenda `a.yaml`, unchanged
    error: there is no operation `prob`
    hint: did you mean `probe`?
    ");
    bench.write("a.yaml", "operations:\n  - {name: wait, type: exec, payload: {command: [sh, -c, 'echo $PPID > pid; exec sleep 600']}}\n");
    let running = bench.call("run a.yaml --run-id r").spawn();
    bench.wait_for("pid", 1);
    let ended = bench.pop(15, "rerun r");
    insta::assert_snapshot!(ended.steady(&ended.stderr), @r"
    error: run r still runs, so its results are not complete
    hint: `pop wait r` waits for its end, `pop cancel r` ends it, and `pop resume r` continues it if its executor died
    ");
    running.crash();
}

#[test]
fn declared_files_are_compared_by_content() {
    let command = |name: &str, params: &str, script: &str| {
        format!(
            "  - {{name: {name}, type: exec, params: {{{params}}}, payload: {{command: [sh, {script}]}}}}\n"
        )
    };
    let bench = Bench::new();
    bench.write("make.sh", "echo make >> ran; echo data > made\n");
    bench.write("use.sh", "echo use >> ran; cat made > used\n");
    bench.write("end.sh", "echo end >> ran\n");
    write(
        &bench,
        &[
            command("make", "reads: src, writes: made", "make.sh"),
            command("use", "dependsOn: make, reads: made, writes: used", "use.sh"),
            command("end", "dependsOn: use", "end.sh"),
        ],
    );
    bench.write("src", "1");
    bench.write("used", "older");
    bench.pop(0, "run a.yaml --run-id p");
    assert_eq!(ran(&bench), ["end", "make", "use"]);
    // the same content at another time is no change
    bench.write("src", "1");
    bench.write("made", "data\n");
    bench.pop(0, "rerun p --run-id q");
    assert_eq!(ran(&bench), Vec::<String>::new());
    assert!(bench.pop(0, "show q use").stdout.contains("made"), "the files of a reused operation are shown");
    // `use` declares what it reads, and that is the same; `end` only follows
    bench.write("src", "2");
    bench.pop(0, "rerun q --run-id r");
    assert_eq!(ran(&bench), ["end", "make"]);
    assert_eq!(reuse(&bench, "r", "make"), "no: declared file `src` has changed (compared with run q)");
    assert_eq!(reuse(&bench, "r", "use"), "from run p, which run q reused: nothing has changed");
    fs::remove_file(bench.path("used")).unwrap();
    bench.pop(0, "rerun r --run-id s");
    assert_eq!(ran(&bench), ["end", "use"]);
    assert_eq!(reuse(&bench, "s", "use"), "no: declared file `used` is missing (compared with run r)");
}

#[test]
fn declared_output_may_change_while_its_operation_runs() {
    let bench = Bench::new();
    bench.write("in.txt", "1");
    bench.write("out.txt", "older");
    write(&bench, &["  - {name: copy, type: exec, params: {writes: out.txt}, payload: {command: [cp, in.txt, out.txt]}}\n".to_owned()]);
    bench.pop(0, "run a.yaml --run-id p");
    bench.pop(0, "rerun p --run-id q");
    assert_eq!(reuse(&bench, "q", "copy"), "from run p: nothing has changed");
}

#[test]
fn rerun_has_the_totals_of_its_parent_unless_others_are_set() {
    let bench = Bench::new();
    let line = |amount: u32| {
        format!(
            "  - {{name: a, type: exec, params: {{resources: {{gpu: {amount}}}}}, payload: {{command: [\"true\"]}}}}\n"
        )
    };
    write(&bench, &[line(2)]);
    bench.pop(0, "run a.yaml --run-id p --resources gpu=2");
    bench.pop(0, "rerun p a --run-id q");
    assert_eq!(bench.operation("a")["attempts"], 1);
    write(&bench, &[line(3)]);
    let refused = bench.pop(3, "rerun q").stderr;
    assert!(refused.contains("needs gpu 3, but the run has 2 in all"), "{refused}");
    bench.pop(0, "rerun q --resources gpu=3");
    assert_eq!(bench.shown()["resources"]["gpu"], 3);
}
