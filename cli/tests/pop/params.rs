//! `params` end to end: skipped operations, ignored errors, dead letters, and the choice of handlers.

use crate::bench::Bench;
use serde_json::{Value, json};

/// The events of one kind, of a run that ends with this code.
fn events(bench: &Bench, code: i32, kind: &str) -> Vec<Value> {
    let said = bench.pop(code, "run a.yaml --output json").stdout;
    let events = said.lines().map(|line| serde_json::from_str(line).unwrap());
    events.filter(|event: &Value| event["event"] == kind).collect()
}

fn outcomes(bench: &Bench) -> Vec<String> {
    let shown = bench.shown();
    let operations = shown["operations"].as_array().unwrap().iter();
    operations.map(|told| format!("{} {}", told["name"], told["outcome"]).replace('"', "")).collect()
}

#[test]
fn r2_dead_letter_continues_the_run_and_exits_with_11() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, params: {onFail: DLQ, retry: {maxAttempts: 2}}, payload: {command: ['false']}}\n  \
         - {name: needs, type: sample, params: {dependsOn: a}}\n  - {name: mends, type: sample, params: {dependsOn: a.deadLettered}}\n",
    );
    bench.pop(11, "run a.yaml");
    assert_eq!(outcomes(&bench), ["a deadLettered", "needs cancelled", "mends succeeded"]);
    let letter = bench.pop(0, "dlq show last a --output json").json();
    assert_eq!(
        (&letter["failure"]["code"], letter["attempts"].as_array().unwrap().len()),
        (&json!("exit"), 2)
    );
}

#[test]
fn r4_skip_has_a_reason_and_bad_expression_is_refused() {
    let agenda = |pattern: &str| {
        format!(
            "operations:\n  - name: a\n    type: sample\n    params: {{skipPattern: \"{pattern}\"}}\n    payload: {{data: {{status: A}}}}\n"
        )
    };
    let bench = Bench::with_agenda(&agenda("data.status=='A'"));
    bench.pop(0, "run a.yaml");
    assert_eq!(
        (&bench.operation("a")["outcome"], &bench.operation("a")["attempts"]),
        (&json!("skipped"), &json!(0))
    );
    let said = bench.pop(0, "explain last a").stdout;
    assert!(said.contains("  skipped   data.status=='A': data.status is \"A\"\n"), "{said}");
    bench.write("a.yaml", agenda("data.state"));
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.operation("a")["outcome"], "succeeded");
    bench.write("a.yaml", agenda("data.status=="));
    let said = bench.pop(3, "run a.yaml").stderr;
    assert!(
        said.starts_with("error[bad-expression]: `skipPattern` is not a valid JMESPath expression"),
        "{said}"
    );
    assert!(said.contains("a.yaml:4:27"), "{said}");
}

#[test]
fn r6_ignored_code_is_recorded() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, params: {ignoreErrors: ' 4 , 5'}, payload: {command: [sh, -c, 'exit 5']}}\n",
    );
    assert_eq!(events(&bench, 0, "OperationSettled")[0]["ignored"], "5");
    bench.write("a.yaml", bench.read("a.yaml").replace("exit 5", "exit 6"));
    bench.pop(10, "run a.yaml");
}

#[test]
fn r9_r10_r11_version_and_action_choose_the_handler() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: plain, type: asset}\n  - {name: two, type: asset, params: {version: 2}}\n  \
         - {name: write, type: asset, params: {action: write}}\n  - {name: named, type: asset, params: {handler: asset-2, action: read}}\n",
    );
    bench.program("say", "#!/bin/sh\necho \"$OPERATION_NAME $1 $POP_ACTION\" >> ran\n");
    bench.write(
        "registry.yaml",
        "asset: {command: [./say, one], version: 1, actions: [read]}\nasset-2: {type: asset, command: [./say, two], version: 2, \
         actions: [read, write]}\nother: {type: asset, command: [./say, other], actions: [drop]}\n",
    );
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.sorted_lines("ran"), ["named two read", "plain one ", "two two ", "write two write"]);
    for (wrong, right, words) in [
        ("version: 3", "version: 2", "error[unknown-version]: no handler of type `asset` has version `3`"),
        (
            "action: wirte",
            "action: write",
            "error[unknown-action]: no handler of type `asset` has action `wirte`",
        ),
        ("handler: asset-3", "handler: asset-2", "error[unknown-handler]: there is no handler `asset-3`"),
    ] {
        bench.write("b.yaml", bench.read("a.yaml").replace(right, wrong));
        let said = bench.pop(3, "run b.yaml").stderr;
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(bench.sorted_lines("ran").len(), 4);
}

/// Descriptors for two content types and a machine; a unit called `bad` makes a handler fail.
fn machine() -> Bench {
    let bench = Bench::new();
    bench.write(
        "conf.d/packages.conf",
        "[main]\nenabled=1\n[types]\ncontent=rpm,tar\nsystem=Linux\n[rpm]\nclass=x\n[tar]\nclass=x\n[Linux]\nclass=x\n",
    );
    bench.program(
        "handlers/packages",
        "#!/bin/sh\necho \"$POP_ACTION $PAYLOAD\" >> calls\ncase \"$PAYLOAD\" in *bad*) echo 'no such unit' >&2; exit 3;; esac\n\
         echo 'pop.report.payload {\"num_changes\": 1}'\n",
    );
    bench
}

#[test]
fn u10_u14_u15_dispatch_calls_each_handler_for_its_units() {
    let bench = machine();
    bench.write(
        "a.yaml",
        "operations:\n  - name: d\n    type: dispatch\n    payload: {method: content.install, options: {reboot: true}, units: \
         [{type_id: tar, n: bad}, {type_id: rpm, n: 1}, {type_id: deb, n: 2}, {type_id: rpm, n: 3}]}\n",
    );
    let ended = events(&bench, 10, "Joined");
    let failure = &ended[0]["ending"]["failed"];
    assert_eq!(failure["code"], "dispatch");
    let report = &failure["diagnostics"][0]["payload"];
    assert_eq!((&report["succeeded"], &report["num_changes"]), (&json!(false), &json!(2)));
    assert_eq!(report["details"]["rpm"], json!({"succeeded": true, "details": {}}));
    assert_eq!(report["details"]["tar"]["details"]["message"], "ended with exit status 3");
    assert_eq!(report["details"]["deb"]["details"]["message"], "no handler for type `deb`");
    // `pop show` has the same later
    assert_eq!(bench.operation("d")["diagnosticEvents"][1]["payload"], *report);
    let said = bench.pop(0, "show last d").stdout;
    assert!(
        said.contains("`tar`: ended with exit status 3 [dispatch, blame: handler]\nreport {\n"),
        "{said}"
    );
    let calls = bench.sorted_lines("calls");
    let rpm = r#"content.install {"capability":"content","method":"install","options":{"reboot":true},"type":"rpm","units":[{"n":1,"type_id":"rpm"},{"n":3,"type_id":"rpm"}]}"#;
    assert_eq!((calls.len(), calls[0].as_str()), (3, rpm));
}

#[test]
fn u16_machine_restarts_once_only_after_changes() {
    let bench = machine();
    for (units, options, restarts) in [
        ("{type_id: rpm}, {type_id: tar}", "{reboot: true}", 1),
        ("{type_id: rpm}, {type_id: tar}", "{}", 0),
        ("{type_id: rpm, n: bad}", "{reboot: true}", 0),
    ] {
        let payload = format!("{{method: content.install, options: {options}, units: [{units}]}}");
        bench.write("a.yaml", format!("operations:\n  - {{name: d, type: dispatch, payload: {payload}}}\n"));
        bench.write("calls", "");
        bench.pop(if units.contains("bad") { 10 } else { 0 }, "run a.yaml");
        let calls = bench.read("calls");
        assert_eq!(
            calls.lines().filter(|call| call.starts_with("system.reboot ")).count(),
            restarts,
            "{calls}"
        );
        assert!(restarts == 0 || calls.lines().last().unwrap().starts_with("system.reboot "), "{calls}");
    }
}
