//! Reruns: which operations reuse the result of the parent, and replayed dead letters.

use crate::fold::disagreement;
use crate::properties::{options, scripts};
use crate::run::Run;
use crate::world::{Script, World, plan, plan_of, script};
use pop_agenda::{
    Action, Answer, Gate, History, Input, OpIx, Outcome, ParentRun, RunEvent, RunOptions, RunOutcome,
    Scheduler, Verdict,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

fn wide() -> RunOptions {
    RunOptions { parallel: 9, keep_going: true, ..RunOptions::default() }
}

fn parent(forced: &[&str], from: &[&str]) -> ParentRun {
    let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    ParentRun {
        run: "p".into(),
        forced: names(forced),
        forced_with_dependants: names(from),
        skipped: BTreeSet::new(),
    }
}

/// Runs an agenda whose operations are unchanged except for these. Returns the names of those that ran, and the answers
/// for the others that are not reused.
fn rerun(operations: &Value, changed: &[&str], parent: ParentRun) -> (Vec<String>, Vec<(String, String)>) {
    let plan = plan(json!({"operations": operations}));
    let scripts: Vec<Script> = plan.operations().map(|_| script(&[])).collect();
    let mut world = World::new(&scripts, &plan, &wide());
    let all = (0..plan.len() as u32).map(|op| plan.operation(OpIx(op)).name.to_string());
    let parts = ["f#0", "f#1", "f#2"].map(str::to_owned);
    let unchanged = all.chain(parts).filter(|name| !changed.contains(&name.as_str())).collect();
    world.parent = Some((parent, unchanged));
    world.compares_folds = true;
    world.begin();
    assert_eq!(world.finish(), RunOutcome::Succeeded);
    let name = |op: &OpIx| world.scheduler.plan().operation(*op).name.to_string();
    let mut ran: Vec<String> = world.launches.keys().map(|op| name(&OpIx(*op))).collect();
    ran.sort_unstable();
    let why = world.journal.iter().filter_map(|record| match &record.event {
        RunEvent::GateAnswered { op, answer: Answer::Miss { why, .. } } => Some((name(op), why.to_string())),
        _ => None,
    });
    (ran, why.collect())
}

/// Removes what depends on the order: time limits, caches, and failures that end the run.
fn independent_of_order(scripts: &mut [Script]) {
    for script in scripts {
        script.timeout_ms = 0;
        script.cache = None;
        if script.on_fail == "FATAL" {
            script.on_fail = "REPLY";
        }
        independent_of_order(&mut script.inside);
    }
}

fn sample(name: &str, payload: &str, params: &Value) -> Value {
    json!({"name": name, "type": "sample", "payload": {"text": payload}, "params": params})
}

#[test]
fn reader_of_an_equal_result_is_reused_and_follower_runs() {
    let operations = json!([
        sample("a", "", &json!({})),
        sample("reads", "@<a.out>", &json!({})),
        sample("follows", "", &json!({"dependsOn": ["a"]})),
        sample("after", "", &json!({"dependsOn": ["reads"]})),
        sample("other", "", &json!({})),
    ]);
    let (ran, why) = rerun(&operations, &["a"], parent(&[], &[]));
    assert_eq!(ran, ["a", "after", "follows"]);
    let after = "`reads`, which it follows without reading its result, is the same, but an operation before it ran again";
    let follows = "`a`, which it follows without reading its result, ran again";
    let expected = [("a", "it has changed"), ("follows", follows), ("after", after)];
    let expected = expected.map(|(name, why)| (name.to_owned(), why.to_owned()));
    assert_eq!(why, expected);
}

#[test]
fn named_operations_run_and_from_includes_dependants() {
    let operations = json!([
        sample("a", "", &json!({})),
        sample("b", "@<a.out>", &json!({})),
        sample("c", "@<b.out>", &json!({})),
    ]);
    assert_eq!(rerun(&operations, &[], parent(&[], &[])).0, Vec::<String>::new());
    assert_eq!(rerun(&operations, &[], parent(&["a"], &[])).0, ["a"]);
    assert_eq!(rerun(&operations, &[], parent(&[], &["b", "c"])).0, ["b", "c"]);
}

#[test]
fn items_are_reused_one_by_one() {
    let operations = json!([
        sample("f", "@<pop.item>", &json!({"forEach": [1, 2, 3]})),
        sample("reads", "@<f.out>", &json!({})),
        sample("follows", "", &json!({"dependsOn": "f"})),
    ]);
    assert_eq!(rerun(&operations, &["f#1"], parent(&[], &[])).0, ["f#1", "follows"]);
    assert_eq!(rerun(&operations, &[], parent(&["f#2"], &[])).0, ["f#2", "follows"]);
    assert_eq!(rerun(&operations, &[], parent(&["f"], &[])).0, ["f#0", "f#1", "f#2", "follows"]);
    assert_eq!(rerun(&operations, &[], parent(&[], &[])).0, Vec::<String>::new());
}

#[test]
fn clean_up_versions_and_undone_operations_are_never_reused() {
    let operations = json!([
        sample("plain", "", &json!({})),
        sample("versioned", "", &json!({"lock": "OPTIMISTIC", "lockKey": ["k", "l"]})),
        sample("fetch", "", &json!({})),
        sample("tidy", "", &json!({"finally": true, "undoes": "fetch"})),
    ]);
    let (ran, why) = rerun(&operations, &[], parent(&[], &[]));
    assert_eq!(ran, ["fetch", "tidy", "versioned"]);
    assert!(why.contains(&("fetch".to_owned(), "`tidy` has undone it".to_owned())), "{why:?}");
}

#[test]
fn follower_of_a_skipped_operation_is_reused_if_the_parent_skipped_it() {
    let operations = json!([
        sample("maybe", "", &json!({"when": "`false`"})),
        sample("next", "", &json!({"dependsOn": "maybe"})),
    ]);
    assert_eq!(rerun(&operations, &[], parent(&[], &[])).0, ["next"]);
    let skipped = ParentRun { skipped: ["maybe".into()].into(), ..parent(&[], &[]) };
    assert_eq!(rerun(&operations, &[], skipped).0, Vec::<String>::new());
}

#[test]
fn reader_of_a_repeated_result_is_marked() {
    let operations = json!([sample("a", "", &json!({})), sample("b", "@<a.out>", &json!({}))]);
    let plan = plan(json!({"operations": operations}));
    let scripts = [script(&[]), script(&[])];
    let mut world = World::new(&scripts, &plan, &wide());
    world.parent = Some((parent(&["a"], &[]), ["b".to_owned()].into()));
    world.begin();
    world.finish();
    let marks: Vec<bool> = world
        .journal
        .iter()
        .filter_map(|record| match &record.event {
            RunEvent::GatesSet { gates, .. } => match gates.first() {
                Some(Gate::Reuse { reads_repeated, .. }) => Some(*reads_repeated),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(marks, [false, true]);
}

/// Operations that are skipped or fail, locks, caches, items, generators and clean-up, of which some are unchanged. The
/// run ends, a reused operation was not launched, the two folds agree, and a crash at any record changes no outcome.
#[test]
fn rerun_is_the_same_after_a_crash_at_any_record() {
    let cases = ProptestConfig::default().cases / 4;
    let config = ProptestConfig { cases, ..ProptestConfig::default() };
    let strategy = (scripts(), 1_u32..5, any::<u64>());
    proptest::test_runner::TestRunner::new(config)
        .run(&strategy, |(mut scripts, parallel, unchanged)| {
            independent_of_order(&mut scripts);
            let plan = plan_of(&scripts);
            let names = (0..64).filter(|at| unchanged >> at & 1 == 1);
            let names: BTreeSet<String> = names
                .flat_map(|at| {
                    [format!("op{at}"), format!("op{at}#0"), format!("op{}#1", at / 2), format!("made{at}.0")]
                })
                .collect();
            let options = options(parallel);
            let begin = |world: &mut World<'_>| world.parent = Some((parent(&[], &[]), names.clone()));
            let mut whole = World::new(&scripts, &plan, &options);
            begin(&mut whole);
            whole.begin();
            let outcome = whole.finish();
            let (mut scheduler, mut history) =
                (Scheduler::new(Arc::clone(&plan), options.clone()), History::new(plan.len()));
            for (at, record) in whole.journal.iter().enumerate() {
                scheduler.evolve(record);
                history.add(record);
                prop_assert_eq!(disagreement(&scheduler, &history), None, "after record {}", at);
                if at + 1 == whole.journal.len() {
                    break;
                }
                let mut world =
                    World::of(&scripts, scheduler.clone(), history.clone(), &whole.journal[..=at]);
                begin(&mut world);
                world.compares_folds = true;
                world.input(Input::Resumed { options: options.clone() });
                prop_assert_eq!(world.finish(), outcome);
                prop_assert_eq!(world.outcomes(), whole.outcomes());
            }
            for (op, planned) in whole.scheduler.plan().operations() {
                let is_reused = whole.history.operation(op).reused.is_some();
                prop_assert!(
                    !is_reused || !whole.launches.contains_key(&op.0),
                    "{} was reused and ran",
                    planned.name
                );
            }
            Ok(())
        })
        .unwrap();
}

fn replayed(run: &mut Run, now: u64, name: &str, result: Value) -> Vec<Action> {
    let op = run.scheduler.plan().find(name).unwrap();
    run.step(now, Input::DeadLetterReplayed { op, run: "again".into(), result: result.into() });
    run.step(now, Input::Resumed { options: wide() })
}

#[test]
fn fr_d5_replayed_item_completes_its_run() {
    let mut run = Run::begin(&json!([
        {"name": "f", "type": "sample", "payload": "@<pop.item>", "params": {"forEach": [1, 2], "onFail": "DLQ"}},
        {"name": "merge", "type": "sample", "payload": "@<f.out>"}]));
    run.succeed(1, "f#0", json!("one"));
    run.fail(2, 3, 1);
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::DeadLettered));
    assert_eq!(run.outcome_of("merge"), Some(Outcome::Cancelled));
    // without a replay, nothing changes
    run.step(10, Input::Resumed { options: wide() });
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::DeadLettered));
    let actions = replayed(&mut run, 20, "f#1", json!("two"));
    let Some(Action::Launch { payload, .. }) = actions.last() else { unreachable!("{actions:?}") };
    assert_eq!(**payload, json!(["one", "two"]));
    run.succeed(21, "merge", json!({}));
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::Succeeded));
    assert_eq!(run.outcome_of("f#1"), Some(Outcome::Succeeded));
    let history = History::of(run.plan.len(), &run.journal);
    assert_eq!(history.operation(OpIx(3)).result().map(AsRef::as_ref), Some(&json!("two")));
    assert_eq!(disagreement(&run.scheduler, &history), None);
}

#[test]
fn fr_d5_one_of_two_replayed_items_leaves_the_other() {
    let mut run = Run::begin(&json!([
        {"name": "f", "type": "sample", "payload": "@<pop.item>", "params": {"forEach": [1, 2], "onFail": "DLQ"}}]));
    run.fail(1, 1, 1);
    run.fail(2, 2, 1);
    replayed(&mut run, 10, "f#0", json!("one"));
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::DeadLettered));
    assert_eq!(
        (run.outcome_of("f#0"), run.outcome_of("f#1")),
        (Some(Outcome::Succeeded), Some(Outcome::DeadLettered))
    );
    replayed(&mut run, 20, "f#1", json!("two"));
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::Succeeded));
}

#[test]
fn fr_d5_replayed_generator_adds_its_operations() {
    let mut run = Run::begin(&json!([{"name": "gen", "type": "sample", "params":
        {"onFail": "DLQ", "agenda.operation.generator": {"operationsJsonPointer": ""}}}]));
    run.fail(1, 0, 1);
    // a result that is not a list of operations cannot be used
    replayed(&mut run, 10, "gen", json!("no operations"));
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::DeadLettered));
    replayed(&mut run, 20, "gen", json!([{"name": "made", "type": "sample"}]));
    run.succeed(21, "made", json!({}));
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::Succeeded));
}

#[test]
fn fr_d3_undone_operation_is_repeated_for_one_that_needs_it() {
    let operations = |undoes: Value| {
        json!([
            {"name": "fetch", "type": "sample"},
            {"name": "count", "type": "sample", "params": {"dependsOn": "fetch"}},
            {"name": "use", "type": "sample", "params": {"dependsOn": "count"}},
            {"name": "alone", "type": "sample"},
            {"name": "tidy", "type": "sample", "params": {"finally": "whenRepeated", "undoes": undoes}}])
    };
    let run_once = |undoes: Value, failing: &str| {
        let mut run = Run::begin(&operations(undoes));
        let all = ["fetch", "count", "use", "alone"];
        for (at, name) in (1..).zip(all) {
            let op = run.scheduler.plan().find(name).unwrap();
            if name == failing { run.fail(at, op.0, 1) } else { drop(run.succeed(at, name, json!({}))) }
        }
        run.succeed(9, "tidy", json!({}));
        assert_eq!(run.scheduler.outcome(), Some(RunOutcome::Failed));
        run.step(10, Input::Resumed { options: wide() });
        let launched = |op: &OpIx| matches!(run.scheduler.state(*op), pop_agenda::OpState::Launched { .. });
        (0..5)
            .map(OpIx)
            .filter(launched)
            .map(|op| run.plan.operation(op).name.to_string())
            .collect::<Vec<_>>()
    };
    // `count` runs again between the two, and `use` waits for it
    assert_eq!(run_once(json!("fetch"), "use"), ["fetch"]);
    assert_eq!(run_once(json!([]), "use"), ["use"]);
    // nothing that runs again needs what was undone
    assert_eq!(run_once(json!("fetch"), "alone"), ["alone"]);
}

#[test]
fn fr_d3_resumed_run_repeats_what_was_undone_and_ends() {
    let mut run = Run::begin(&json!([
        {"name": "fetch", "type": "sample", "payload": "@<pop.item>", "params": {"forEach": [1, 2]}},
        {"name": "use", "type": "sample", "payload": "@<fetch.out>"},
        {"name": "tidy", "type": "sample", "params": {"finally": true, "undoes": ["fetch"]}}]));
    run.succeed(1, "fetch#0", json!(1));
    run.succeed(2, "fetch#1", json!(2));
    run.fail(3, 1, 1);
    run.succeed(4, "tidy", json!({}));
    run.step(10, Input::Resumed { options: wide() });
    let again = |run: &mut Run, now, name: &str| {
        let op = run.scheduler.plan().find(name).unwrap();
        run.step(now, Input::Ended { op, attempt: 2, verdict: Verdict::succeeded(json!(name)) })
    };
    again(&mut run, 11, "fetch#1");
    let actions = again(&mut run, 12, "fetch#0");
    let Some(Action::Launch { payload, .. }) = actions.last() else { unreachable!("{actions:?}") };
    assert_eq!(**payload, json!(["fetch#0", "fetch#1"]));
    again(&mut run, 13, "use");
    again(&mut run, 14, "tidy");
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::Succeeded));
    assert_eq!(run.outcome_of("fetch"), Some(Outcome::Succeeded));
}
