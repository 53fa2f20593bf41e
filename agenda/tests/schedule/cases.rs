//! Single cases of the scheduler.

use crate::world::{Script, World, plan_of, script};
use pop_agenda::{
    Action, CancelReason, Ending, Explanation, Input, OpIx, OpState, Outcome, PriorOutcome, PriorOutcomes,
    RunEvent, RunOptions, RunOutcome, RunTime, Scheduler, StopReason, Verdict,
};
use pop_contract::{Blame, Failure, Progress};
use serde_json::json;
use std::sync::Arc;

fn run(scripts: &[Script], options: &RunOptions) -> (RunOutcome, Vec<Outcome>, Vec<RunEvent>) {
    let plan = plan_of(scripts);
    let mut world = World::new(scripts, &plan, options);
    world.begin();
    let outcome = world.finish();
    (outcome, world.outcomes(), world.journal.into_iter().map(|record| record.event).collect())
}

#[test]
fn failure_starts_nothing_new_and_running_ones_finish() {
    let mut scripts = vec![script(&[]), script(&[]), script(&[]), script(&[1])];
    scripts[0].fails_first = 1;
    scripts[1].takes_ms = 50;
    let options = RunOptions { parallel: 2, ..RunOptions::default() };
    let (outcome, outcomes, _) = run(&scripts, &options);
    assert_eq!(outcome, RunOutcome::Failed);
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Succeeded, Outcome::Cancelled, Outcome::Cancelled]);
    let keep_going = RunOptions { keep_going: true, ..options };
    let (_, outcomes, _) = run(&scripts, &keep_going);
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Succeeded, Outcome::Succeeded, Outcome::Succeeded]);
}

#[test]
fn r2_skip_continues_and_fatal_stops_running_operations() {
    let mut scripts = vec![script(&[]), script(&[0]), script(&[])];
    scripts[0].fails_first = 1;
    scripts[0].on_fail = "SKIP";
    let options = RunOptions { parallel: 2, ..RunOptions::default() };
    let (outcome, outcomes, _) = run(&scripts, &options);
    assert_eq!(
        (outcome, outcomes[0], outcomes[1]),
        (RunOutcome::Succeeded, Outcome::Skipped, Outcome::Succeeded)
    );
    scripts[0].on_fail = "FATAL";
    scripts[2].takes_ms = 10_000;
    let (outcome, outcomes, events) = run(&scripts, &options);
    assert_eq!(outcome, RunOutcome::Fatal);
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Cancelled, Outcome::Succeeded]);
    let stopped = RunEvent::StopAsked { op: OpIx(2), attempt: 1, reason: StopReason::Cancelled };
    assert!(events.contains(&stopped));
}

#[test]
fn retry_waits_and_timeout_fails_with_its_code() {
    let mut scripts = vec![script(&[])];
    scripts[0] = Script { fails_first: 1, max_attempts: 2, delay_ms: 500, ..scripts[0].clone() };
    let (outcome, _, events) = run(&scripts, &RunOptions::default());
    assert_eq!(outcome, RunOutcome::Succeeded);
    assert!(events.contains(&RunEvent::BackedOff { op: OpIx(0), until: RunTime(510) }));

    scripts[0] = Script { timeout_ms: 5, takes_ms: 1_000, ..script(&[]) };
    let (outcome, _, events) = run(&scripts, &RunOptions::default());
    assert_eq!(outcome, RunOutcome::Failed);
    let codes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::AttemptEnded { ending: Ending::Failed(failure), .. } => Some(failure.code.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(codes, ["timeout"]);
}

#[test]
fn f78_journal_order_decides_between_timeout_and_success() {
    let scripts = vec![Script { timeout_ms: 10, takes_ms: 10, ..script(&[]) }];
    let plan = plan_of(&scripts);
    for (first, wanted) in [("end", Outcome::Succeeded), ("tick", Outcome::Failed)] {
        let mut scheduler = Scheduler::new(Arc::clone(&plan), RunOptions::default());
        scheduler.step(
            RunTime(0),
            Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() },
        );
        let end = Input::Ended { op: OpIx(0), attempt: 1, verdict: Verdict::succeeded(json!({})) };
        let inputs = if first == "end" { [end, Input::Ticked] } else { [Input::Ticked, end] };
        let settled: usize = inputs
            .into_iter()
            .flat_map(|input| scheduler.step(RunTime(10), input).events)
            .filter(|event| matches!(event, RunEvent::AttemptEnded { .. }))
            .count();
        assert_eq!((settled, scheduler.state(OpIx(0)).outcome()), (1, Some(wanted)));
    }
}

#[test]
fn f76_second_cancel_kills_and_late_report_decides() {
    let scripts = vec![script(&[]), script(&[])];
    let plan = plan_of(&scripts);
    let options = RunOptions { parallel: 2, ..RunOptions::default() };
    let mut scheduler = Scheduler::new(plan, options);
    scheduler
        .step(RunTime(0), Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() });
    let cancel = || Input::CancelAsked { reason: CancelReason::Interrupted };
    let stops = |step: pop_agenda::Step| -> Vec<bool> {
        step.actions
            .iter()
            .filter_map(|action| match action {
                Action::Stop { force, .. } => Some(*force),
                _ => None,
            })
            .collect()
    };
    assert_eq!(stops(scheduler.step(RunTime(1), cancel())), [false, false]);
    assert_eq!(scheduler.deadline(), Some(RunTime(10_001)));
    assert_eq!(stops(scheduler.step(RunTime(2), cancel())), [true, true]);
    assert_eq!(stops(scheduler.step(RunTime(3), cancel())), Vec::<bool>::new());
    // exit 0 after a signal proves nothing; a final report does
    let silent = Verdict { result: Ok(Arc::new(json!({}))), is_reported: false, instance: None };
    scheduler.step(RunTime(4), Input::Ended { op: OpIx(0), attempt: 1, verdict: silent });
    scheduler
        .step(RunTime(4), Input::Ended { op: OpIx(1), attempt: 1, verdict: Verdict::succeeded(json!({})) });
    assert_eq!(scheduler.state(OpIx(0)).outcome(), Some(Outcome::Cancelled));
    assert_eq!(scheduler.state(OpIx(1)).outcome(), Some(Outcome::Succeeded));
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Interrupted));
}

#[test]
fn inputs_of_ended_attempts_change_nothing() {
    let mut scripts = vec![script(&[]), script(&[])];
    scripts[0] = Script { fails_first: 1, max_attempts: 2, ..scripts[0].clone() };
    let plan = plan_of(&scripts);
    let mut scheduler = Scheduler::new(plan, RunOptions::default());
    scheduler
        .step(RunTime(0), Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() });
    let failed = Verdict::failed(Failure::new(Blame::Handler, "exit", "x"));
    scheduler.step(RunTime(1), Input::Ended { op: OpIx(0), attempt: 1, verdict: failed });
    let late = Input::Ended { op: OpIx(0), attempt: 1, verdict: Verdict::succeeded(json!({})) };
    assert_eq!(scheduler.step(RunTime(2), late), pop_agenda::Step::default());
    let progress = Arc::new(Progress::default());
    let late = Input::Progressed { op: OpIx(1), attempt: 7, progress };
    assert_eq!(scheduler.step(RunTime(2), late), pop_agenda::Step::default());
    assert!(matches!(scheduler.state(OpIx(0)), OpState::Launched { .. }));
}

#[test]
fn explain_names_the_dependencies() {
    let mut scripts = vec![script(&[]), script(&[0]), script(&[])];
    scripts[0].fails_first = 9;
    let plan = plan_of(&scripts);
    let options = RunOptions { keep_going: true, ..RunOptions::default() };
    let mut world = World::new(&scripts, &plan, &options);
    world.begin();
    assert_eq!(world.scheduler.explain(OpIx(1)), Explanation::WaitsFor(vec![OpIx(0)]));
    assert_eq!(world.scheduler.explain(OpIx(2)), Explanation::NoRoom { running: 1, parallel: 1 });
    assert_eq!(world.scheduler.explain(OpIx(0)), Explanation::Runs { since: RunTime(0), deadline: None });
    world.finish();
    assert_eq!(world.scheduler.explain(OpIx(1)), Explanation::Needed(vec![OpIx(0)]));
}

#[test]
fn a_time_limit_stops_the_run() {
    let scripts = vec![Script { takes_ms: 1_000, ..script(&[]) }, script(&[0])];
    let options = RunOptions { time_limit_ms: Some(100), ..RunOptions::default() };
    let (outcome, outcomes, _) = run(&scripts, &options);
    assert_eq!(outcome, RunOutcome::TimeLimit);
    assert_eq!(outcomes[1], Outcome::Cancelled);
}

#[test]
fn events_round_trip_through_json() {
    let mut scripts = vec![script(&[]), script(&[0])];
    scripts[0] = Script { fails_first: 1, max_attempts: 2, delay_ms: 3, ..scripts[0].clone() };
    let (_, _, events) = run(&scripts, &RunOptions::default());
    for event in events {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<RunEvent>(&text).unwrap(), event, "{text}");
    }
}

#[test]
fn results_of_an_earlier_run_are_adopted() {
    let scripts = vec![script(&[]), script(&[0]), script(&[1])];
    let plan = plan_of(&scripts);
    let mut scheduler = Scheduler::new(plan, RunOptions::default());
    let progress = Arc::new(Progress { percent_complete: Some(40.0), ..Progress::default() });
    let planned = vec![
        PriorOutcome { op: OpIx(0), result: Some(Arc::new(json!(1))), progress: None },
        PriorOutcome { op: OpIx(1), result: None, progress: Some(progress) },
    ];
    let step = scheduler.step(
        RunTime(0),
        Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes { planned, by_name: vec![] } },
    );
    assert!(matches!(step.actions[..], [Action::Launch { op: OpIx(1), attempt: 1, again: false, .. }]));
    assert_eq!(scheduler.state(OpIx(0)).outcome(), Some(Outcome::Succeeded));
    assert_eq!(scheduler.progress(OpIx(1)).unwrap().percent_complete, Some(40.0));
}

#[test]
fn fr_h14_a_cancelled_attempt_that_cannot_be_stopped_has_failed() {
    let plan = plan_of(&[script(&[])]);
    let mut scheduler = Scheduler::new(plan, RunOptions::default());
    scheduler
        .step(RunTime(0), Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() });
    scheduler.step(RunTime(1), Input::CancelAsked { reason: CancelReason::Interrupted });
    let refused =
        Verdict::failed(Failure::new(Blame::Platform, "not-stopped", "process 7 cannot be stopped"));
    scheduler.step(RunTime(2), Input::Ended { op: OpIx(0), attempt: 1, verdict: refused });
    assert_eq!(scheduler.state(OpIx(0)).outcome(), Some(Outcome::Failed));
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Interrupted));
}
