//! Tests of the payload of type `exec`.

use super::*;
use crate::exec_limits::ARGUMENT_LIMIT;
use serde_json::json;

fn texts(texts: &[&str]) -> Vec<ProgramText> {
    texts.iter().map(|text| ProgramText::Text((*text).to_owned())).collect()
}

/// Pointer, message and hint of each fault of a payload as written.
fn faults(payload: &Value) -> Vec<(String, String, String)> {
    let mut faults = Vec::new();
    ExecPayload::check(payload, Pointer::root(), &mut faults);
    let said = faults.iter().map(|fault| {
        let hint = fault.hint.clone().or_else(|| fault.label.clone()).unwrap_or_default();
        (fault.pointer().to_owned(), fault.message.clone(), hint)
    });
    said.collect()
}

#[test]
fn fr_g5_a_shell_line_is_a_fault_with_the_list_or_script_to_write() {
    for (line, hint) in [
        ("echo hi there", r#"write it as ["echo","hi","there"]"#),
        ("echo hi; ls", r#"write `shell: "echo hi; ls"`, or `command: [sh, -c, "echo hi; ls"]`"#),
        (r#"echo "a b""#, r#"write `shell: "echo \"a b\""`, or `command: [sh, -c, "echo \"a b\""]`"#),
        ("rm -rf $HOME", r#"write `shell: "rm -rf $HOME"`, or `command: [sh, -c, "rm -rf $HOME"]`"#),
    ] {
        let found = faults(&json!({"command": line}));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), found[0].2.as_str()), ("/command", hint));
    }
}

#[test]
fn fr_g5_a_shell_line_as_only_item_is_a_warning() {
    let found = faults(&json!({"command": ["ls -l | wc"]}));
    let message = "`ls -l | wc` is one item of `command`, so it is the name of a program";
    let hint = "write `shell: \"ls -l | wc\"`, or `command: [sh, -c, \"ls -l | wc\"]`";
    assert_eq!(found, [("/command/0".to_owned(), message.to_owned(), hint.to_owned())]);
    for command in [json!(["/opt/my tool"]), json!(["ls"]), json!(["echo", "a b"]), json!(["@<x.out> b"])] {
        assert_eq!(faults(&json!({"command": command})), []);
    }
}

#[test]
fn a_script_runs_in_sh_and_excludes_a_command() {
    let payload = json!({"shell": "echo $A\n", "env": {"A": 1}});
    let exec = ExecPayload::parse(&payload, &payload, Pointer::root(), &mut Vec::new()).unwrap();
    assert_eq!(exec.command, texts(&["sh", "-eu", "-c", "echo $A\n"]));
    for (payload, at, message) in [
        (json!({"shell": "ls", "command": ["ls"]}), "/shell", "`shell` and `command` exclude each other"),
        (json!({"shell": " \n"}), "/shell", "`shell` is empty"),
        (json!({"shell": ["ls"]}), "/shell", "`shell` must be text, not a list"),
        (
            json!({"shell": "x".repeat(ARGUMENT_LIMIT)}),
            "/shell",
            "`shell` has 131072 bytes; Linux takes at most 131071",
        ),
        (json!({}), "", "the payload of type `exec` needs a `command` or a `shell` script"),
    ] {
        let found = faults(&payload);
        assert_eq!((found.len(), found[0].0.as_str(), found[0].1.as_str()), (1, at, message));
    }
}

#[test]
fn values_become_arguments_json_or_files() {
    let template = json!({"command": ["a", {"spread": "@<l.out>"}, {"json": "@<m.out>"}, {"file": "@<m.out>"}, "@<l.out::/0>"],
        "env": {"F": {"file": "@<t.out>"}, "J": {"json": "@<t.out>"}}, "stdin": "@<m.out>"});
    assert_eq!(faults(&template), []);
    let map = json!({"w": [1, 2.50]});
    let payload = json!({"command": ["a", {"spread": ["b c", 1, true]}, {"json": map}, {"file": map}, "b"],
        "env": {"F": {"file": "t\n"}, "J": {"json": "t"}}, "stdin": map});
    let exec = ExecPayload::parse(&payload, &template, Pointer::root(), &mut Vec::new()).unwrap();
    let file = |text: &str| ProgramText::File(text.to_owned());
    let mut command = texts(&["a", "b c", "1", "true", r#"{"w":[1,2.5]}"#]);
    command.extend([file(r#"{"w":[1,2.5]}"#), texts(&["b"])[0].clone()]);
    assert_eq!(exec.command, command);
    assert_eq!(exec.env, [("F".to_owned(), file("t\n")), ("J".to_owned(), texts(&["\"t\""])[0].clone())]);
    assert_eq!(exec.stdin.as_deref(), Some(r#"{"w":[1,2.5]}"#));
    assert!(exec.needs_file());
    // text is standard input as it is; an empty or missing list has no arguments
    let payload = json!({"command": ["a", {"spread": []}, {"spread": null}], "stdin": "1\n"});
    let exec = ExecPayload::parse(&payload, &payload, Pointer::root(), &mut Vec::new()).unwrap();
    assert_eq!((exec.command, exec.stdin.as_deref()), (texts(&["a"]), Some("1\n")));
}

#[test]
fn a_result_that_looks_like_a_form_is_data() {
    for (template, payload) in [
        (json!({"command": ["a", "@<x.out>"]}), json!({"command": ["a", {"file": "/etc/passwd"}]})),
        (json!({"command": "@<x.out>"}), json!({"command": ["a", {"spread": ["b"]}]})),
        (
            json!({"command": ["a"], "env": {"A": "@<x.out>"}}),
            json!({"command": ["a"], "env": {"A": {"json": 1}}}),
        ),
    ] {
        let mut found = Vec::new();
        assert_eq!(ExecPayload::parse(&payload, &template, Pointer::root(), &mut found), None);
        assert!(found[0].message.ends_with("must be text, not a map"), "{}", found[0].message);
    }
}

#[test]
fn wrong_forms_are_faults_with_the_right_one() {
    for (payload, at, message, hint) in [
        (
            json!({"command": ["a", {"spred": []}]}),
            "/command/1/spred",
            "a value in a command is `spread`, `json` or `file`, not `spred`",
            "did you mean `spread`?",
        ),
        (
            json!({"command": ["a", {"json": 1, "file": 2}]}),
            "/command/1",
            "a value in a command has one key: `spread`, `json` or `file`",
            "",
        ),
        (
            json!({"command": ["a", {"spread": "b"}]}),
            "/command/1/spread",
            "`spread` must be a list, not text",
            "",
        ),
        (
            json!({"command": ["a", {"spread": ["b", []]}]}),
            "/command/1/spread/1",
            "each item of `spread` must be text, not a list",
            "`{json: …}` is the value as JSON, `{file: …}` the path of a file with it",
        ),
        (
            json!({"command": ["a"], "env": {"A": {"spread": []}}}),
            "/env/A",
            "`A` in `env` is one text, so it cannot be `{spread: …}`",
            "use `{json: …}` or `{file: …}`",
        ),
        (
            json!({"command": ["a", ["b"]]}),
            "/command/1",
            "each item of `command` must be text, not a list",
            "`{spread: …}` is one argument for each item, `{json: …}` the list as JSON, `{file: …}` a file with it",
        ),
        (json!({"command": [""]}), "/command", "`command` must begin with a program", ""),
    ] {
        let found = faults(&payload);
        let found: Vec<_> =
            found.iter().map(|(at, message, hint)| (at.as_str(), message.as_str(), hint.as_str())).collect();
        assert_eq!(found, [(at, message, hint)]);
    }
}

#[test]
fn a_full_payload_is_read() {
    let payload = json!({"command": ["ffprobe", 1], "image": "media/ffmpeg:7", "env": {"A": 1}, "cpu": 2,
        "memory": "1Gi", "workingDirectory": "w", "capture": "json", "successCodes": [0, 3]});
    let mut faults = Vec::new();
    let exec = ExecPayload::parse(&payload, &payload, Pointer::root(), &mut faults).unwrap();
    assert!(faults.is_empty());
    assert_eq!(exec.command, texts(&["ffprobe", "1"]));
    assert_eq!((exec.cpu, exec.capture), (Some(Cpu::from_millis(2_000)), Capture::Json));
    assert_eq!(exec.memory.map(Memory::bytes), Some(1 << 30));
    assert_eq!(exec.success_codes, [0, 3]);
}

#[test]
fn an_amount_as_reference_passes_the_check_but_no_launch() {
    let payload = json!({"command": ["a"], "cpu": "@<size.out::/cpu>", "memory": "@<size.out>Mi"});
    let mut faults = Vec::new();
    ExecPayload::check(&payload, Pointer::root(), &mut faults);
    assert_eq!(faults, []);
    assert_eq!(ExecPayload::parse(&payload, &payload, Pointer::root(), &mut faults), None);
    let wrong = json!({"command": ["a"], "cpu": [], "memory": "1000m"});
    ExecPayload::check(&wrong, Pointer::root(), &mut faults);
    let found: Vec<_> = faults.iter().map(|f| (f.pointer(), f.code)).collect();
    let wrong = [("/cpu", "wrong-value"), ("/memory", "wrong-value"), ("/cpu", "wrong-type")];
    assert_eq!(found, [wrong[0], wrong[1], wrong[2], wrong[1]]);
}

#[test]
fn every_fault_of_a_payload_is_reported() {
    let payload = json!({"command": [], "capture": "jsn", "successCodes": [300], "comand": 1});
    let mut faults = Vec::new();
    ExecPayload::parse(&payload, &payload, Pointer::root(), &mut faults);
    let at: Vec<_> = faults.iter().map(Fault::pointer).collect();
    assert_eq!(at, ["/comand", "/command", "/capture", "/successCodes/0"]);
}

#[test]
fn fr_c7_a_command_that_can_never_start_is_a_fault() {
    let long = "x".repeat(ARGUMENT_LIMIT);
    let fits = &long[..ARGUMENT_LIMIT - 1];
    let many = vec![fits; 50];
    for (payload, at, message) in [
        (json!({"command": ["a", "b\0c"]}), "/command/1", "item 2 of `command` contains a NUL byte"),
        (json!({"command": ["a", null]}), "/command/1", "each item of `command` must be text, not null"),
        (json!({"command": ["a", long]}), "/command/1", "item 2 of `command` has 131072 bytes"),
        (json!({"command": many}), "/command", "`command` has 6554000 bytes; Linux takes at most 6291456"),
        (json!({"command": ["a"], "env": {"": "x"}}), "/env/", "\"\" in `env` is not a valid variable name"),
        (json!({"command": ["a"], "env": {"A=B": "x"}}), "/env/A=B", "\"A=B\" in `env` is not a valid"),
        (json!({"command": ["a"], "env": {"A\0": "x"}}), "/env/A\0", "\"A\\0\" in `env` is not a valid"),
        (json!({"command": ["a"], "env": {"A": "\0"}}), "/env/A", "`A` in `env` contains a NUL byte"),
        (json!({"command": ["a"], "env": {"A": fits}}), "/env/A", "`A` in `env` has 131073 bytes"),
        (json!({"command": ["a"], "env": {"A": null}}), "/env/A", "`A` in `env` must be text, not null"),
        (json!({"command": ["a"], "workingDirectory": ""}), "/workingDirectory", "is empty"),
        (json!({"command": ["a"], "workingDirectory": "a\0"}), "/workingDirectory", "contains a NUL byte"),
        (json!({"command": ["a"], "image": ""}), "/image", "is empty"),
    ] {
        let mut faults = Vec::new();
        ExecPayload::check(&payload, Pointer::root(), &mut faults);
        let found: Vec<_> = faults.iter().map(|fault| (fault.pointer(), &fault.message)).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 == at && found[0].1.contains(message), "{found:?}");
    }
    let mut faults = Vec::new();
    let payload = json!({"command": ["a", fits], "env": {"A": &fits[2..]}});
    ExecPayload::check(&payload, Pointer::root(), &mut faults);
    assert_eq!(faults, []);
}

#[test]
fn fr_c3_a_resolved_value_too_long_for_a_program_is_a_fault() {
    let mut faults = Vec::new();
    let template = json!({"command": ["a"], "env": {"LIST": "@<find.out::/stdout>"}});
    ExecPayload::check(&template, Pointer::root(), &mut faults);
    assert_eq!(faults, []);
    let resolved = json!({"command": ["a"], "env": {"LIST": "x".repeat(200_000)}});
    assert_eq!(ExecPayload::parse(&resolved, &template, Pointer::root(), &mut faults), None);
    assert_eq!(faults[0].message, "`LIST` in `env` has 200005 bytes; Linux takes at most 131071");
}

#[test]
fn fr_b2_reports_can_be_switched_off() {
    let ignores = |payload: Value| {
        let mut faults = Vec::new();
        let exec = ExecPayload::parse(&payload, &payload, Pointer::root(), &mut faults);
        assert_eq!(faults, []);
        exec.unwrap().ignores_reports
    };
    assert!(ignores(json!({"command": ["a"], "reports": false})));
    assert!(!ignores(json!({"command": ["a"], "reports": true})));
    assert!(!ignores(json!({"command": ["a"]})));
}
