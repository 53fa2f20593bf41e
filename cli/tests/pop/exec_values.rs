//! Values on their way into commands: standard input, spread lists, JSON, files, scripts, and payloads of handlers.

use crate::bench::Bench;
use crate::docker::{IMAGE, engine};
use serde_json::{Value, json};

const VALUES: &str = r#"
operations:
  - {name: list, type: exec, payload: {command: [printf, 'one\ntwo  words\n"3"\n'], capture: lines}}
  - {name: spread, type: exec, payload: {command: [printf, '<%s>', {spread: "@<list.out::/stdout>"}, end], capture: raw, image: IMAGE}}
  - {name: json, type: exec, payload: {command: [sh, -c, 'echo "$1$J"', x, {json: "@<list.out>"}], env: {J: {json: "@<list.out::/exitCode>"}}, capture: text, image: IMAGE}}
  - {name: file, type: exec, payload: {command: [sh, -c, 'cat "$1" "$F"; ls -l "$1" | cut -c1-10', x, {file: "@<list.out::/stdout>"}], env: {F: {file: "text\n"}}, capture: text, image: IMAGE}}
  - {name: input, type: exec, payload: {command: [cat], stdin: "@<list.out>", capture: json, image: IMAGE}}
  - {name: lines, type: exec, payload: {command: [wc, -c], stdin: "two\n", capture: text, image: IMAGE}}
  - {name: empty, type: exec, payload: {command: [cat], capture: raw, image: IMAGE}}
  - name: script
    type: exec
    payload:
      image: IMAGE
      env: {VALUE: "a 'b' $(touch never) ; \" *"}
      capture: raw
      shell: |
        printf '%s|' "$VALUE" "@<pop.at><x>"
"#;

fn check_values(bench: &Bench) {
    let out = |name: &str| bench.operation(name)["result"]["stdout"].clone();
    assert_eq!(out("spread"), json!("<one><two  words><\"3\"><end>"));
    assert_eq!(out("json"), json!(r#"{"exitCode":0,"stdout":["one","two  words","\"3\""]}0"#));
    assert_eq!(out("file"), json!("[\"one\",\"two  words\",\"\\\"3\\\"\"]text\n-rw-------"));
    assert_eq!(out("input"), json!({"exitCode": 0, "stdout": ["one", "two  words", "\"3\""]}));
    assert_eq!(out("lines").as_str().map(str::trim), Some("4"));
    assert_eq!(out("empty"), json!(""));
    assert_eq!(out("script"), json!("a 'b' $(touch never) ; \" *|@<x>|"));
    assert!(!bench.has("never"));
}

#[test]
fn values_reach_a_command_in_every_form() {
    let bench = Bench::with_agenda(&VALUES.replace("IMAGE", "none"));
    bench.pop(0, "run a.yaml");
    check_values(&bench);
}

#[test]
fn values_reach_a_container_in_every_form() {
    engine();
    let list = "capture: lines}}\n";
    let in_image = VALUES.replacen(list, "capture: lines, image: IMAGE}}\n", 1);
    let bench = Bench::with_agenda(&in_image.replace("IMAGE", IMAGE));
    bench.pop(0, "run a.yaml --on docker");
    check_values(&bench);
}

#[test]
fn fr_c3_a_value_of_any_length_reaches_a_command_as_file_or_standard_input() {
    let bench = Bench::with_agenda(
        r#"
operations:
  - {name: big, type: exec, payload: {command: [sh, -c, "head -c 300000 /dev/zero | tr '\\0' x"], capture: text}}
  - {name: file, type: exec, payload: {command: [wc, -c, {file: "@<big.out::/stdout>"}], capture: text}}
  - {name: stdin, type: exec, payload: {command: [wc, -c], stdin: "@<big.out::/stdout>", capture: text}}
  - {name: argument, type: exec, params: {onFail: SKIP}, payload: {command: [echo, "@<big.out::/stdout>"]}}
"#,
    );
    bench.pop(0, "run a.yaml");
    for name in ["file", "stdin"] {
        let printed = bench.operation(name)["result"]["stdout"].as_str().unwrap().trim().to_owned();
        assert!(printed.starts_with("300000"), "{printed}");
    }
    let said = bench.pop(0, "explain last argument").stdout;
    assert!(said.contains("has 300000 bytes") && said.contains("`{file: …}`"), "{said}");
}

#[test]
fn check_judges_values_of_commands_by_type() {
    let head = "operations:\n  - {name: l, type: exec, payload: {command: [ls], capture: lines}}\n  \
                - {name: t, type: exec, payload: {command: [ls], capture: text}}\n  \
                - {name: j, type: exec, payload: {command: [ls], capture: json}}\n";
    let check = |payload: &str, code: i32| {
        let bench = Bench::with_agenda(&format!("{head}  - {{name: a, type: exec, payload: {payload}}}\n"));
        bench.pop(code, "check a.yaml").stderr
    };
    for (payload, words) in [
        (
            r#"{command: [echo, "@<l.out::/stdout>"]}"#,
            "error[does-not-fit]: `@<l.out::/stdout>` does not fit item 2 of `command` of operation `a`: it is a list",
        ),
        (r#"{command: [echo, "@<l.out::/stdout>"]}"#, "help: `{spread: …}` is one argument for each item"),
        (r#"{command: [echo, "x@<l.out::/stdout>"]}"#, "error[does-not-fit]"),
        (r#"{command: [echo], env: {A: "@<l.out::/stdout>"}}"#, "help: `{json: …}` is the value as JSON"),
        (
            r#"{command: [echo, {spread: "@<t.out::/stdout>"}]}"#,
            "does not fit `spread` of operation `a`: it is text, not a list",
        ),
        (
            r#"{command: "@<t.out::/stdout>"}"#,
            "does not fit `command` of operation `a`: it is text, not a list",
        ),
        (
            r#"{command: [echo, "@<t.out::/stdot>"]}"#,
            "error[no-such-part]: the result of `t` has no `/stdot`",
        ),
        (r#"{command: [echo, "@<t.out::/stdot>"]}"#, "did you mean `stdout`?"),
        (r#"{command: [echo, "@<t.out::/stdout/x>"]}"#, "error[no-such-part]"),
        (
            r#"{shell: "echo @<t.out::/stdout>"}"#,
            "error[reference-in-script]: `shell` of operation `a` cannot contain the reference `@<t.out::/stdout>`",
        ),
        (
            r#"{shell: "echo @<t.out::/stdout>"}"#,
            r#"help: add `env: {VALUE: "@<t.out::/stdout>"}` to the payload and write "$VALUE" in the script"#,
        ),
        (r#"{command: [git, log, "--format=@<%an>"]}"#, "write its `@` as `@<pop.at>`: `@<pop.at><%an>`"),
        (
            r#"{command: [echo, 3.10, {json: 3.10}]}"#,
            "error[unquoted]: `3.10` would become `3.1` as an argument of operation `a`",
        ),
        (r#"{command: [cat], stdin: 3.10}"#, "error[unquoted]: `3.10` would become `3.1` as standard input"),
        (
            r#"{command: "echo hi; ls"}"#,
            r#"help: write `shell: "echo hi; ls"`, or `command: [sh, -c, "echo hi; ls"]`"#,
        ),
    ] {
        let said = check(payload, 3);
        assert!(said.contains(words), "{words}: {said}");
        assert!(said.contains("1 fault in a.yaml"), "{said}");
    }
    for payload in [
        r#"{command: [echo, "@<l.out::/stdout/3>", "@<j.out::/stdout/w>", "@<t.out::/stdout>", {spread: "@<l.out::/stdout>"}]}"#,
        r#"{command: [echo, {json: "@<l.out>"}, {json: 3.10}], stdin: "@<l.out>", env: {A: {file: "@<l.out>"}}}"#,
    ] {
        let said = check(payload, 0);
        assert_eq!(said, "a.yaml: 4 operations, no faults\n");
    }
}

#[test]
fn a_launcher_without_files_of_this_machine_refuses_them_before_the_run() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, payload: {command: [cat], image: i, stdin: x}}\n  \
         - {name: b, type: exec, payload: {command: [cat, {file: x}], image: i}}\n  \
         - {name: c, type: exec, payload: {command: [echo, {json: x}], image: i}}\n",
    );
    let said = bench.pop(3, "check a.yaml --on kubernetes").stderr;
    assert!(
        said.contains("error[not-launchable]: operation `a` needs a file of this machine for `stdin`"),
        "{said}"
    );
    assert!(said.contains("2 faults in a.yaml"), "{said}");
    bench.pop(0, "check a.yaml --on docker");
}

#[test]
fn fr_c3_a_registry_entry_chooses_how_its_payload_arrives() {
    let operation = |name: &str| json!({"name": name, "type": name, "payload": {"n": 7}});
    let operations = ["environment", "file", "stdin", "any"].map(operation);
    let bench = Bench::new();
    bench.write("a.json", json!({"operations": operations}).to_string());
    bench.program(
        "show",
        "#!/bin/sh\nread -r line\necho \"$1 [$line] [$PAYLOAD] [$POP_PAYLOAD_TYPE] [$(cat \"${POP_PAYLOAD_FILE:-/dev/null}\")]\" >> seen\n",
    );
    let entry = |delivery: &str| json!({"command": ["./show", delivery], "payload": delivery});
    let registry = json!({"environment": entry("environment"), "file": entry("file"), "stdin": entry("stdin"),
        "any": {"command": ["./show", "any"]}});
    bench.write("registry.json", registry.to_string());
    bench.pop(0, "run a.json");
    let payload = r#"{"n":7}"#;
    assert_eq!(
        bench.sorted_lines("seen"),
        [
            format!("any [] [{payload}] [envVar] []"),
            format!("environment [] [{payload}] [envVar] []"),
            format!("file [] [] [file] [{payload}]"),
            format!("stdin [{payload}] [] [] []"),
        ]
    );
    let shown = bench.pop(0, "handlers --registry registry.json show stdin").stdout;
    assert!(shown.contains("payload") && shown.contains("stdin"), "{shown}");
    let mut wrong: Value = registry;
    wrong["file"]["payload"] = json!("fiel");
    bench.write("registry.json", wrong.to_string());
    let said = bench.pop(4, "run a.json").stderr;
    assert!(said.contains("`payload` must be environment, file or stdin, not `fiel`"), "{said}");
    assert!(said.contains("did you mean `file`?"), "{said}");
}
