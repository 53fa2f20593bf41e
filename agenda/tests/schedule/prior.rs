//! Outcomes of an earlier run, adopted by operations that this run adds to its plan.

use crate::world::plan;
use pop_agenda::{
    Action, EventRecord, History, Input, OpIx, Outcome, Plan, PriorOutcome, PriorOutcomes, RunOptions,
    RunOutcome, RunTime, Scheduler, Verdict,
};
use pop_contract::Progress;
use serde_json::{Value, json};
use std::sync::Arc;

fn result<Id>(op: Id, result: Value) -> PriorOutcome<Id> {
    PriorOutcome { op, result: Some(Arc::new(result)), progress: None }
}

fn progress(name: &str, percent: f64) -> PriorOutcome<Box<str>> {
    let progress = Progress { percent_complete: Some(percent), ..Progress::default() };
    PriorOutcome { op: name.into(), result: None, progress: Some(Arc::new(progress)) }
}

/// Runs a plan; every attempt succeeds at once with a list of the operation's name. Returns the names of launched operations and
/// the scheduler at the end. The journal gives the same state and the same history.
fn run(plan: &Arc<Plan>, adopted: PriorOutcomes) -> (Vec<String>, Scheduler) {
    let options = RunOptions { parallel: 1, ..RunOptions::default() };
    let mut scheduler = Scheduler::new(Arc::clone(plan), options);
    let (mut names, mut journal) = (Vec::new(), Vec::new());
    let mut inputs = vec![Input::Begun { run: "r".into(), started: 0, adopted }];
    for at in 0.. {
        let Some(input) = inputs.pop() else { break };
        let step = scheduler.step(RunTime(at), input);
        scheduler.check().unwrap();
        journal.extend(step.events.into_iter().map(|event| EventRecord { at: RunTime(at), event }));
        for action in step.actions {
            if let Action::Launch { op, attempt, .. } = action {
                let name = scheduler.plan().operation(op).name.to_string();
                let verdict = Verdict::succeeded(json!([name]));
                names.push(name);
                inputs.push(Input::Ended { op, attempt, verdict });
            }
        }
    }
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Succeeded));
    let mut again = Scheduler::new(Arc::clone(plan), RunOptions::default());
    for record in &journal {
        let text = serde_json::to_string(record).unwrap();
        again.evolve(&serde_json::from_str(&text).unwrap());
        again.check().unwrap();
    }
    let history = History::of(plan.len(), &journal);
    for (op, _) in scheduler.plan().operations() {
        assert_eq!(again.state(op), scheduler.state(op));
        assert_eq!(history.operation(op).outcome(), scheduler.state(op).outcome());
    }
    (names, scheduler)
}

fn for_each() -> Arc<Plan> {
    plan(json!({"operations": [
        {"name": "list", "type": "sample"},
        {"name": "each", "type": "sample", "params": {"forEach": "@<list.out::>", "maxParallel": 1},
         "payload": "@<pop.item>"},
        {"name": "all", "type": "sample", "payload": "@<each.out>"}]}))
}

#[test]
fn fr_l3_items_that_succeeded_are_not_run_again() {
    let adopted = PriorOutcomes {
        planned: vec![result(OpIx(0), json!([1, 2, 3]))],
        by_name: vec![
            result("each#0".into(), json!("one")),
            progress("each#1", 40.0),
            result("each#2".into(), json!(null)),
        ],
        parent: None,
    };
    let (names, scheduler) = run(&for_each(), adopted);
    assert_eq!(names, ["each#1", "all"]);
    assert_eq!(scheduler.payload(OpIx(2)).unwrap().as_ref(), &json!(["one", ["each#1"], null]));
    assert_eq!(scheduler.progress(OpIx(4)).unwrap().percent_complete, Some(40.0));
}

#[test]
fn fr_l3_items_of_a_new_list_adopt_nothing() {
    let adopted =
        || PriorOutcomes { by_name: vec![result("each#0".into(), json!(1))], ..PriorOutcomes::default() };
    assert_eq!(run(&for_each(), adopted()).0, ["list", "each#0", "all"]);
    let all = PriorOutcomes { planned: vec![result(OpIx(0), json!([1]))], ..adopted() };
    assert_eq!(run(&for_each(), all).0, ["all"]);
}

#[test]
fn fr_l3_generated_operations_that_succeeded_are_not_run_again() {
    let plan = plan(json!({"operations": [
        {"name": "gen", "type": "sample", "params": {"agenda.operation.generator": {"operationsJsonPointer": "/operations"}}}]}));
    let generated = json!({"operations": [
        {"name": "x", "type": "sample"},
        {"name": "y", "type": "sample", "payload": "@<x.out>", "params": {"forEach": [7, 8]}}]});
    let adopted = PriorOutcomes {
        planned: vec![result(OpIx(0), generated)],
        by_name: vec![result("x".into(), json!("old")), result("y#1".into(), json!(8))],
        parent: None,
    };
    let (names, scheduler) = run(&plan, adopted);
    assert_eq!(names, ["y#0"]);
    assert_eq!(scheduler.payload(OpIx(3)).unwrap().as_ref(), &json!("old"));
}

#[test]
fn fr_l3_an_outcome_for_no_operation_is_ignored() {
    let adopted =
        PriorOutcomes { by_name: vec![result("other".into(), json!(1))], ..PriorOutcomes::default() };
    let (names, scheduler) = run(&plan(json!({"operations": [{"name": "a", "type": "sample"}]})), adopted);
    assert_eq!((names, scheduler.state(OpIx(0)).outcome()), (vec!["a".to_owned()], Some(Outcome::Succeeded)));
}
