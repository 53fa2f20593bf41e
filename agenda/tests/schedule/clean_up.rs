//! `finally`: what it knows about the run, its time limit, and its repetition by a resumed run.

use crate::run::Run;
use pop_agenda::{Action, Agenda, CancelReason, Input, OpIx, Outcome, Plan, RunOptions, RunOutcome, Verdict};
use pop_contract::LaunchType;
use pop_registry::Catalog;
use serde_json::{Value, json};

fn launched(run: &Run, actions: &[Action]) -> Vec<String> {
    let name = |op: &OpIx| run.scheduler.plan().operation(*op).name.to_string();
    let launch = |action: &Action| match action {
        Action::Launch { op, .. } => Some(name(op)),
        _ => None,
    };
    actions.iter().filter_map(launch).collect()
}

fn resume(run: &mut Run, now: u64) -> Vec<String> {
    let options = RunOptions { parallel: 9, keep_going: true, ..RunOptions::default() };
    let actions = run.step(now, Input::Resumed { options });
    launched(run, &actions)
}

/// Operations `a` and `b`, of which `b` fails at first, and a `finally` with these params.
fn failed_run(finally: &Value) -> Run {
    let mut run = Run::begin(&json!([
        {"name": "a", "type": "sample"}, {"name": "b", "type": "sample"},
        {"name": "end", "type": "sample", "params": finally, "payload": {"outcome": "@<pop.run::/outcome>", "failed": "@<pop.run::/failed>"}}]));
    run.succeed(1, "a", json!({}));
    run.fail(2, 1, 1);
    assert_eq!(
        run.scheduler.payload(OpIx(2)).unwrap().as_ref(),
        &json!({"outcome": "failed", "failed": ["b"]})
    );
    run.succeed(3, "end", json!({}));
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::Failed));
    run
}

#[test]
fn fr_d6_clean_up_runs_each_time_the_run_ends() {
    for finally in [json!({"finally": true}), json!({"finally": "always", "dependsOn": "a"})] {
        let params = finally.to_string();
        let mut run = failed_run(&finally);
        let mut names = resume(&mut run, 10);
        let actions =
            run.step(11, Input::Ended { op: OpIx(1), attempt: 2, verdict: Verdict::succeeded(json!({})) });
        names.extend(launched(&run, &actions));
        names.sort_unstable();
        assert_eq!(names, ["b", "end"], "{params}");
        assert_eq!(run.scheduler.payload(OpIx(2)).unwrap()["outcome"], "succeeded");
        run.step(12, Input::Ended { op: OpIx(2), attempt: 2, verdict: Verdict::succeeded(json!({})) });
        assert_eq!(run.scheduler.outcome(), Some(RunOutcome::Succeeded));
        assert_eq!(run.outcome_of("end"), Some(Outcome::Succeeded));
    }
}

#[test]
fn clean_up_when_repeated_follows_what_it_waits_for() {
    let follows = |name: &str| json!({"finally": "whenRepeated", "dependsOn": name});
    for (finally, repeats) in
        [(follows("a"), false), (follows("b"), true), (json!({"finally": "whenRepeated"}), true)]
    {
        let mut run = failed_run(&finally);
        let mut names = resume(&mut run, 10);
        let ended = Input::Ended { op: OpIx(1), attempt: 2, verdict: Verdict::succeeded(json!({})) };
        let actions = run.step(11, ended);
        names.extend(launched(&run, &actions));
        assert_eq!(names.contains(&"end".to_owned()), repeats, "{finally}");
    }
}

#[test]
fn fr_d8_clean_up_after_the_time_limit_has_a_limit_of_its_own() {
    let mut run = Run::begin(&json!([
        {"name": "a", "type": "sample"}, {"name": "end", "type": "sample", "params": {"finally": true}}]));
    let options = RunOptions {
        time_limit_ms: Some(100),
        cleanup_limit_ms: Some(50),
        ..run.scheduler.options().clone()
    };
    run.step(1, Input::Resumed { options });
    assert_eq!(run.deadline(), Some(100));
    assert!(matches!(run.tick(100)[..], [Action::Stop { op: OpIx(0), .. }]));
    run.fail(101, 0, 1);
    assert!(run.scheduler.state(OpIx(1)).is_out());
    assert_eq!(run.deadline(), Some(150));
    let killed = run.tick(150);
    assert!(killed.contains(&Action::Stop { op: OpIx(1), attempt: 1, force: true }), "{killed:?}");
    assert_eq!(run.deadline(), None);
    run.fail(151, 1, 1);
    assert_eq!(run.outcome_of("end"), Some(Outcome::Cancelled));
    assert_eq!(run.scheduler.outcome(), Some(RunOutcome::TimeLimit));
    // after an interrupt, the limit of clean-up still applies
    let mut run = failed_run(&json!({"finally": true}));
    let options =
        RunOptions { time_limit_ms: Some(200), cleanup_limit_ms: Some(50), ..RunOptions::default() };
    run.step(10, Input::Resumed { options });
    run.step(11, Input::CancelAsked { reason: CancelReason::Interrupted });
    assert!(run.deadline().is_some_and(|at| at <= 10_011));
}

#[test]
fn only_clean_up_may_refer_to_the_run() {
    let faults = |params: Value| {
        let agenda = json!({"operations": [
            {"name": "a", "type": "sample"},
            {"name": "b", "type": "sample", "params": params, "payload": "@<pop.run>"}]});
        let mut faults = Vec::new();
        let agenda = Agenda::parse(agenda, &mut faults).unwrap();
        Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults);
        faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>()
    };
    let refused = "operation `b` refers to `pop.run`, but the run has no outcome when it starts";
    assert_eq!(faults(json!({"dependsOn": "a"})), [refused]);
    for params in [json!({"finally": true}), json!({"dependsOn": "a.failed"}), json!({"when": "outcomes.a"})]
    {
        assert_eq!(faults(params), Vec::<String>::new());
    }
    assert_eq!(
        faults(json!({"finally": "whenRepeatd"})),
        ["`finally` must be one of true, false, always, whenRepeated, not `whenRepeatd`", refused]
    );
}
