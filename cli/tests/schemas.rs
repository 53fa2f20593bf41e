//! JSON Schemas for editors (docs/schemas): samples match them, and they have the same fields as the code.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda::schema::{Schema, check_payload};
use pop_document::Source;
use pop_policy::{AROUND, OPERATION_ONLY, POLICIES};
use pop_registry::{Catalog, pod_config_fields};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn schema(name: &str) -> Value {
    let text = fs::read_to_string(root().join(format!("docs/schemas/{name}.schema.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn read(path: &Path) -> Value {
    Source::new(path.display().to_string(), &fs::read(path).unwrap()).unwrap().read().unwrap()
}

/// What speaks against a value.
fn against(value: &Value, schema: &Value) -> Vec<String> {
    let findings = check_payload(value, Schema::new(schema), &|_| None);
    findings.into_iter().map(|finding| format!("{} {}", finding.at.as_str(), finding.why)).collect()
}

fn names(schema: &Value, pointer: &str) -> BTreeSet<String> {
    schema.pointer(pointer).unwrap()["properties"].as_object().unwrap().keys().cloned().collect()
}

fn own(names: impl IntoIterator<Item = &'static str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn samples_match_the_schemas() {
    let agendas = fs::read_dir(root().join("samples/agendas")).unwrap();
    let agendas: Vec<PathBuf> = agendas.map(|entry| entry.unwrap().path()).collect();
    assert!(!agendas.is_empty());
    for path in agendas {
        assert_eq!(against(&read(&path), &schema("agenda")), [""; 0], "{}", path.display());
    }
    assert_eq!(against(&read(&root().join("samples/registry.json")), &schema("registry")), [""; 0]);
}

#[test]
fn schemas_reject_invalid_documents() {
    let agenda =
        json!({"operations": [{"name": "a"}, {"name": "b", "type": "exec", "params": {"timeoutMs": []}}]});
    let found = against(&agenda, &schema("agenda"));
    let timeout = "/operations/1/params/timeoutMs must be text or a whole number, not a list";
    assert_eq!(found, ["/operations/0 needs `type`", timeout]);
    let registry = json!({"basePodConfig": {"pullAlways": "yes"}, "t": {"command": []}});
    let found = against(&registry, &schema("registry"));
    let pull = "/basePodConfig/pullAlways must be true or false or null, not \"yes\"";
    assert_eq!(found, [pull, "/t/command must be at least 1 items, not 0"]);
}

#[test]
fn schemas_and_code_have_the_same_fields() {
    assert_eq!(names(&schema("registry"), "/$defs/Params"), own(POLICIES));
    let params = POLICIES.into_iter().chain(OPERATION_ONLY).chain(AROUND);
    assert_eq!(names(&schema("agenda"), "/$defs/Params"), own(params));
    let registry = schema("registry");
    assert_eq!(names(&registry, "/$defs/PodConfig"), own(pod_config_fields()));
    // pop warns of a field that it does not know
    let entry: Value = names(&registry, "/$defs/Entry").into_iter().map(|name| (name, Value::Null)).collect();
    let text = json!({"basePodConfig": {}, "t": entry}).to_string();
    let mut faults = Vec::new();
    Catalog::build(Some(&Source::new("r.json", text.as_bytes()).unwrap()), &mut faults);
    assert_eq!(faults, []);
    let agenda = schema("agenda");
    let mut operation: Value =
        names(&agenda, "/$defs/Operation").into_iter().map(|name| (name, Value::Null)).collect();
    operation["name"] = json!("a");
    operation["type"] = json!("sample");
    let mut root: Value = names(&agenda, "").into_iter().map(|name| (name, Value::Null)).collect();
    root["operations"] = json!([operation]);
    pop_agenda::Agenda::parse(root, &mut faults).unwrap();
    assert_eq!(faults, []);
}

#[test]
fn events_match_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let agenda = json!({"params": {"retry": {"maxAttempts": 2, "delayMs": 1}}, "operations": [
        {"name": "a", "type": "exec", "payload": {"command": ["true"]}},
        {"name": "b", "type": "exec", "params": {"onFail": "SKIP"}, "payload": {"command": ["false"]}},
        {"name": "c", "type": "exec", "payload": {"command": ["sh", "-c",
            "echo 'pop.report.progress {\"percentComplete\": 7}'; sleep 0.05"]}},
        {"name": "d", "type": "exec", "params": {"dependsOn": "c", "timeoutMs": 20, "onFail": "FATAL"},
         "payload": {"command": ["sleep", "9"]}}]});
    fs::write(folder.path().join("a.json"), agenda.to_string()).unwrap();
    let mut pop = Command::new(env!("CARGO_BIN_EXE_pop"));
    let ended = pop.args(["run", "a.json", "--output", "json"]).current_dir(folder.path()).output().unwrap();
    let schema = schema("events");
    let mut seen = BTreeSet::new();
    for line in String::from_utf8(ended.stdout).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(against(&event, &schema), [""; 0], "{line}");
        seen.insert(event["event"].as_str().unwrap().to_owned());
    }
    for name in ["RunStarted", "AttemptStarted", "ProgressReported", "BackedOff", "BackoffEnded", "StopAsked"]
    {
        assert!(seen.contains(name), "{name} in {seen:?}");
    }
    assert!(!against(&json!({"event": "AttemptEnded", "time": 1}), &schema).is_empty());
}
