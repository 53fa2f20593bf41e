//! Type `agenda`: pipelines per item, what operations inside may refer to, items that fail, items of a resumed run.

use crate::world::{Script, World, plan, plan_of, script};
use pop_agenda::{
    Action, CancelReason, Explanation, Input, OpIx, Outcome, Plan, PriorOutcomes, RunOptions, RunOutcome,
    RunTime, Scheduler, Verdict,
};
use pop_contract::{Blame, Failure};
use serde_json::{Value, json};
use std::sync::Arc;

/// A run whose attempts end as the test says.
struct Steps {
    scheduler: Scheduler,
    now: u64,
    actions: Vec<Action>,
}

impl Steps {
    fn begin(plan: &Arc<Plan>) -> Self {
        let options = RunOptions { parallel: 100, ..RunOptions::default() };
        let scheduler = Scheduler::new(Arc::clone(plan), options);
        let mut steps = Self { scheduler, now: 0, actions: Vec::new() };
        steps.input(Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() });
        steps
    }

    fn input(&mut self, input: Input) {
        self.now += 1;
        self.actions = self.scheduler.step(RunTime(self.now), input).actions;
        self.scheduler.check().unwrap();
    }

    /// Ends an attempt, and returns the names and payloads of those that start then.
    fn end(&mut self, name: &str, verdict: Verdict) -> Vec<String> {
        let op = self.scheduler.plan().find(name).unwrap();
        self.input(Input::Ended { op, attempt: 1, verdict });
        self.launched()
    }

    fn succeed(&mut self, name: &str, result: Value) -> Vec<String> {
        self.end(name, Verdict::succeeded(result))
    }

    fn launched(&self) -> Vec<String> {
        let launch = |action: &Action| match action {
            Action::Launch { op, payload, .. } => {
                let payload: &Value = payload;
                Some(format!("{} {payload}", self.scheduler.plan().operation(*op).name))
            }
            _ => None,
        };
        self.actions.iter().filter_map(launch).collect()
    }

    fn outcome(&self, name: &str) -> Option<Outcome> {
        self.scheduler.state(self.scheduler.plan().find(name).unwrap()).outcome()
    }
}

fn failed() -> Verdict {
    Verdict::failed(Failure::new(Blame::Handler, "exit", "scripted"))
}

fn pipeline(params: &Value) -> Arc<Plan> {
    plan(json!({"operations": [
        {"name": "base", "type": "sample"},
        {"name": "video", "type": "agenda", "params": params, "payload": {
            "operations": [
                {"name": "probe", "type": "sample", "payload": "@<pop.item>"},
                {"name": "small", "type": "sample", "payload": ["@<probe.out>", "@<base.out>", "@<pop.index>"]},
            ],
            "result": {"small": "@<small.out>", "item": "@<pop.item>"}}},
        {"name": "all", "type": "sample", "payload": "@<video.out>"}]}))
}

#[test]
fn items_never_wait_for_one_another() {
    let mut steps = Steps::begin(&pipeline(&json!({"forEach": ["a", "b"]})));
    assert_eq!(steps.launched(), ["base null", "video#0/probe \"a\"", "video#1/probe \"b\""]);
    assert_eq!(steps.succeed("base", json!("B")), [""; 0]);
    assert_eq!(steps.succeed("video#1/probe", json!("p")), ["video#1/small [\"p\",\"B\",1]"]);
    assert_eq!(steps.succeed("video#1/small", json!("s")), [""; 0]);
    assert_eq!(steps.outcome("video#1"), Some(Outcome::Succeeded));
    assert_eq!(steps.succeed("video#0/probe", json!("q")), ["video#0/small [\"q\",\"B\",0]"]);
    let all = r#"all [{"item":"a","small":"t"},{"item":"b","small":"s"}]"#;
    assert_eq!(steps.succeed("video#0/small", json!("t")), [all]);
}

#[test]
fn max_parallel_counts_items() {
    let mut steps = Steps::begin(&pipeline(&json!({"forEach": ["a", "b"], "maxParallel": 1})));
    assert_eq!(steps.launched(), ["base null", "video#0/probe \"a\""]);
    steps.succeed("base", json!("B"));
    steps.succeed("video#0/probe", json!("p"));
    assert_eq!(steps.succeed("video#0/small", json!("s")), ["video#1/probe \"b\""]);
}

#[test]
fn kept_failure_of_an_item_stops_nobody() {
    let params = json!({"forEach": ["a", "b"], "itemFailures": "keep"});
    let mut steps = Steps::begin(&pipeline(&params));
    steps.succeed("base", json!("B"));
    assert_eq!(steps.end("video#0/probe", failed()), [""; 0]);
    assert_eq!(steps.outcome("video#0/small"), Some(Outcome::Cancelled));
    assert_eq!(steps.outcome("video#0"), Some(Outcome::Failed));
    steps.succeed("video#1/probe", json!("p"));
    let failure = r#"{"blame":"handler","code":"exit","message":"scripted","operation":"video#0/probe"}"#;
    let of_a = format!(r#"{{"failure":{failure},"item":"a","outcome":"failed"}}"#);
    let of_b = r#"{"item":"b","outcome":"succeeded","result":{"item":"b","small":"s"}}"#;
    assert_eq!(steps.succeed("video#1/small", json!("s")), [format!("all [{of_a},{of_b}]")]);
    steps.succeed("all", json!(null));
    assert_eq!(steps.scheduler.outcome(), Some(RunOutcome::Succeeded));
    // the failure is part of a result that others have read
    steps.input(Input::Resumed { options: RunOptions::default() });
    assert_eq!(steps.launched(), [""; 0]);
}

#[test]
fn dropped_items_are_not_in_the_result() {
    let params = json!({"forEach": ["a", "b", "c"], "itemFailures": "drop", "when": "item != 'c'"});
    let mut steps = Steps::begin(&pipeline(&params));
    steps.succeed("base", json!("B"));
    steps.end("video#0/probe", failed());
    steps.succeed("video#1/probe", json!("p"));
    assert_eq!(steps.succeed("video#1/small", json!("s")), [r#"all [{"item":"b","small":"s"}]"#]);
    assert_eq!(steps.outcome("video#2"), Some(Outcome::Skipped));
}

#[test]
fn nested_items_and_operations_around_are_seen() {
    let plan = plan(json!({"operations": [
        {"name": "rows", "type": "agenda", "params": {"forEach": [[1, 2], [3]]}, "payload": {
            "operations": [
                {"name": "head", "type": "sample", "payload": "@<pop.item::/0>"},
                {"name": "cells", "type": "agenda", "params": {"forEach": "@<pop.item>"}, "payload": {
                    "operations": [
                        {"name": "cell", "type": "sample",
                            "payload": ["@<pop.items>", "@<head.out>", "@<pop.operationName>"]}],
                    "result": "@<cell.out>"}}],
            "result": "@<cells.out>"}},
        {"name": "all", "type": "sample", "payload": "@<rows.out>"}]}));
    let mut steps = Steps::begin(&plan);
    assert_eq!(steps.launched(), ["rows#0/head 1", "rows#1/head 3"]);
    let of_three = r#"rows#1/cells#0/cell [[[3],3],"h","rows#1/cells#0/cell"]"#;
    assert_eq!(steps.succeed("rows#1/head", json!("h")), [of_three]);
    assert_eq!(
        steps.succeed("rows#0/head", json!("g")),
        [
            r#"rows#0/cells#0/cell [[[1,2],1],"g","rows#0/cells#0/cell"]"#,
            r#"rows#0/cells#1/cell [[[1,2],2],"g","rows#0/cells#1/cell"]"#,
        ]
    );
    steps.succeed("rows#1/cells#0/cell", json!(3));
    steps.succeed("rows#0/cells#1/cell", json!(2));
    assert_eq!(steps.succeed("rows#0/cells#0/cell", json!(1)), ["all [[1,2],[3]]"]);
}

#[test]
fn finally_inside_cleans_up_after_each_item() {
    let plan = plan(json!({"operations": [
        {"name": "each", "type": "agenda", "params": {"forEach": [1, 2], "itemFailures": "drop"}, "payload": {
            "operations": [
                {"name": "work", "type": "sample"},
                {"name": "tidy", "type": "sample", "params": {"finally": true}, "payload": "@<pop.item>"}]}}]}));
    let mut steps = Steps::begin(&plan);
    assert_eq!(steps.end("each#0/work", failed()), ["each#0/tidy 1"]);
    assert_eq!(steps.succeed("each#1/work", json!(1)), ["each#1/tidy 2"]);
}

#[test]
fn conditions_inside_read_results_inside() {
    let plan = plan(json!({"operations": [
        {"name": "each", "type": "agenda", "params": {"forEach": [1, 2]}, "payload": {
            "operations": [
                {"name": "size", "type": "sample"},
                {"name": "large", "type": "sample", "params": {"when": "results.size > `10` && item > `1`"}},
                {"name": "any", "type": "sample", "params": {"dependsOn": {"any": ["size.failed", "large.skipped"]}}}]}}]}));
    let mut steps = Steps::begin(&plan);
    assert_eq!(steps.succeed("each#0/size", json!(20)), ["each#0/any null"]);
    assert_eq!(steps.succeed("each#1/size", json!(20)), ["each#1/large null"]);
}

#[test]
fn item_names_are_shown_and_escaped() {
    let params =
        json!({"forEach": [{"file": "a\n.mp4"}, {"file": "b".repeat(80)}], "itemName": "@<pop.item::/file>"});
    let steps = Steps::begin(&pipeline(&params));
    let plan = steps.scheduler.plan();
    assert_eq!(plan.shown_name(plan.find("video#0/probe").unwrap()), "video[a .mp4]/probe");
    let long = plan.shown_name(plan.find("video#1").unwrap()).into_owned();
    assert_eq!(long.chars().count(), "video[]".len() + 59);
    assert!(long.contains("b…b"), "{long}");
    let matrix = json!({"forEach": {"matrix": {"os": ["x", "y"], "py": [3, "3.10"]}}});
    let steps = Steps::begin(&pipeline(&matrix));
    let plan = steps.scheduler.plan();
    let shown = |name: &str| plan.shown_name(plan.find(name).unwrap()).into_owned();
    assert_eq!([shown("video#1"), shown("video#2"), shown("all")], ["video[x, 3.10]", "video[y, 3]", "all"]);
}

#[test]
fn resumed_run_repeats_only_what_failed_inside_and_keeps_max_parallel() {
    let mut whole = Script { items: Some((4, 1)), ..script(&[]) };
    whole.inside = vec![script(&[]), Script { fails_first: 1, ..script(&[0]) }, script(&[1])];
    let scripts = [whole];
    let plan = plan_of(&scripts);
    let options = RunOptions { parallel: 8, keep_going: true, ..RunOptions::default() };
    let mut world = World::new(&scripts, &plan, &options);
    world.compares_folds = true;
    world.begin();
    assert_eq!(world.finish(), RunOutcome::Failed);
    let first = world.launches.clone();
    world.input(Input::Resumed { options });
    let at_once = || -> usize {
        let plan = world.scheduler.plan();
        plan.operations().filter(|(op, _)| world.scheduler.state(*op).is_out()).count()
    };
    assert_eq!(at_once(), 1);
    assert_eq!(world.finish(), RunOutcome::Succeeded);
    let plan = world.scheduler.plan();
    for (op, planned) in plan.operations().filter(|(_, planned)| planned.name.as_str().ends_with("/op0")) {
        assert_eq!(world.launches.get(&op.0), first.get(&op.0), "{}", planned.name);
    }
    let again = plan.operations().filter(|(op, _)| world.launches.get(&op.0) != first.get(&op.0)).count();
    assert_eq!(again, 8, "the failed and the cancelled one of each item");
}

#[test]
fn item_of_a_resumed_run_that_is_cancelled_first_is_settled() {
    let mut whole = script(&[]);
    whole.inside = vec![Script { fails_first: 1, ..script(&[]) }];
    let scripts = [Script { fails_first: 1, ..script(&[]) }, whole];
    let plan = plan_of(&scripts);
    let options = RunOptions { keep_going: true, ..RunOptions::default() };
    let mut world = World::new(&scripts, &plan, &options);
    world.begin();
    assert_eq!(world.finish(), RunOutcome::Failed);
    world.input(Input::Resumed { options });
    assert!(world.scheduler.state(OpIx(0)).is_out());
    assert_eq!(world.scheduler.explain(OpIx(2)), Explanation::WaitsFor(vec![OpIx(1)]));
    world.input(Input::CancelAsked { reason: CancelReason::Interrupted });
    world.finish();
    let outcome = |op| world.scheduler.state(OpIx(op)).outcome();
    assert_eq!([outcome(1), outcome(2)], [Some(Outcome::Cancelled); 2]);
}

#[test]
fn operation_waits_for_everything_that_a_generator_adds() {
    let plan = plan(json!({"operations": [
        {"name": "gen", "type": "sample", "params": {"agenda.operation.generator": {"operationsJsonPointer": ""}}},
        {"name": "all", "type": "sample", "params": {"dependsOn": "gen.generated"}},
        {"name": "end", "type": "sample", "params": {"dependsOn": "gen.generated", "finally": true}}]}));
    let mut steps = Steps::begin(&plan);
    let inner = json!([{"name": "c", "type": "sample"}]);
    let made = json!([
        {"name": "a", "type": "sample"},
        {"name": "b", "type": "sample", "params": {"agenda.operation.generator": {"operationsJsonPointer": ""}}},
        {"name": "d", "type": "sample", "params": {"dependsOn": "b.generated"}}]);
    assert_eq!(steps.succeed("gen", made), ["a null", "b null"]);
    assert_eq!(steps.succeed("b", inner), ["c null"]);
    assert_eq!(steps.succeed("a", json!(1)), [""; 0]);
    assert_eq!(steps.succeed("c", json!(1)), ["d null"]);
    assert_eq!(steps.end("d", failed()), ["end null"]);
    assert_eq!(steps.outcome("all"), Some(Outcome::Cancelled));
}

#[test]
fn generated_operation_cannot_wait_for_what_waits_for_it() {
    let plan = plan(json!({"operations": [
        {"name": "gen", "type": "sample", "params": {"agenda.operation.generator": {"operationsJsonPointer": ""}}},
        {"name": "all", "type": "sample", "params": {"dependsOn": "gen.generated"}}]}));
    let mut steps = Steps::begin(&plan);
    steps.succeed("gen", json!([{"name": "a", "type": "sample", "params": {"dependsOn": "all"}}]));
    assert_eq!(steps.outcome("gen"), Some(Outcome::Failed));
}
