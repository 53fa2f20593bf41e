//! What people see of `when`, of groups in `dependsOn`, and of the run in clean-up.

use crate::bench::Bench;
use serde_json::Value;

const AGENDA: &str = r#"
inputs: {deploy: {type: boolean, default: false}}
operations:
  - {name: a, type: exec, payload: {command: ["false"]}}
  - {name: b, type: exec, payload: {command: ["true"]}}
  - {name: alarm, type: exec, params: {dependsOn: {any: [a.failed, b.failed]}}, payload: {command: [touch, alarmed]}}
  - {name: both, type: exec, params: {dependsOn: [a.failed, {any: [b.failed, b.cancelled]}]}, payload: {command: ["true"]}}
  - {name: up, type: exec, params: {when: inputs.deploy}, payload: {command: ["true"]}}
  - {name: end, type: exec, params: {finally: true}, payload: {command: [sh, -c, 'echo "$0" > seen', {json: "@<pop.run>"}]}}
"#;

#[test]
fn conditions_are_explained_before_and_after_the_run() {
    let bench = Bench::with_agenda(AGENDA);
    let plan = bench.pop(0, "plan a.yaml").stdout;
    assert!(
        plan.contains("requires any of (`a` deadLettered or failed, `b` deadLettered or failed)"),
        "{plan}"
    );
    assert!(plan.contains("runs only when inputs.deploy"), "{plan}");
    let ended = bench.pop(10, "run a.yaml --keep-going");
    assert!(bench.has("alarmed"));
    let line = "skipped   up: `when` does not hold: inputs.deploy: inputs.deploy is false\n";
    assert!(ended.stderr.contains(line), "{}", ended.stderr);
    let both = bench.pop(0, "explain last both").stdout;
    let reason = "both: was skipped: it requires any of (`b` deadLettered or failed, `b` cancelled), but the outcomes are `b` succeeded\n";
    assert!(both.starts_with(reason), "{both}");
    let seen: Value = serde_json::from_str(&bench.read("seen")).unwrap();
    assert_eq!((&seen["outcome"], &seen["failed"][0]), (&"failed".into(), &"a".into()));
    bench.pop(0, "check a.yaml -i deploy=true");
}
