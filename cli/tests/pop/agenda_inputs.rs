//! Typed inputs of an agenda: their values from options, files and variables, and `pop inputs`.

use crate::bench::Bench;
use serde_json::json;

const AGENDA: &str = r#"
inputs:
  folder: {description: "folder with the videos", pattern: "^/"}
  width: {type: integer, enum: [480, 720, 1080], default: 720}
  sizes: {type: array, default: [1, 2]}
operations:
  - {name: a, type: exec, payload: {command: [sh, -c, 'echo "$@" > said; test -e mended', sh, "@<pop.inputs::/folder>", "w=@<pop.inputs::/width>"]}}
  - {name: each, type: exec, params: {forEach: "@<pop.inputs::/sizes>"}, payload: {command: [sh, -c, "echo @<pop.item> >> items"]}}
"#;

#[test]
fn inputs_come_from_options_files_variables_and_defaults_in_this_order() {
    let bench = Bench::with_agenda(AGENDA);
    bench.write("mended", "");
    bench.write("values.yaml", "folder: /file\nwidth: 480\nsizes: [7]\n");
    let run = |arguments: &str| {
        let call = bench.call(&format!("run a.yaml {arguments}"));
        call.variable("POP_INPUT_FOLDER", "/variable").variable("POP_INPUT_WIDTH", "1080").ends(0);
        bench.read("said")
    };
    assert_eq!(run(""), "/variable w=1080\n");
    assert_eq!(run("--input-file values.yaml"), "/file w=480\n");
    assert_eq!(bench.sorted_lines("items"), ["1", "2", "7"]);
    assert_eq!(run("--input folder=/option --input-file values.yaml -i width=720"), "/option w=720\n");
    assert_eq!(bench.shown()["inputs"], json!({"folder": "/option", "sizes": [7], "width": 720}));
    let shown = bench.pop(0, "show last").stdout;
    assert!(shown.contains("input folder: /option\ninput sizes: [7]\ninput width: 720\n"), "{shown}");
}

#[test]
fn missing_wrong_and_unknown_inputs_are_reported_at_once() {
    let bench = Bench::with_agenda(AGENDA);
    let ended = bench.pop(2, "run a.yaml -i width=700 -i sizes=3 -i folde=x");
    for words in [
        "`--input` gives a value to `folde`, which is not an input of this agenda",
        "did you mean `folder`?",
        "input `folder` has no value",
        "--> a.yaml:3:3",
        "input `width` from `--input` must be one of 480, 720, 1080, not `700`",
        "input `sizes` from `--input` must be an array, not `3`",
        "4 faults in the inputs; nothing was started (exit 2)",
    ] {
        assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    }
    assert!(!bench.has(".pop"));
    // values that are given are checked without a run, too; missing ones are not
    bench.pop(0, "check a.yaml");
    bench.pop(2, "check a.yaml -i folder=relative");
    bench.write("list.yaml", "- a\n");
    let ended = bench.pop(2, "run a.yaml --input-file list.yaml");
    assert!(
        ended.stderr.contains("an input file must be a map of names to values, not a list"),
        "{}",
        ended.stderr
    );
}

#[test]
fn references_to_inputs_are_checked_by_name_and_type() {
    let bench = Bench::with_agenda(
        r#"
inputs: {width: {type: integer}, list: {type: array, default: []}}
operations:
  - {name: a, type: exec, payload: {command: [echo, "@<pop.inputs::/widht>"]}}
  - {name: b, type: exec, payload: {command: [echo, "@<pop.inputs::/width/0>"]}}
  - {name: c, type: exec, payload: {command: [echo, "x@<pop.inputs::/list>"]}}
"#,
    );
    let ended = bench.pop(3, "run a.yaml -i width=1");
    for words in [
        "operation `a` refers to input `widht`, which is not in `inputs`",
        "did you mean `pop.inputs::/width`?",
        "operation `b` refers to a part of input `width`, whose type is integer",
        "`@<pop.inputs::/list>` of operation `c` refers to a list, which cannot be used inside text",
    ] {
        assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    }
}

#[test]
fn a_resumed_run_uses_its_recorded_inputs() {
    let bench = Bench::with_agenda(AGENDA);
    bench.pop(10, "run a.yaml --run-id r1 -i folder=/first -i width=480 --keep-going");
    bench.write("mended", "");
    std::fs::remove_file(bench.path("said")).unwrap();
    bench.call("resume r1").variable("POP_INPUT_FOLDER", "/other").ends(0);
    assert_eq!(bench.read("said"), "/first w=480\n");
    bench.pop(0, "run a.yaml --run-id r1 -i folder=/first -i width=480");
    let ended = bench.pop(15, "run a.yaml --run-id r1 -i folder=/other -i width=480");
    assert!(ended.stderr.contains("other `--input` values"), "{}", ended.stderr);
}

#[test]
fn generated_operations_may_refer_to_inputs() {
    let bench = Bench::with_agenda(
        r#"
inputs: {word: {default: hello}}
operations:
  - name: gen
    type: generate
    params: {agenda.operation.generator: {operationsJsonPointer: /operations}}
"#,
    );
    let generated = r#"{"operations": [{"name": "made", "type": "exec", "payload": {"command": ["sh", "-c", "echo $0 > said", "@<pop.inputs::/word>"]}}]}"#;
    bench.write(
        "registry.yaml",
        format!("generate: {{command: [sh, -c, 'echo pop.report.payload $0', '{generated}']}}\n"),
    );
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.read("said"), "hello\n");
    bench.pop(0, "run a.yaml -i word=bye");
    assert_eq!(bench.read("said"), "bye\n");
}

#[test]
fn pop_inputs_lists_them_as_a_table_and_as_a_schema() {
    let bench = Bench::with_agenda(AGENDA);
    let table = "\
INPUT   TYPE     DEFAULT     ALLOWED         DESCRIPTION
folder  string   (required)  ^/              folder with the videos
sizes   array    [1,2]       -
width   integer  720         480, 720, 1080
";
    assert_eq!(bench.pop(0, "inputs a.yaml").stdout, table);
    let schema = bench.pop(0, "inputs a.yaml --output json").json();
    assert_eq!(schema["required"], json!(["folder"]));
    assert_eq!(
        schema["properties"]["width"],
        json!({"type": "integer", "enum": [480, 720, 1080], "default": 720})
    );
    bench.write("none.yaml", "operations: []\n");
    assert_eq!(bench.pop(0, "inputs none.yaml").stdout, "the agenda has no inputs\n");
    bench.write("bad.yaml", "inputs: {a: {type: int}}\noperations: []\n");
    assert!(bench.pop(3, "inputs bad.yaml").stderr.contains("did you mean `integer`?"));
}
