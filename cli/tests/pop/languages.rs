//! Sample handlers in Python and shell, without the toolkit, run by pop.

use crate::bench::Bench;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn sample(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(path).canonicalize().unwrap()
}

/// A bench with a registry of the two handlers; an agenda of calls, one after the other.
fn bench(calls: &[(&str, Value)]) -> Bench {
    let bench = Bench::new();
    let registry = json!({
        "notes": {"command": [sample("handlers/notes/handler.py")], "properties": {"folder": "notes"}},
        "restart": {"command": [sample("handlers/restart/handler.sh")], "properties": {"request": "wanted"}},
        "lost": {"command": [sample("handlers/restart/handler.sh")], "properties": {"request": "none/wanted"}},
    });
    bench.write("registry.json", registry.to_string());
    let operation = |(index, (kind, call)): (usize, &(&str, Value))| {
        let before = index.checked_sub(1).map(|before| format!("call{before}"));
        json!({"name": format!("call{index}"), "type": kind, "payload": call, "params": {"dependsOn": before}})
    };
    let mut operations: Vec<Value> = calls.iter().enumerate().map(operation).collect();
    // the first has no dependencies
    operations[0].as_object_mut().unwrap().remove("params");
    bench.write("a.json", json!({"operations": operations}).to_string());
    bench
}

fn notes(method: &str, units: &Value) -> (&'static str, Value) {
    ("notes", json!({"capability": "content", "method": method, "type": "notes", "units": units}))
}

/// The code of the handler's own diagnostic of the operation that failed, and its payload.
fn failed(bench: &Bench) -> (Value, Value) {
    bench.pop(10, "run a.json --on local");
    let operation = bench.operation("call0");
    let events = operation["diagnosticEvents"].as_array().unwrap();
    // the first is pop's own event of the attempt
    assert_eq!(events.len(), 2, "{operation}");
    (events[1]["statusCode"].clone(), events[1]["payload"].clone())
}

#[test]
fn r14_python_and_shell_handlers_serve_one_agenda() {
    let bench = Bench::new();
    let call =
        bench.call("run --on local --registry").argument(sample("software/registry.json").to_str().unwrap());
    call.argument(sample("agendas/languages.yaml").to_str().unwrap()).ends(0);
    assert_eq!(bench.read("samples/work/notes/second.txt"), "two\n");
    assert_eq!(
        bench.operation("write")["result"],
        json!({"succeeded": true, "details": {"written": ["first", "second"]}, "num_changes": 2})
    );
    assert_eq!(bench.operation("list")["result"]["details"], json!({"notes": ["first", "second"]}));
    assert_eq!(
        bench.operation("restart")["result"],
        json!({"succeeded": true, "details": {"request": "samples/work/restart-required"}, "num_changes": 1,
               "reboot_scheduled": true})
    );
    assert!(
        bench.read("samples/work/restart-required").starts_with("requested by operation restart of run ")
    );
}

#[test]
fn r14_python_handler_counts_changes_and_failures() {
    let units = json!([{"name": "a", "text": "x".repeat(200_000)}]);
    let reboot = ("restart", json!({"capability": "system", "method": "reboot", "type": "Linux"}));
    let calls = [
        // longer than a variable may be: it comes compressed
        notes("install", &units),
        notes("install", &units),
        notes("uninstall", &json!([{"name": "a"}, {"name": "b"}])),
        notes("profile", &json!([])),
        reboot.clone(),
        reboot,
    ];
    let bench = bench(&calls);
    bench.pop(0, "run a.json --on local");
    let changes = |name: &str| bench.operation(name)["result"]["num_changes"].clone();
    let changes: Vec<Value> = (0..calls.len()).map(|index| changes(&format!("call{index}"))).collect();
    assert_eq!(changes, [1, 0, 1, 0, 1, 0]);
}

#[test]
fn r14_failures_and_missing_methods_are_reported() {
    let (code, report) = failed(&bench(&[notes("install", &json!([{"name": "../a", "text": ""}]))]));
    assert_eq!((&code, &report["succeeded"]), (&json!("report"), &json!(false)));
    let details = report["details"].as_object().unwrap();
    assert_eq!(details.keys().collect::<Vec<_>>(), ["message", "trace"]);
    assert!(details["message"].as_str().unwrap().starts_with("`../a` is not a note name"), "{report}");
    assert!(details["trace"].as_str().unwrap().contains("ValueError"), "{report}");

    assert_eq!(failed(&bench(&[notes("update", &json!([]))])).0, "not-implemented");
    assert_eq!(failed(&bench(&[("notes", json!([]))])).0, "payload");

    let system = |method: &str| json!({"capability": "system", "method": method, "type": "Linux"});
    assert_eq!(failed(&bench(&[("restart", system("halt"))])).0, "not-implemented");
    assert_eq!(failed(&bench(&[("restart", json!({}))])).0, "payload");
    let (code, report) = failed(&bench(&[("lost", system("reboot"))]));
    let details = json!({"message": "the folder of the request, none, does not exist", "trace": ""});
    assert_eq!(code, "report");
    assert_eq!(
        report,
        json!({"succeeded": false, "details": details, "num_changes": 0, "reboot_scheduled": false})
    );
}

#[test]
fn r14_handlers_without_the_toolkit_keep_the_contract() {
    let bench = Bench::new();
    bench.write("bad.json", r#"{"capability": "content"}"#);
    bench.write("asked", "");
    for (program, properties, call, broken) in [
        (
            "notes/handler.py",
            json!({"folder": bench.path("notes")}),
            notes("profile", &json!([])).1,
            [].as_slice(),
        ),
        (
            "restart/handler.sh",
            json!({"request": bench.path("asked")}),
            json!({"capability": "system", "method": "reboot", "type": "Linux"}),
            // a shell cannot inflate, and looks at bytes where others parse JSON
            &["payload-compressed", "payload-not-utf8"],
        ),
    ] {
        bench.write("good.json", call.to_string());
        let [good, bad] = ["good.json", "bad.json"].map(|name| bench.path(name));
        let program = sample("handlers").join(program);
        let check = bench.call("handler check --output json --payload").argument(good.to_str().unwrap());
        let check =
            check.argument("--bad-payload").argument(bad.to_str().unwrap()).argument("env").argument("--");
        let check =
            check.argument(&format!("POP_PROPERTIES={properties}")).argument(program.to_str().unwrap());
        let checks = check.ends(if broken.is_empty() { 0 } else { 10 }).json();
        let checks = checks.as_array().unwrap().iter();
        let found: Vec<_> =
            checks.filter(|check| check["verdict"] == "broken").map(|check| &check["check"]).collect();
        assert_eq!(found, broken, "{program:?}");
    }
}
