//! Policies of the schedule, one by one: shared resources, instances, generators and clean-up.

use crate::world::{Script, World, plan, plan_of, script};
use pop_agenda::{
    Action, Answer, BoundPayload, CancelReason, Ending, Explanation, Gate, Input, OpIx, OpState, Outcome,
    Plan, PriorOutcomes, RunEvent, RunOptions, RunOutcome, RunTime, Scheduler, Step, Verdict,
};
use pop_contract::{Blame, Failure};
use serde_json::{Value, json};
use std::sync::Arc;

fn wide(parallel: u32) -> RunOptions {
    RunOptions { parallel, keep_going: true, ..RunOptions::default() }
}

/// First launch time of each operation of the agenda.
fn starts(world: &World<'_>) -> Vec<u64> {
    let start = |op: u32| {
        let is_start =
            |event: &RunEvent| matches!(event, RunEvent::AttemptStarted { op: of, .. } if of.0 == op);
        world.journal.iter().find(|record| is_start(&record.event)).map(|record| record.at.0)
    };
    (0..).map_while(start).collect()
}

fn begun(plan: &Arc<Plan>, options: RunOptions) -> (Scheduler, Vec<Action>) {
    let mut scheduler = Scheduler::new(Arc::clone(plan), options);
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() };
    let step = scheduler.step(RunTime(0), begun);
    (scheduler, step.actions)
}

fn end(scheduler: &mut Scheduler, now: u64, op: u32, result: Value) -> Vec<Action> {
    let verdict = Verdict::succeeded(result);
    let step = scheduler.step(RunTime(now), Input::Ended { op: OpIx(op), attempt: 1, verdict });
    scheduler.check().unwrap();
    step.actions
}

/// The failure of the only operation that could not be started.
fn failed_start(events: &[RunEvent]) -> Failure {
    let mut failures = events.iter().filter_map(|event| match event {
        RunEvent::StartFailed { failure, .. } => Some(failure.as_ref().clone()),
        _ => None,
    });
    let failure = failures.next().unwrap();
    assert_eq!(failures.next(), None);
    failure
}

fn launched(actions: &[Action]) -> Vec<u32> {
    let launch = |action: &Action| match action {
        Action::Launch { op, .. } => Some(op.0),
        _ => None,
    };
    actions.iter().filter_map(launch).collect()
}

#[test]
fn r3_safe_excludes_and_none_interleaves() {
    for (lock, wanted) in [(None, vec![0, 0, 0]), (Some(0), vec![0, 10, 20])] {
        let scripts = vec![Script { lock, ..script(&[]) }; 3];
        let plan = plan_of(&scripts);
        let mut world = World::new(&scripts, &plan, &wide(3));
        world.begin();
        assert_eq!(world.finish(), RunOutcome::Succeeded);
        assert_eq!(starts(&world), wanted);
    }
}

#[test]
fn r3_optimistic_reads_versions_at_start_for_the_commit() {
    let plan = plan(json!({"operations": [
        {"name": "a", "type": "sample", "params": {"lock": "OPTIMISTIC", "lockKey": "asset-@<pop.operationName>"}}]}));
    let (mut scheduler, actions) = begun(&plan, wide(1));
    let Action::Ask { op, gate: Gate::Version { name } } = &actions[0] else { unreachable!("{actions:?}") };
    assert_eq!(&**name, "asset-a");
    let step = scheduler.step(RunTime(1), Input::Answered { op: *op, answer: Answer::Version(7) });
    assert_eq!(launched(&step.actions), [0]);
    assert_eq!(scheduler.versions(OpIx(0)), [("asset-a", 7)]);
    // success counts only after the commit, and an event precedes the commit
    let op = OpIx(0);
    assert_eq!(end(&mut scheduler, 2, 0, json!({})), [Action::Commit { op, attempt: 1 }]);
    assert!(matches!(scheduler.state(op), OpState::Committing(_)));
    let step = scheduler.step(RunTime(3), Input::Committed { op, attempt: 1, outcome: Ok(None) });
    let keys = vec!["asset-a".into()];
    assert_eq!(step.actions, [Action::ConfirmCommit { op, attempt: 1, keys }, Action::Release { op }]);
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Succeeded));
}

#[test]
fn r3_conflict_fails_the_attempt_and_retry_reads_anew() {
    let plan = plan(json!({"operations": [{"name": "a", "type": "sample",
        "params": {"lock": "OPTIMISTIC", "lockKey": "k", "retry": {"maxAttempts": 2, "delayMs": 5}}}]}));
    let (mut scheduler, _) = begun(&plan, wide(1));
    let op = OpIx(0);
    scheduler.step(RunTime(1), Input::Answered { op, answer: Answer::Version(7) });
    end(&mut scheduler, 2, 0, json!({}));
    let conflict = Box::new(Failure::new(Blame::Handler, "conflict", "changed meanwhile"));
    scheduler.step(RunTime(3), Input::Committed { op, attempt: 1, outcome: Err(conflict) });
    scheduler.check().unwrap();
    let step = scheduler.step(RunTime(8), Input::Ticked);
    assert!(matches!(step.actions[0], Action::Ask { .. }), "{:?}", step.actions);
}

#[test]
fn delayed_commit_does_not_delay_the_end_of_the_run() {
    let plan = plan(json!({"operations": [
        {"name": "a", "type": "sample", "params": {"lock": "OPTIMISTIC", "lockKey": "k"}}]}));
    for is_forced in [false, true] {
        let (mut scheduler, _) = begun(&plan, wide(1));
        let op = OpIx(0);
        scheduler.step(RunTime(1), Input::Answered { op, answer: Answer::Version(7) });
        end(&mut scheduler, 2, 0, json!({}));
        let cancel = Input::CancelAsked { reason: CancelReason::Interrupted };
        scheduler.step(RunTime(3), cancel.clone());
        assert_eq!(scheduler.outcome(), None, "a commit usually takes microseconds");
        if is_forced {
            scheduler.step(RunTime(4), cancel);
        } else {
            let grace = scheduler.options().grace_ms;
            assert_eq!(scheduler.deadline(), Some(RunTime(3 + grace)));
            scheduler.step(RunTime(3 + grace), Input::Ticked);
        }
        scheduler.check().unwrap();
        assert_eq!(scheduler.outcome(), Some(RunOutcome::Interrupted));
        let late = scheduler.step(RunTime(99_999), Input::Committed { op, attempt: 1, outcome: Ok(None) });
        assert_eq!(late, Step::default());
    }
}

#[test]
fn f79_keys_are_requested_in_name_order_and_holder_shown() {
    let agenda = |one: Value, two: Value| {
        plan(json!({"params": {"lock": "SAFE"}, "operations": [
            {"name": "a", "type": "sample", "params": {"lockKey": one}},
            {"name": "b", "type": "sample", "params": {"lockKey": two}}]}))
    };
    let plan = agenda(json!(["x", "y"]), json!(["y", "x"]));
    let (mut scheduler, actions) = begun(&plan, wide(2));
    let mut asked: Vec<Action> = actions;
    let mut order = Vec::new();
    while let Some(Action::Ask { op, gate: Gate::Lock { name } }) = asked.pop() {
        order.push((op.0, name.to_string()));
        asked.extend(scheduler.step(RunTime(0), Input::Answered { op, answer: Answer::Granted }).actions);
        scheduler.check().unwrap();
    }
    assert_eq!(order, [(0, "x".to_owned()), (0, "y".to_owned())]);
    assert!(matches!(scheduler.state(OpIx(0)), OpState::Launched { .. }));
    let Explanation::Held { gate, by, .. } = scheduler.explain(OpIx(1)) else { unreachable!() };
    assert_eq!((gate, by), (Gate::Lock { name: "x".into() }, Some(OpIx(0))));
}

#[test]
fn r5_shared_delay_spaces_starts_others_do_not_wait() {
    let mut scripts = vec![Script { starts: Some((0, 100)), ..script(&[]) }; 4];
    scripts[3].starts = Some((1, 100));
    let plan = plan_of(&scripts);
    let mut world = World::new(&scripts, &plan, &wide(4));
    // another process on the host has just started an operation
    world.starts.insert("d0".to_owned(), 30);
    world.begin();
    world.finish();
    assert_eq!(starts(&world), [130, 230, 330, 0]);
}

#[test]
fn held_gates_are_limited_by_open_files() {
    let items: Vec<u32> = (0..500).collect();
    let plan = plan(json!({"operations": [{"name": "each", "type": "sample", "params": {
        "forEach": items, "lock": "SAFE", "lockKey": "k@<pop.index>", "delayMs": 1_000, "delayId": "api"}}]}));
    let (mut scheduler, mut asked) = begun(&plan, wide(4));
    let mut locks = 0;
    while let Some(action) = asked.pop() {
        if let Action::Ask { op, gate } = action {
            let answer = match gate {
                Gate::Lock { .. } => Answer::Granted,
                _ => Answer::Later { ms: 1_000 },
            };
            locks += u32::from(answer == Answer::Granted);
            asked.extend(scheduler.step(RunTime(0), Input::Answered { op, answer }).actions);
            scheduler.check().unwrap();
        }
    }
    // requests sent at the same time count once granted
    assert!((64..=68).contains(&locks), "{locks}");
}

#[test]
fn r5_unnamed_delay_applies_to_own_attempts_only() {
    let plan = plan(json!({"params": {"delayMs": 100}, "operations": [
        {"name": "a", "type": "sample", "params": {"forEach": [1, 2]}}, {"name": "b", "type": "sample"}]}));
    let (mut scheduler, actions) = begun(&plan, wide(9));
    // b, and the first item of a, which is added behind b
    assert_eq!(launched(&actions), [1, 2]);
    assert_eq!(scheduler.deadline(), Some(RunTime(100)));
    assert_eq!(launched(&scheduler.step(RunTime(100), Input::Ticked).actions), [3]);
}

#[test]
fn r7_one_operation_computes_while_equal_ones_wait() {
    let scripts = vec![Script { cache: Some(0), ..script(&[]) }; 4];
    let plan = plan_of(&scripts);
    let mut world = World::new(&scripts, &plan, &wide(4));
    world.begin();
    world.finish();
    let outcome = |op| world.scheduler.state(OpIx(op)).outcome().unwrap();
    assert_eq!(outcome(0), Outcome::Succeeded);
    assert!((1..4).all(|op| outcome(op) == Outcome::FromCache));
    assert_eq!((world.launches.len(), world.now), (1, RunTime(10)));
}

#[test]
fn r7_cache_needs_consent_of_handler_and_operation() {
    let asks = |params: Value| {
        let plan = plan(json!({"operations": [{"name": "a", "type": "sample", "params": params}]}));
        begun(&plan, wide(1)).1.iter().any(|action| matches!(action, Action::Ask { .. }))
    };
    assert!(asks(json!({"useCache": true, "cache.use": true})));
    assert!(!asks(json!({"useCache": true})));
    assert!(!asks(json!({"cache.use": true})));
    assert!(!asks(json!({"useCache": true, "cache.use": false})));
    // the author of a command is also the author of the agenda
    let exec = |params: Value| {
        let plan = plan(json!({"operations": [
            {"name": "a", "type": "exec", "payload": {"command": ["true"]}, "params": params}]}));
        begun(&plan, wide(1)).1.iter().any(|action| matches!(action, Action::Ask { .. }))
    };
    assert!(exec(json!({"useCache": true})));
}

#[test]
fn r7_result_is_cached_before_the_lock_is_released() {
    for (write, wanted) in [(true, vec!["fill", "release"]), (false, vec!["release"])] {
        let params = json!({"useCache": true, "cache.use": true, "cache.write": write, "cacheTtlMs": 5});
        let plan = plan(json!({"operations": [{"name": "a", "type": "sample", "params": params}]}));
        let (mut scheduler, _) = begun(&plan, wide(1));
        scheduler.step(RunTime(0), Input::Answered { op: OpIx(0), answer: Answer::Granted });
        let miss = Answer::miss("nothing is kept");
        scheduler.step(RunTime(0), Input::Answered { op: OpIx(0), answer: miss });
        let said = |action: Action| match action {
            Action::Fill { ask, .. } => {
                assert_eq!(ask.ttl_ms, Some(5));
                "fill"
            }
            Action::Release { .. } => "release",
            _ => "other",
        };
        assert_eq!(end(&mut scheduler, 1, 0, json!(1)).into_iter().map(said).collect::<Vec<_>>(), wanted);
    }
}

#[test]
fn r4_matching_pattern_skips_and_reports_the_values() {
    let plan = plan(json!({"operations": [
        {"name": "a", "type": "sample", "payload": {"data": {"status": "A"}}, "params": {"skipPattern": "data.status=='A'"}},
        {"name": "b", "type": "sample", "payload": {"data": {}}, "params": {"skipPattern": "data.status", "dependsOn": "a"}}]}));
    let mut scheduler = Scheduler::new(Arc::clone(&plan), wide(1));
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() };
    let step = scheduler.step(RunTime(0), begun);
    let decided = step.events.iter().find_map(|event| match event {
        RunEvent::OperationSettled { outcome: Outcome::Skipped, skipped, .. } => skipped.as_ref(),
        _ => None,
    });
    assert_eq!(decided.unwrap().to_string(), "data.status=='A': data.status is \"A\"");
    assert_eq!(launched(&step.actions), [1]);
}

#[test]
fn r2_dead_letter_continues_the_run_without_dependants() {
    let mut scripts = vec![script(&[]), script(&[0]), script(&[])];
    scripts[0] = Script { fails_first: 9, max_attempts: 2, on_fail: "DLQ", ..script(&[]) };
    let plan = plan_of(&scripts);
    // a dead letter ends nothing, even without --keep-going
    let mut world = World::new(&scripts, &plan, &RunOptions::default());
    world.begin();
    assert_eq!(world.finish(), RunOutcome::DeadLettered);
    assert_eq!(world.outcomes(), [Outcome::DeadLettered, Outcome::Cancelled, Outcome::Succeeded]);
    assert_eq!(world.letters.iter().copied().collect::<Vec<_>>(), [0]);
    assert_eq!(world.scheduler.dead_letter_history(OpIx(0)).unwrap().attempts.len(), 2);
}

#[test]
fn f41_for_each_results_are_in_item_order_null_if_skipped() {
    let plan = plan(json!({"operations": [
        {"name": "list", "type": "sample"},
        {"name": "each", "type": "sample", "params": {"forEach": "@<list.out::/items>", "maxParallel": 2, "skipPattern": "n==`2`"},
         "payload": {"n": "@<pop.item::/n>", "i": "@<pop.index>"}},
        {"name": "all", "type": "sample", "payload": "@<each.out>"}]}));
    let (mut scheduler, _) = begun(&plan, wide(9));
    let items = json!({"items": [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]});
    // the first, and the third in the place of the second, which is skipped
    assert_eq!(launched(&end(&mut scheduler, 1, 0, items)), [3, 5]);
    assert_eq!(scheduler.explain(OpIx(6)), Explanation::NoPlace { of: OpIx(1) });
    assert_eq!(scheduler.payload(OpIx(5)).unwrap().as_ref(), &json!({"n": 3, "i": 2}));
    assert_eq!(scheduler.plan().operation(OpIx(5)).name.as_str(), "each#2");
    assert_eq!(launched(&end(&mut scheduler, 2, 5, json!("c"))), [6]);
    end(&mut scheduler, 3, 6, json!("d"));
    assert_eq!(launched(&end(&mut scheduler, 4, 3, json!("a"))), [2]);
    assert_eq!(scheduler.payload(OpIx(2)).unwrap().as_ref(), &json!(["a", null, "c", "d"]));
}

#[test]
fn f41_for_each_accepts_an_empty_list_and_fails_on_others() {
    let plan = plan(json!({"operations": [
        {"name": "list", "type": "sample"},
        {"name": "none", "type": "sample", "params": {"forEach": []}},
        {"name": "bad", "type": "sample", "params": {"forEach": "@<list.out::/a>"}},
        {"name": "all", "type": "sample", "payload": "@<none.out>"}]}));
    let (mut scheduler, actions) = begun(&plan, wide(9));
    assert_eq!(launched(&actions), [0, 3]);
    assert_eq!(scheduler.payload(OpIx(3)).unwrap().as_ref(), &json!([]));
    let verdict = Verdict::succeeded(json!({"a": {"b": 1}}));
    let step = scheduler.step(RunTime(1), Input::Ended { op: OpIx(0), attempt: 1, verdict });
    assert_eq!(launched(&step.actions), Vec::<u32>::new());
    let failure = failed_start(&step.events);
    assert_eq!(failure.code, "reference");
    assert!(failure.message.contains("`forEach` needs a list, not a map"), "{failure:?}");
}

#[test]
fn f41_failed_part_fails_the_whole_resume_does_the_rest() {
    let mut scripts = vec![script(&[]), script(&[0])];
    scripts[0] = Script { items: Some((5, 2)), ..script(&[]) };
    let plan = plan_of(&scripts);
    let mut world = World::new(&scripts, &plan, &wide(2));
    world.begin();
    let failed = Verdict::failed(Failure::new(Blame::Handler, "exit", "x"));
    world.input(Input::Ended { op: OpIx(3), attempt: 1, verdict: failed });
    assert_eq!(world.finish(), RunOutcome::Failed);
    assert_eq!(world.outcomes(), [Outcome::Failed, Outcome::Cancelled]);
    let before = world.launches.clone();
    world.input(Input::Resumed { options: wide(2) });
    assert_eq!(world.finish(), RunOutcome::Succeeded);
    let again: Vec<u32> = world
        .launches
        .iter()
        .filter(|(op, count)| before.get(op) != Some(count))
        .map(|(op, _)| *op)
        .collect();
    let mut again = again;
    again.sort_unstable();
    assert_eq!(again, [1, 3]);
}

#[test]
fn f41_100_000_items_are_scheduled_sequentially() {
    let items: Vec<u32> = (0..100_000).collect();
    let plan = plan(json!({"operations": [
        {"name": "each", "type": "sample", "params": {"forEach": items, "maxParallel": 3}, "payload": "@<pop.item>"}]}));
    let (mut scheduler, actions) = begun(&plan, wide(9));
    assert_eq!(launched(&actions), [1, 2, 3]);
    let mut next = launched(&actions);
    let mut done = 0;
    while let Some(op) = next.pop() {
        let verdict = Verdict::succeeded(json!(op));
        let step = scheduler.step(RunTime(1), Input::Ended { op: OpIx(op), attempt: 1, verdict });
        next.extend(launched(&step.actions));
        done += 1;
    }
    assert_eq!((done, scheduler.outcome()), (100_000, Some(RunOutcome::Succeeded)));
}

fn generator(operations: &Value) -> (Arc<Plan>, Value) {
    let plan = plan(json!({"operations": [
        {"name": "gen", "type": "sample", "params": {"agenda.operation.generator": {"operationsJsonPointer": "/ops"}}},
        {"name": "after", "type": "sample", "params": {"dependsOn": "gen"}}]}));
    (plan, json!({"ops": operations}))
}

#[test]
fn f42_generated_operations_run_once_across_resumes() {
    let (plan, result) = generator(&json!([
        {"name": "x", "type": "sample", "payload": "@<gen.out::/ops/0/name>"},
        {"name": "y", "type": "sample", "payload": {"x": "@<x.out>"}, "params": {"dependsOn": ["after"]}}]));
    let mut journal = Vec::new();
    let mut scheduler = Scheduler::new(Arc::clone(&plan), wide(9));
    let mut step = |scheduler: &mut Scheduler, at: u64, input: Input| {
        let step = scheduler.step(RunTime(at), input);
        let records = step.events.into_iter().map(|event| pop_agenda::EventRecord { at: RunTime(at), event });
        journal.extend(records);
        launched(&step.actions)
    };
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() };
    assert_eq!(step(&mut scheduler, 0, begun), [0]);
    let ended = |op, result| Input::Ended { op: OpIx(op), attempt: 1, verdict: Verdict::succeeded(result) };
    assert_eq!(step(&mut scheduler, 1, ended(0, result)), [1, 2]);
    assert_eq!(scheduler.payload(OpIx(2)).unwrap().as_ref(), &json!("x"));
    assert_eq!(step(&mut scheduler, 2, ended(2, json!(5))), Vec::<u32>::new());
    assert_eq!(step(&mut scheduler, 3, ended(1, json!({}))), [3]);
    assert_eq!(step(&mut scheduler, 4, ended(3, json!({}))), Vec::<u32>::new());
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Succeeded));
    // at every prefix of the journal, the operations are added exactly once
    for cut in 1..journal.len() {
        let mut again = Scheduler::new(Arc::clone(&plan), wide(9));
        for record in &journal[..cut] {
            again.evolve(record);
            again.check().unwrap();
        }
        let step = again.step(RunTime(9), Input::Resumed { options: wide(9) });
        again.check().unwrap();
        let grown = journal[..cut].iter().map(|record| &record.event).chain(&step.events);
        let grown = grown.filter(|event| matches!(event, RunEvent::PlanGrown { .. })).count();
        assert_eq!(grown, usize::from(cut > 2), "{cut}");
    }
}

#[test]
fn f42_generated_operations_are_checked_like_an_agenda() {
    let said = |operations: Value| {
        let (plan, result) = generator(&operations);
        let (mut scheduler, _) = begun(&plan, wide(9));
        let verdict = Verdict::succeeded(result);
        let step = scheduler.step(RunTime(1), Input::Ended { op: OpIx(0), attempt: 1, verdict });
        match &step.events[0] {
            RunEvent::AttemptEnded { ending: Ending::Failed(failure), .. } => {
                assert_eq!(failure.code, "generated");
                failure.message.clone()
            }
            other => format!("{other:?}"),
        }
    };
    assert_eq!(said(json!(7)), "`/ops` of its result must be a list of operations, not a number");
    assert_eq!(
        said(json!([{"name": "after", "type": "sample"}])),
        "two operations have the name `after` (at `/ops/0/name` of its result)"
    );
    assert_eq!(
        said(json!([{"name": "x", "type": "smaple", "payload": "@<nobody.out>"}])),
        "operation `x` is of type `smaple`, which no handler serves (at `/ops/0/type` of its result); \
         operation `x` refers to `nobody`, which is not in this agenda (at `/ops/0/payload` of its result)"
    );
    let circle = json!([{"name": "x", "type": "sample", "params": {"dependsOn": "y"}},
        {"name": "y", "type": "sample", "params": {"dependsOn": "x"}}]);
    assert!(said(circle).starts_with("operations depend on each other in a cycle: x -> y"));
    assert!(said(json!([])).contains("Succeeded"));
}

#[test]
fn log_only_generator_adds_nothing() {
    let (plan, mut result) = generator(&json!([{"name": "x", "type": "sample"}]));
    result["logOnly"] = json!(true);
    let (mut scheduler, _) = begun(&plan, wide(9));
    assert_eq!(launched(&end(&mut scheduler, 1, 0, result)), [1]);
    assert_eq!(scheduler.plan().len(), 2);
}

#[test]
fn f42_generator_nesting_is_limited() {
    let one = |level: u32| {
        json!({"name": format!("g{level}"), "type": "sample",
            "params": {"agenda.operation.generator": {"operationsJsonPointer": ""}}})
    };
    let plan = plan(json!({"operations": [one(0)]}));
    let (mut scheduler, _) = begun(&plan, wide(1));
    let mut level = 0;
    while scheduler.outcome().is_none() {
        end(&mut scheduler, 1, level, json!([one(level + 1)]));
        level += 1;
    }
    assert_eq!((level, scheduler.outcome()), (33, Some(RunOutcome::Failed)));
}

#[test]
fn conditional_runs_on_its_outcome_and_is_skipped_without() {
    let mut scripts = vec![script(&[]), script(&[0]), script(&[0]), script(&[1])];
    scripts[0].fails_first = 1;
    scripts[1].asks = vec!["failed"];
    scripts[2].asks = vec!["succeeded"];
    scripts[3].asks = vec!["failed"];
    let plan = plan_of(&scripts);
    // clean-up starts after a failure although nothing else does
    for options in [wide(1), RunOptions::default()] {
        let mut world = World::new(&scripts, &plan, &options);
        world.begin();
        assert_eq!(world.finish(), RunOutcome::Failed);
        let cancelled = if options.keep_going { Outcome::Skipped } else { Outcome::Cancelled };
        assert_eq!(world.outcomes(), [Outcome::Failed, Outcome::Succeeded, cancelled, Outcome::Skipped]);
    }
}

#[test]
fn finally_runs_last_after_failure_and_after_cancel() {
    for stop in [None, Some(CancelReason::Interrupted)] {
        let mut scripts = vec![script(&[]), script(&[0]), script(&[]), script(&[1])];
        scripts[0].fails_first = 1;
        scripts[2].is_finally = true;
        scripts[3].is_finally = true;
        let plan = plan_of(&scripts);
        let mut world = World::new(&scripts, &plan, &RunOptions::default());
        world.begin();
        if let Some(reason) = stop {
            world.input(Input::CancelAsked { reason });
        }
        world.finish();
        let outcomes = world.outcomes();
        assert_eq!(outcomes[1..], [Outcome::Cancelled, Outcome::Succeeded, Outcome::Succeeded], "{stop:?}");
        let starts: Vec<u64> = world
            .journal
            .iter()
            .filter(|record| matches!(record.event, RunEvent::AttemptStarted { op: OpIx(2 | 3), .. }))
            .map(|record| record.at.0)
            .collect();
        assert_eq!(starts.len(), 2);
        assert!(starts[0] > 0);
    }
}

#[test]
fn finally_waits_for_generated_operations() {
    let plan = plan(json!({"operations": [
        {"name": "gen", "type": "sample", "params": {"agenda.operation.generator": {"operationsJsonPointer": ""}}},
        {"name": "clean", "type": "sample", "params": {"finally": true}}]}));
    let (mut scheduler, actions) = begun(&plan, wide(9));
    assert_eq!(launched(&actions), [0]);
    let each = json!([{"name": "x", "type": "sample", "params": {"forEach": [1, 2]}}]);
    assert_eq!(launched(&end(&mut scheduler, 1, 0, each)), [3, 4]);
    assert_eq!(launched(&end(&mut scheduler, 2, 3, json!(1))), Vec::<u32>::new());
    assert_eq!(launched(&end(&mut scheduler, 3, 4, json!(2))), [1]);
}

#[test]
fn conditional_is_decided_again_in_a_resumed_run() {
    let mut scripts = vec![script(&[]), script(&[0])];
    scripts[0].fails_first = 1;
    scripts[1].asks = vec!["failed"];
    let plan = plan_of(&scripts);
    let mut world = World::new(&scripts, &plan, &RunOptions::default());
    world.begin();
    world.input(Input::CancelAsked { reason: CancelReason::Interrupted });
    world.finish();
    world.input(Input::Resumed { options: RunOptions::default() });
    world.finish();
    // the operation was interrupted before and now fails or succeeds: only the new outcome counts
    let wanted = match world.outcomes()[0] {
        Outcome::Failed => Outcome::Succeeded,
        _ => Outcome::Skipped,
    };
    assert_eq!(world.outcomes()[1], wanted);
    assert_ne!(world.outcomes()[0], Outcome::Cancelled);
}

#[test]
fn r7_cache_key_pattern_without_a_match_fails() {
    let params = json!({"useCache": true, "cache.use": true, "cacheKeyPattern": "misspelled"});
    let plan =
        plan(json!({"operations": [{"name": "a", "type": "sample", "payload": {}, "params": params}]}));
    let mut scheduler = Scheduler::new(plan, wide(1));
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() };
    let step = scheduler.step(RunTime(0), begun);
    let failure = failed_start(&step.events);
    assert_eq!((failure.code.as_str(), launched(&step.actions)), ("expression", Vec::new()));
    assert!(failure.message.contains("finds nothing in the payload"), "{failure:?}");
}

#[test]
fn unbindable_payload_fails_without_an_attempt() {
    let plan = plan(json!({"operations": [
        {"name": "a", "type": "sample"},
        {"name": "b", "type": "sample", "payload": "@<a.out::/w>", "params": {"onFail": "DLQ", "retry": {"maxAttempts": 3}}},
        {"name": "c", "type": "sample", "payload": "@<a.out::/w>", "params": {"ignoreErrors": "reference"}}]}));
    let (mut scheduler, _) = begun(&plan, wide(1));
    let verdict = Verdict::succeeded(json!({"h": 1}));
    let step = scheduler.step(RunTime(4), Input::Ended { op: OpIx(0), attempt: 1, verdict });
    assert_eq!(launched(&step.actions), Vec::<u32>::new());
    let outcome = |op| scheduler.state(OpIx(op)).outcome().unwrap();
    assert_eq!((outcome(1), outcome(2)), (Outcome::DeadLettered, Outcome::Succeeded));
    let history = scheduler.dead_letter_history(OpIx(1)).unwrap();
    assert_eq!((history.attempts.len(), history.failed_starts.len()), (0, 1));
    let start = &history.failed_starts[0];
    assert_eq!((start.at, start.after, start.failure.code.as_str()), (RunTime(4), 0, "reference"));
    assert!(start.failure.message.contains("there is no `/w`"), "{start:?}");
}

#[test]
fn launch_has_payload_and_shares_one_without_references() {
    let plan = plan(json!({"operations": [
        {"name": "a", "type": "sample", "payload": {"size": 3}},
        {"name": "b", "type": "sample", "payload": ["@<a.out>"]}]}));
    let (mut scheduler, actions) = begun(&plan, wide(1));
    let payload = |actions: &[Action]| match &actions[0] {
        Action::Launch { payload, .. } => payload.clone(),
        other => unreachable!("{other:?}"),
    };
    let BoundPayload::Shared(shared) = payload(&actions) else { unreachable!() };
    assert!(Arc::ptr_eq(&shared, &plan.operation(OpIx(0)).payload));
    assert_eq!(*payload(&end(&mut scheduler, 1, 0, json!(7))), json!([7]));
    // a new executor gets the same payload
    let options = scheduler.options().clone();
    assert_eq!(*payload(&scheduler.step(RunTime(2), Input::Resumed { options }).actions), json!([7]));
}

#[test]
fn for_each_over_a_skipped_list_with_fallback_is_empty() {
    let plan = plan(json!({"operations": [
        {"name": "list", "type": "sample", "params": {"onFail": "SKIP"}},
        {"name": "each", "type": "sample", "params": {"forEach": "@<list.out::/items?>"}}]}));
    let (mut scheduler, _) = begun(&plan, wide(1));
    let failed = Verdict::failed(Failure::new(Blame::Handler, "exit", "x"));
    scheduler.step(RunTime(1), Input::Ended { op: OpIx(0), attempt: 1, verdict: failed });
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Succeeded));
}

#[test]
fn second_cancel_starts_no_clean_up() {
    let mut scripts = vec![script(&[]), script(&[])];
    scripts[1].is_finally = true;
    let plan = plan_of(&scripts);
    let mut world = World::new(&scripts, &plan, &RunOptions::default());
    world.begin();
    world.input(Input::CancelAsked { reason: CancelReason::Interrupted });
    world.input(Input::CancelAsked { reason: CancelReason::Interrupted });
    world.finish();
    assert_eq!(world.scheduler.state(OpIx(1)).outcome(), Some(Outcome::Cancelled));
}
