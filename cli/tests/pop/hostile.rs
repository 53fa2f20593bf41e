//! Hostile inputs: one test for each row about them in docs/faults.md.

use crate::bench::{Bench, Ended};
use pop_field_retriever::payload::{PayloadRule, encode};
use rustix::process::Signal;
use std::fmt::Write as _;
use std::fs::File;

const TOUCH: &str = "  - {name: side, type: exec, payload: {command: [touch, side]}}\n";

/// Runs a file that must be refused for this reason, in two gigabytes.
fn refused(bench: &Bench, file: &str, code: &str) -> Ended {
    let ended = bench.call("run").argument(file).within_two_gigabytes().ends(3);
    assert!(ended.stderr.starts_with(&format!("error[{code}]: ")), "{file}: {}", ended.stderr);
    assert!(ended.stderr.ends_with("nothing was started (exit 3)\n"), "{file}: {}", ended.stderr);
    assert!(ended.stderr.len() < 4_000, "{file}: a fault of a large file is told in few words");
    assert_eq!(ended.stdout, "");
    assert!(!bench.has(".pop") && !bench.has("side"), "{file}");
    ended
}

fn refused_text(file: &str, text: impl AsRef<[u8]>, code: &str) -> Ended {
    let bench = Bench::new();
    bench.write(file, text);
    refused(&bench, file, code)
}

#[test]
fn f32_cycle_is_refused_with_path_and_places() {
    let text = "operations:\n  - {name: a, type: sample, params: {dependsOn: c}}\n  - {name: b, type: exec, payload: \
                {command: [echo, '@<a.out>']}}\n  - {name: c, type: sample, params: {dependsOn: [side, b]}}\n"
        .to_owned();
    let said = refused_text("a.yaml", text + TOUCH, "cycle").stderr;
    insta::assert_snapshot!(said, @r"
    error[cycle]: operations depend on each other in a cycle: a -> c -> b -> a
     --> a.yaml:2:49
      |
    2 |   - {name: a, type: sample, params: {dependsOn: c}}
      |                                                 ^ `a` depends on `c`
    3 |   - {name: b, type: exec, payload: {command: [echo, '@<a.out>']}}
      |                                                      -------- `b` depends on `a`
    4 |   - {name: c, type: sample, params: {dependsOn: [side, b]}}
      |                                                        - `c` depends on `b`

    1 fault in a.yaml; nothing was started (exit 3)
    ");
    let own = "operations:\n  - {name: a, type: sample, params: {dependsOn: a}}\n  - {name: b, type: sample, payload: \
               '@<b.out>'}\n";
    let said = refused_text("a.yaml", own.to_owned() + TOUCH, "cycle").stderr;
    assert!(said.contains("operation `a` depends on itself") && said.contains("a.yaml:2:49"), "{said}");
    assert!(said.contains("operation `b` depends on itself") && said.contains("a.yaml:3:39"), "{said}");
}

#[test]
fn f33_names_equal_on_a_file_system_collide() {
    for (one, other, words) in [
        ("probe", "probe", "two operations have the name `probe`"),
        ("probe", "PROBE", "differ only in letter case or Unicode form"),
        ("\u{e9}", "e\u{301}", "differ only in letter case or Unicode form"),
    ] {
        let text =
            format!("operations:\n  - {{name: {one}, type: sample}}\n  - {{name: {other}, type: sample}}\n");
        let said = refused_text("a.yaml", text + TOUCH, "duplicate-name").stderr;
        assert!(said.contains(words) && said.contains("a.yaml:3:12"), "{said}");
        assert!(said.contains("the other operation"), "{said}");
    }
}

#[test]
fn f34_unknown_reference_is_refused_with_a_suggestion() {
    for (fields, code, words) in [
        ("type: exce", "unknown-type", "did you mean `exec`?"),
        ("type: sample, payload: '@<sde.out>'", "unknown-reference", "did you mean `side`?"),
        ("type: sample, payload: '@<maybe.out::/x>'", "no-fallback", "may be skipped"),
        ("type: sample, payload: '@<asks.out>'", "no-fallback", "may be skipped"),
        ("type: sample, params: {finally: true}, payload: '@<side.out>'", "no-fallback", "may have failed"),
        ("type: sample, params: {dependsOn: side.faild}", "unknown-outcome", "did you mean `side.failed`?"),
        (
            "type: sample, params: {dependsOn: [side.failed, side.skipped]}",
            "contradiction",
            "exclude each other",
        ),
    ] {
        let text = format!(
            "operations:\n  - {{name: maybe, type: sample, params: {{onFail: SKIP}}}}\n  - {{name: asks, type: sample, params: \
             {{dependsOn: side.failed}}}}\n  - {{name: a, {fields}}}\n{TOUCH}"
        );
        assert!(refused_text("a.yaml", text, code).stderr.contains(words), "{fields}");
    }
}

#[test]
fn f35_names_unfit_for_files_and_pods_are_refused() {
    for (name, words) in [
        ("../x".to_owned(), "begins with a letter or digit, not with '.'"),
        ("a/b".to_owned(), "not '/'"),
        ("-rf".to_owned(), "not with '-'"),
        ("x".repeat(300), "at most 128 characters; this one has 300"),
        ("a\\u0007".to_owned(), "not '\\u{7}'"),
        ("a\\nb".to_owned(), "not '\\n'"),
        (String::new(), "must not be empty"),
        ("a ".to_owned(), "does not end with a space"),
    ] {
        let text = format!("{{\"operations\": [{{\"name\": \"{name}\", \"type\": \"sample\"}}]}}");
        let said = refused_text("a.json", text, "bad-name").stderr;
        assert!(said.contains(words), "{said}");
    }
    // every other name runs, and its log is found under that name
    let bench = Bench::with_agenda(
        "operations:\n  - {name: CON 影片.1, type: exec, payload: {command: [echo, hi]}}\n",
    );
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.call("logs last").argument("CON 影片.1").ends(0).stdout, "==> CON 影片.1 <==\nhi\n");
}

#[test]
fn f36_yaml_bombs_and_depth_are_refused_in_little_memory() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let previous = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", vec![previous; 10].join(",")).unwrap();
    }
    refused_text("bomb.yaml", bomb + "operations: *a11\n", "too-large");
    let long = format!("title: &t {}\noperations:\n{}", "x".repeat(100_000), "  - *t\n".repeat(20_000));
    refused_text("quadratic.yaml", long, "too-large");
    let anchors: String = (0..100_000).fold("operations:\n".to_owned(), |mut text, number| {
        writeln!(text, "  - &a{number} x").unwrap();
        text
    });
    refused_text("anchors.yaml", anchors, "too-large");
    let deep = 200_000;
    for (file, text) in [
        ("deep.json", format!("{{\"operations\": {}{}}}", "[".repeat(deep), "]".repeat(deep))),
        ("open.json", "[".repeat(deep)),
        ("maps.json", "{\"a\":".repeat(deep)),
        ("deep.yaml", format!("operations: {}", "[".repeat(deep))),
        ("list.yaml", format!("operations:\n  {}\n", "- ".repeat(deep))),
    ] {
        refused_text(file, text, "too-deep");
    }
    let said = refused_text("column.json", format!("{}{}", " ".repeat(1_000), "["), "syntax").stderr;
    assert!(said.contains("--> column.json:1:1001\n"), "{said}");
}

#[test]
fn f36_gigabyte_file_and_endless_stream_are_refused() {
    let bench = Bench::new();
    File::create(bench.path("huge.yaml")).unwrap().set_len(1 << 30).unwrap();
    let said = refused(&bench, "huge.yaml", "too-large").stderr;
    assert!(said.contains("more than 268435456 bytes"), "{said}");
}

#[test]
fn f90_endless_agenda_is_refused_and_silent_pipe_waits() {
    let bench = Bench::new();
    std::fs::File::create(bench.path("sparse")).unwrap().set_len(1 << 40).unwrap();
    let said = refused(&bench, "sparse", "too-large").stderr;
    assert!(said.contains("more than 268435456 bytes"), "{said}");
    refused(&bench, "/dev/zero", "unreadable");
    let ended = bench.call("run -").after("exec < /dev/zero; ulimit -v 2097152").ends(3);
    assert!(ended.stderr.contains("more than 268435456 bytes"), "{}", ended.stderr);
    bench.fifo("never");
    let running = bench.call("run -").after("exec 3<> never < never").spawn();
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 143);
    assert!(!bench.has(".pop"));
}

#[test]
fn f36_yaml_values_are_read_without_surprises() {
    let bench = Bench::new();
    let agenda = "\u{feff}operations:\r\n  - &one\r\n    name: NO\r\n    type: exec\r\n    payload: {command: [echo, NO, \
                  yes, off, 0755, 1_000, 12:30:00, 2024-01-01], capture: text}\r\n  - <<: *one\r\n    name: Y\r\n";
    bench.write("a.yaml", agenda);
    bench.pop(0, "run a.yaml");
    for name in ["NO", "Y"] {
        let said = bench.operation(name)["result"]["stdout"].clone();
        assert_eq!(said, "NO yes off 0755 1_000 12:30:00 2024-01-01", "{name}");
    }
    let said =
        refused_text("a.yaml", "operations:\n  - name: a\n    type: x\n    name: b\n", "duplicate-key")
            .stderr;
    assert!(said.contains("a.yaml:4:5") && said.contains("first on line 2"), "{said}");
    refused_text("a.yaml", "operations:\n\t- {name: a}\n", "syntax");
}

#[test]
fn f37_payload_bomb_is_refused_in_bounded_memory() {
    let bench = Bench::new();
    let variables = encode(&" ".repeat(300 << 20), PayloadRule::Compressed).unwrap();
    let call = bench.call("run").within_two_gigabytes();
    let call = variables.iter().fold(call, |call, (name, value)| call.variable(name, value));
    let ended = call.ends(4);
    insta::assert_snapshot!(ended.screen(), @r"
    exit 4
    --- stderr
    error: compressed payload inflates to more than 268435456 bytes
    hint: pass a smaller payload, or raise the limit
    ");
    assert!(!bench.has(".pop"));
}

#[test]
fn f38_f39_archives_and_artifacts_do_not_exist_in_this_version() {
    // a result is a JSON value and nothing is unpacked or collected, so there is nothing to escape from; what
    // would ask for it is an unknown field, which is told
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, artifacts: [../x.tar], payload: {command: ['true']}}\n",
    );
    let said = bench.pop(0, "run a.yaml").stderr;
    assert!(said.contains("warning[unknown-field]") && said.contains("`artifacts`; it is ignored"), "{said}");
}

#[test]
fn f40_shell_characters_arrive_as_they_are_written() {
    let bench = Bench::new();
    let nasty = "$(touch x); * `touch x` | > x & \\ ' \" ${HOME} ~ !!";
    let agenda = serde_json::json!({"operations": [
        {"name": "a", "type": "exec", "payload": {"command": ["printf", "%s", nasty], "capture": "text"}},
        {"name": "b", "type": "exec", "payload": {"command": ["printf", "%s", "<@<a.out::/stdout>>"], "capture": "text"}},
    ]});
    bench.write("a.json", agenda.to_string());
    bench.pop(0, "run a.json");
    assert_eq!(bench.operation("a")["result"]["stdout"], nasty);
    assert_eq!(bench.operation("b")["result"]["stdout"], format!("<{nasty}>"));
    assert!(!bench.has("x"));
}

#[test]
fn f41_ten_thousand_items_run_as_operations() {
    let items: Vec<u32> = (0..10_000).collect();
    let bench = Bench::new();
    bench.write(
        "a.json",
        serde_json::json!({"operations": [
            {"name": "list", "type": "sample", "payload": {"resultPayload": {"items": items, "none": []}}},
            {"name": "each", "type": "sample", "params": {"forEach": "@<list.out::/items>", "maxParallel": 8},
             "payload": {"resultPayload": "@<pop.item>"}},
            {"name": "none", "type": "sample", "params": {"forEach": "@<list.out::/none>"}},
            {"name": "all", "type": "sample", "payload": {"resultPayload": ["@<each.out>", "@<none.out>"]}},
        ]})
        .to_string(),
    );
    bench.call("run a.json").within_two_gigabytes().ends(0);
    assert_eq!(bench.operation("all")["result"], serde_json::json!([items, []]));
    // a value that is not a list fails when it is known; in the agenda, before anything starts
    bench.write("b.json", bench.read("a.json").replace("::/none", "::/items/0"));
    let said = bench.pop(10, "run b.json").stderr;
    assert!(
        said.contains("[reference] `forEach` needs a list, not a number: \"@<list.out::/items/0>\""),
        "{said}"
    );
    let text = "operations:\n  - {name: a, type: sample, params: {forEach: 3}}\n".to_owned() + TOUCH;
    let said = refused_text("a.yaml", text, "wrong-type").stderr;
    assert!(said.contains("`forEach` must be a list, or a reference to one, not a number"), "{said}");
}

#[test]
fn f42_generated_operations_are_checked_like_an_agenda() {
    let agenda = "operations:\n  - name: plan\n    type: exec\n    params: {agenda.operation.generator: {operationsJsonPointer: /stdout}}\n    \
                  payload: {command: [cat, more.json], capture: json}\n  - {name: size, type: sample, payload: {resultPayload: 7}}\n  \
                  - {name: later, type: sample, params: {dependsOn: plan}}\n";
    let bench = Bench::with_agenda(agenda);
    let more = serde_json::json!([
        {"name": "x", "type": "sample", "payload": {"resultPayload": "@<size.out>"}},
        {"name": "y", "type": "sample", "payload": {"resultPayload": "@<x.out>"}},
    ]);
    bench.write("more.json", more.to_string());
    bench.pop(0, "run a.yaml");
    assert_eq!(
        (bench.operation("y")["result"].as_u64(), bench.shown()["operations"].as_array().unwrap().len()),
        (Some(7), 5)
    );
    let path = bench.run_folder().join("journal");
    let journal = std::fs::read_to_string(&path).unwrap();
    // the run resumes from any cut, and each generated operation exists once
    let until = journal.find("\"PlanGrown\"").unwrap();
    let until = until + journal[until..].find('\n').unwrap() + 1;
    std::fs::write(&path, &journal[..until]).unwrap();
    bench.pop(0, "resume last");
    assert_eq!(
        (bench.operation("y")["result"].as_u64(), bench.shown()["operations"].as_array().unwrap().len()),
        (Some(7), 5)
    );
    for (wrong, words) in [
        (r#"[{"name": "Size", "type": "sample"}]"#, "`Size`"),
        (r#"[{"name": "x", "type": "smaple"}]"#, "which no handler serves"),
        (r#"[{"name": "x", "type": "sample", "payload": "@<nobody.out>"}]"#, "not in this agenda"),
        (r#"[{"name": "x", "type": "sample", "payload": "@<x.out>"}]"#, "`x` depends on itself"),
        (r#"{"name": "x"}"#, "must be a list of operations, not a map"),
    ] {
        bench.write("more.json", wrong);
        bench.pop(10, "run a.yaml");
        let told = &bench.operation("plan")["diagnosticEvents"][0];
        assert_eq!(told["statusCode"], "generated");
        assert!(told["message"].as_str().unwrap().contains(words), "{told}");
    }
}

#[test]
fn f41_f42_f43_lists_generators_and_patterns_are_bounded() {
    // an empty list succeeds; null and other values fail with a reason; nothing hangs
    let bench = Bench::with_agenda(
        "operations:\n  - {name: none, type: sample, params: {forEach: []}}\n  - {name: list, type: sample, payload: \
         {resultPayload: {n: null, m: {k: 1}}}}\n  - {name: null-list, type: sample, params: {forEach: '@<list.out::/n>'}}\n  \
         - {name: map-list, type: sample, params: {forEach: '@<list.out::/m>'}}\n",
    );
    bench.pop(10, "run a.yaml --keep-going");
    assert_eq!(bench.operation("none")["result"], serde_json::json!([]));
    for (name, kind) in [("null-list", "null"), ("map-list", "a map")] {
        let said = bench.operation(name)["diagnosticEvents"][0]["message"].to_string();
        assert!(said.contains(&format!("`forEach` needs a list, not {kind}")), "{said}");
    }
    // a generator that generates itself ends at the limit, because its name exists already
    let again = "{name: g, type: updateAgenda, params: {agenda.operation.generator: {operationsJsonPointer: /operations}}, \
                 payload: {operations: [{name: g, type: sample}]}}";
    let bench = Bench::with_agenda(&format!("operations:\n  - {again}\n"));
    bench.pop(10, "run a.yaml");
    let said = bench.operation("g")["diagnosticEvents"][0]["message"].to_string();
    assert!(said.contains("two operations have the name `g`"), "{said}");
    // a pattern that is nested without end is refused before anything runs
    let deep = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
    let text =
        format!("operations:\n  - name: a\n    type: sample\n    params: {{skipPattern: '{deep}'}}\n{TOUCH}");
    refused_text("a.yaml", text, "bad-expression");
}

#[test]
fn f44_a_hundred_thousand_operations_are_checked() {
    let bench = Bench::new();
    let mut text = "operations:\n  - {name: o0, type: sample}\n".to_owned();
    for number in 1..100_000 {
        writeln!(text, "  - {{name: o{number}, type: sample, payload: '@<o{}.out>'}}", number / 2).unwrap();
    }
    bench.write("a.yaml", &text);
    let ended = bench.call("check a.yaml").within_two_gigabytes().ends(0);
    assert_eq!(ended.stderr, "a.yaml: 100000 operations, no faults\n");
    // a fault of all of them is reported briefly, at constant cost
    let wrong = |types: &str, next: &dyn Fn(usize) -> String| {
        let operations: Vec<_> = (0..100_000)
            .map(|number| {
                format!(
                    "{{\"name\": \"o{number}\", \"type\": \"{types}\", \"payload\": \"@<{}.out>\"}}",
                    next(number)
                )
            })
            .collect();
        format!("{{\"operations\": [\n{}\n]}}", operations.join(",\n"))
    };
    let circle = wrong("sample", &|number| format!("o{}", (number + 1) % 100_000));
    let said = refused_text("circle.json", circle, "cycle").stderr;
    assert!(said.contains("o0 -> o1 -> ") && said.contains("o19 -> ... -> o0"), "{said}");
    bench.write("b.json", wrong("smple", &|number| format!("x{number}")));
    let said = bench.call("check b.json").within_two_gigabytes().ends(3).stderr;
    assert_eq!(said.matches("error[").count(), 100);
    assert!(
        said.contains("... and 199900 more faults; `pop check --output json` lists all of them"),
        "{said}"
    );
    assert!(said.ends_with("200000 faults in b.json; nothing was started (exit 3)\n"), "{said}");
}
