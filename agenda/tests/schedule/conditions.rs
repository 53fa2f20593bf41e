//! `when`, and groups of `dependsOn`.

use crate::run::Run;
use pop_agenda::{Action, Agenda, Explanation, OpIx, Outcome, Plan, RunEvent};
use pop_contract::LaunchType;
use pop_registry::Catalog;
use serde_json::{Value, json};
use std::sync::Arc;

/// The plan of an agenda, or its faults.
fn build(agenda: Value) -> Result<Plan, Vec<String>> {
    let mut faults = Vec::new();
    let mut agenda = Agenda::parse(agenda, &mut faults).unwrap();
    agenda.input_values = agenda.inputs.resolve(&[], true, &mut faults);
    let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults);
    plan.ok_or(faults.into_iter().map(|fault| fault.message).collect())
}

/// Why an operation was skipped.
fn reason(run: &Run) -> Option<String> {
    run.journal.iter().find_map(|record| match &record.event {
        RunEvent::OperationSettled { skipped: Some(decided), .. } => Some(decided.to_string()),
        _ => None,
    })
}

fn launches(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Launch { .. })).count()
}

#[test]
fn when_reads_inputs_payload_and_results() {
    let agenda = |when: &str| {
        json!({
        "inputs": {"deploy": {"type": "boolean", "default": false}},
        "operations": [
            {"name": "probe", "type": "sample"},
            {"name": "op", "type": "sample", "payload": {"size": "@<probe.out::/n>"}, "params": {"when": when}}]})
    };
    for (when, why) in [
        ("inputs.deploy", Some("`when` does not hold: inputs.deploy: inputs.deploy is false")),
        ("!(inputs.deploy)", None),
        ("results.probe.n > `3`", Some("`when` does not hold: results.probe.n > `3`: results.probe.n is 3")),
        ("results.probe.n == `3` && payload.size == `3`", None),
    ] {
        let mut run = Run::of(Arc::new(build(agenda(when)).unwrap()));
        let actions = run.succeed(1, "probe", json!({"n": 3}));
        assert_eq!(
            (reason(&run).as_deref(), launches(&actions)),
            (why, usize::from(why.is_none())),
            "{when}"
        );
        assert_eq!(run.outcome_of("op"), why.map(|_| Outcome::Skipped));
    }
}

#[test]
fn when_reads_outcomes_and_waits_for_them() {
    for (fails, outcome) in [(true, None), (false, Some(Outcome::Skipped))] {
        let mut run = Run::begin(&json!([
            {"name": "a", "type": "sample"},
            {"name": "alarm", "type": "sample", "params": {"when": "outcomes.a == 'failed'"}}]));
        assert_eq!(run.scheduler.explain(OpIx(1)), Explanation::WaitsFor(vec![OpIx(0)]));
        if fails {
            run.fail(1, 0, 1);
        } else {
            run.succeed(1, "a", json!({}));
        }
        assert_eq!(run.outcome_of("alarm"), outcome);
        assert_eq!(run.scheduler.state(OpIx(1)).is_out(), fails);
    }
}

#[test]
fn when_with_an_item_applies_to_each_instance() {
    let mut run = Run::begin(&json!([
        {"name": "each", "type": "sample", "params": {"forEach": [1, 2, 3], "when": "item > `1` && index < `2`"}, "payload": "@<pop.item>"},
        {"name": "all", "type": "sample", "payload": "@<each.out>"}]));
    assert_eq!(run.outcome_of("each#0"), Some(Outcome::Skipped));
    assert_eq!(run.outcome_of("each#2"), Some(Outcome::Skipped));
    run.succeed(1, "each#1", json!("two"));
    assert_eq!(run.scheduler.payload(OpIx(1)).unwrap().as_ref(), &json!([null, "two", null]));
    // without an item it applies to the whole
    let run = Run::begin(
        &json!([{"name": "each", "type": "sample", "params": {"forEach": [1, 2], "when": false}}]),
    );
    assert_eq!((run.outcome_of("each"), run.scheduler.plan().len()), (Some(Outcome::Skipped), 1));
}

#[test]
fn any_and_all_decide_when_every_named_operation_is_settled() {
    let groups = json!({"any": ["a.failed", {"all": ["b.failed", "c.succeeded"]}]});
    for (fails, outcome) in [
        ([true, false, false], None),
        ([false, true, false], None),
        ([false, true, true], Some(Outcome::Skipped)),
        ([false, false, false], Some(Outcome::Skipped)),
    ] {
        let mut run = Run::begin(&json!([
            {"name": "a", "type": "sample"}, {"name": "b", "type": "sample"}, {"name": "c", "type": "sample"},
            {"name": "op", "type": "sample", "params": {"dependsOn": groups}}]));
        for (op, (name, fails)) in ["a", "b", "c"].into_iter().zip(fails).enumerate() {
            assert_eq!(run.outcome_of("op"), None);
            if fails {
                run.fail(op as u64, op as u32, 1);
            } else {
                run.succeed(op as u64, name, json!({}));
            }
        }
        assert_eq!(run.outcome_of("op"), outcome, "{fails:?}");
        assert_eq!(run.scheduler.state(OpIx(3)).is_out(), outcome.is_none(), "{fails:?}");
    }
}

#[test]
fn any_of_plain_names_needs_one_success() {
    let operations = json!([
        {"name": "a", "type": "sample"}, {"name": "b", "type": "sample"},
        {"name": "op", "type": "sample", "params": {"dependsOn": {"any": "a, b"}}}]);
    let mut run = Run::begin(&operations);
    run.fail(1, 0, 1);
    run.succeed(2, "b", json!({}));
    assert!(run.scheduler.state(OpIx(2)).is_out());
    let mut run = Run::begin(&operations);
    run.fail(1, 0, 1);
    run.fail(2, 1, 1);
    assert_eq!(run.outcome_of("op"), Some(Outcome::Cancelled));
    assert_eq!(run.scheduler.explain(OpIx(2)), Explanation::Needed(vec![OpIx(0), OpIx(1)]));
}

#[test]
fn names_in_conditions_are_checked_and_can_close_a_cycle() {
    let faults = |params: Value| {
        let agenda = json!({"operations": [
            {"name": "probe", "type": "sample", "params": {"dependsOn": "op.settled"}},
            {"name": "op", "type": "sample", "params": params}]});
        build(agenda).unwrap_err()
    };
    for (params, said) in [
        (
            json!({"when": "results.prob.n"}),
            "`when` of operation `op` names `prob`, which is not in this agenda",
        ),
        (json!({"when": "result.probe.n"}), "`when` reads `result`, which it does not have"),
        (json!({"when": "keys(outcomes)"}), "`when` must name the operation: `outcomes.NAME`"),
        (json!({"when": "item == `1`"}), "`when` reads `item`, but the operation has no `forEach`"),
        (json!({"when": "inputs.x"}), "operation `op` refers to input `x`, but the agenda has no `inputs`"),
        (json!({"when": 7}), "`when` must be a JMESPath expression, not a number"),
        (
            json!({"when": "outcomes.probe"}),
            "operations depend on each other in a cycle: probe -> op -> probe",
        ),
        (
            json!({"dependsOn": {"any": "probe.faild"}}),
            "`faild` in `probe.faild` is not an outcome: outcomes are settled, succeeded, skipped, failed, deadLettered, cancelled",
        ),
        (
            json!({"dependsOn": {"any": "probe"}}),
            "operations depend on each other in a cycle: probe -> op -> probe",
        ),
    ] {
        assert_eq!(faults(params), [said]);
    }
}
