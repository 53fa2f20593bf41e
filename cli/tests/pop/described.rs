//! Descriptions of handlers: how pop reads, caches and shows them, and checks agendas against them.

use crate::bench::Bench;
use crate::faults::nothing_started;

const SIZE: &str = r#"#!/bin/sh
if [ "$1" = --describe ]; then
    echo asked >> asked
    echo '{"name": "size", "version": "3", "about": "tells how big something is",
        "errors": [{"name": "too-big", "about": "it cannot be told"}],
        "input": {"type": "object", "required": ["file"], "additionalProperties": false,
            "properties": {"file": {"type": "string"}, "unit": {"enum": ["px", "cm"]}, "most": {"type": "integer"}}},
        "result": {"type": "object", "required": ["width"], "additionalProperties": false,
            "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}}}}'
    exit
fi
echo 'pop.report.payload {"width": 7}'
"#;

fn bench(agenda: &str) -> Bench {
    let bench = Bench::with_agenda(agenda);
    bench.program("size", SIZE);
    bench.write("registry.yaml", "size: {command: [./size], describe: true}\n");
    bench
}

#[test]
fn references_and_payloads_are_checked_against_schemas() {
    let bench = bench(
        "operations:
  - {name: a, type: size, payload: {file: x, unit: pc}}
  - {name: b, type: size, payload: {file: '@<a.out::/widht>'}}
  - {name: c, type: size, payload: {file: '@<a.out::/width>'}}
  - {name: d, type: size, payload: {file: 'w=@<a.out::/width>', most: '@<a.out::/height>', fiel: 1}}
  - {name: e, type: size, payload: {file: 'h', most: '@<a.out::/height?0>'}}
",
    );
    let ended = bench.pop(3, "run a.yaml");
    nothing_started(&bench, &ended);
    insta::assert_snapshot!(ended.stderr, @r#"
    error[wrong-payload]: `unit` of operation `a` must be one of "px", "cm", not "pc"
     --> a.yaml:2:52
      |
    2 |   - {name: a, type: size, payload: {file: x, unit: pc}}
      |                                                    ^^

    error[no-such-part]: the result of `a` has no `/widht`
     --> a.yaml:3:44
      |
    2 |   - {name: a, type: size, payload: {file: x, unit: pc}}
      |                     ---- `size` describes its result
    3 |   - {name: b, type: size, payload: {file: '@<a.out::/widht>'}}
      |                                            ^^^^^^^^^^^^^^^^ did you mean `width`?

    error[does-not-fit]: `@<a.out::/width>` does not fit `file` of operation `c`: it is a whole number, not text
     --> a.yaml:4:44
      |
    2 |   - {name: a, type: size, payload: {file: x, unit: pc}}
      |                     ---- `size` describes its result
    3 |   - {name: b, type: size, payload: {file: '@<a.out::/widht>'}}
    4 |   - {name: c, type: size, payload: {file: '@<a.out::/width>'}}
      |                                            ^^^^^^^^^^^^^^^^

    warning[may-be-missing]: the result of `a` may have no `/height`
     --> a.yaml:5:72
      |
    2 |   - {name: a, type: size, payload: {file: x, unit: pc}}
      |                     ---- `size` describes its result
    ...
    5 |   - {name: d, type: size, payload: {file: 'w=@<a.out::/width>', most: '@<a.out::/height>', fiel: 1}}
      |                                                                        ^^^^^^^^^^^^^^^^^
      |
      = help: add a fallback: `?text` before the `>`, or `?` alone for null

    error[wrong-payload]: `fiel` of operation `d` is not a field of its handler's payload
     --> a.yaml:5:92
      |
    5 |   - {name: d, type: size, payload: {file: 'w=@<a.out::/width>', most: '@<a.out::/height>', fiel: 1}}
      |                                                                                            ^^^^ did you mean `file`?

    warning[may-not-fit]: `@<a.out::/height?0>` may not fit `most` of operation `e`: it is text, not a whole number
     --> a.yaml:6:55
      |
    2 |   - {name: a, type: size, payload: {file: x, unit: pc}}
      |                     ---- `size` describes its result
    ...
    6 |   - {name: e, type: size, payload: {file: 'h', most: '@<a.out::/height?0>'}}
      |                                                       ^^^^^^^^^^^^^^^^^^^

    4 faults in a.yaml; nothing was started (exit 3)
    "#);
}

#[test]
fn description_of_a_script_is_not_cached() {
    let bench = bench("operations: [{name: a, type: size, payload: {file: x}}]");
    let home = bench.path("home").display().to_string();
    for asked in [1, 2] {
        bench.call("check --describe a.yaml").variable("HOME", &home).ends(0);
        assert_eq!(bench.sorted_lines("asked").len(), asked);
    }
}

#[test]
fn fr_h8_reading_commands_start_no_program() {
    let bench = bench("operations: [{name: a, type: size, payload: {file: x, unit: pc}}]");
    let home = bench.path("home").display().to_string();
    for arguments in [
        "check a.yaml",
        "check --strict --output json a.yaml",
        "plan a.yaml",
        "plan --output json a.yaml",
        "plan --output dot a.yaml",
        "handlers",
        "handlers show size",
        "completions bash",
    ] {
        let said = bench.call(arguments).variable("HOME", &home).ends(0).stderr;
        if arguments.starts_with("check") || arguments.starts_with("plan --output") {
            let command = arguments.split(' ').next().unwrap();
            let hint =
                format!("hint: payloads of `size` were not checked; `pop {command} --describe` starts");
            assert!(said.contains(&hint), "{said}");
        }
    }
    assert!(!bench.has("asked"));
    // the caller requests it
    for arguments in ["check --describe a.yaml", "plan --describe a.yaml"] {
        let said = bench.call(arguments).variable("HOME", &home).ends(3).stderr;
        assert!(said.starts_with("error[wrong-payload]: `unit` of operation `a`"), "{said}");
    }
    assert_eq!(bench.sorted_lines("asked").len(), 2);
    // the answer is remembered for as long as the program is the same one
    let said = bench.call("check a.yaml").variable("HOME", &home).ends(3).stderr;
    assert!(said.starts_with("error[wrong-payload]"), "{said}");
    bench.program("size", &format!("{SIZE}# another one\n"));
    bench.call("check a.yaml").variable("HOME", &home).ends(0);
    assert_eq!(bench.sorted_lines("asked").len(), 2);
}

#[test]
fn fr_h8_check_uses_the_description_cached_by_a_run() {
    let bench = bench("operations: [{name: a, type: size, payload: {file: x}}]");
    let home = bench.path("home").display().to_string();
    bench.call("run a.yaml").variable("HOME", &home).ends(0);
    assert_eq!(bench.sorted_lines("asked").len(), 1);
    bench.write("a.yaml", "operations: [{name: a, type: size, payload: {file: 7}}]");
    bench.call("check a.yaml").variable("HOME", &home).ends(3);
    for arguments in ["show last", "explain last a", "logs last", "runs"] {
        bench.call(arguments).variable("HOME", &home).ends(0);
    }
    assert_eq!(bench.sorted_lines("asked").len(), 1);
}

#[test]
fn resume_uses_the_original_descriptions() {
    let bench = bench(
        "operations:
  - {name: gate, type: exec, payload: {command: [test, -e, open]}}
  - name: grow
    type: exec
    params: {dependsOn: gate, agenda.operation.generator: {operationsJsonPointer: /stdout/operations}}
    payload: {capture: json, command: [cat, grown.json]}
  - {name: a, type: size, payload: {file: x}}
",
    );
    let late = r#"{"name": "late", "type": "size", "payload": {"file": "x", "unit": "pc"}}"#;
    bench.write("grown.json", format!("{{\"operations\": [{late}]}}"));
    let home = bench.path("home").display().to_string();
    bench.call("run --keep-going a.yaml").variable("HOME", &home).ends(10);
    let frozen = bench.run_folder().join("inputs/descriptions.json");
    assert!(std::fs::read_to_string(&frozen).unwrap().contains("tells how big something is"));
    // the program's description has changed, but it is not started
    bench.program("size", "#!/bin/sh\necho asked >> asked; echo '{}'\n");
    bench.write("open", "");
    bench.call("resume last").variable("HOME", &home).ends(10);
    assert_eq!(bench.sorted_lines("asked").len(), 1);
    let shown = bench.pop(0, "show last grow").stdout;
    assert!(shown.contains("`unit` of operation `late` must be one of"), "{shown}");
    // changed descriptions are changed inputs
    std::fs::write(&frozen, "{}").unwrap();
    let said = bench.pop(15, "resume last").stderr;
    assert!(said.contains("inputs of run"), "{said}");
}

#[test]
fn unavailable_description_is_a_warning() {
    for (program, why) in [
        ("#!/bin/sh\necho hello", "`./size --describe` printed invalid output: it is not a description"),
        (
            "#!/bin/sh\necho 'no such option' >&2; exit 2",
            "`./size --describe` ended with exit status 2: no such option",
        ),
        ("#!/bin/sh\necho '{\"input\": 7}'", "its `input` is not a JSON Schema"),
    ] {
        let bench = bench("operations: [{name: a, type: size}]");
        bench.program("size", program);
        let said = bench.pop(0, "check --describe a.yaml").stderr;
        assert!(said.starts_with("warning[no-description]: "), "{said}");
        assert!(said.contains(why) && said.contains("registry.yaml:1:"), "{said}");
    }
}

#[test]
fn description_may_come_from_a_file() {
    let bench = Bench::with_agenda("operations: [{name: a, type: t, payload: {n: x}}]");
    bench.write("registry.yaml", "t: {command: ['true'], describe: t.json}\n");
    bench.write("t.json", r#"{"input": {"properties": {"n": {"type": "integer"}}}}"#);
    let said = bench.pop(3, "check a.yaml").stderr;
    assert!(said.contains("`n` of operation `a` must be a whole number, not \"x\""), "{said}");
    bench.write("t.json", "");
    let said = bench.pop(0, "check a.yaml").stderr;
    assert!(said.contains("warning[no-description]") && said.contains("t.json"), "{said}");
}

#[test]
fn handlers_show_prints_the_description() {
    let bench = bench("operations: []");
    let shown = bench.pop(0, "handlers show --describe size").stdout;
    let (_, said) = shown.split_once("\n\n").unwrap();
    let head: Vec<_> = said.lines().take(4).collect();
    assert_eq!(
        head,
        [
            "size 3: tells how big something is",
            "failure too-big: it cannot be told",
            "input {",
            "  \"additionalProperties\": false,"
        ]
    );
    assert!(said.contains("result {"));
}
