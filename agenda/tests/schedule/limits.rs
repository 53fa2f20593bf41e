//! `totalTimeoutMs` and `lockTimeoutMs`: limits over several attempts and waits.

use crate::run::Run;
use pop_agenda::{Action, Answer, Input, OpIx, OpState, Outcome, RunEvent, RunTime, StopReason, Verdict};
use pop_contract::{Blame, Failure};
use serde_json::{Value, json};

fn stops(actions: &[Action]) -> bool {
    matches!(actions, [Action::Stop { force: false, .. }])
}

fn retried(total: u64) -> Value {
    json!([{"name": "a", "type": "sample", "params": {
        "timeoutMs": 300, "totalTimeoutMs": total,
        "retry": {"maxAttempts": 4, "delayMs": 200, "factor": 1}}}])
}

const TOTAL: &str = "took longer than its totalTimeoutMs of 700 over all attempts and waits";

#[test]
fn fr_a6_one_limit_covers_all_attempts_and_waits() {
    let mut run = Run::begin(&retried(700));
    assert_eq!(run.deadline(), Some(300));
    assert!(stops(&run.tick(300)));
    run.fail(310, 0, 1);
    assert_eq!(run.deadline(), Some(510));
    run.tick(510);
    assert_eq!(run.deadline(), Some(700));
    assert!(stops(&run.tick(700)));
    let stopped = RunEvent::StopAsked { op: OpIx(0), attempt: 2, reason: StopReason::TotalTimeout };
    assert_eq!(run.journal.last().map(|record| &record.event), Some(&stopped));
    run.fail(720, 0, 2);
    assert_eq!(run.failures(0)[1], ("timeout".to_owned(), TOTAL.to_owned()));
    assert_eq!(run.outcome(0), Some(Outcome::Failed));
}

#[test]
fn fr_a6_no_attempt_starts_after_the_total_limit() {
    let mut run = Run::begin(&retried(700));
    run.fail(290, 0, 1);
    run.tick(490);
    // the next attempt could start at 800
    run.fail(600, 0, 2);
    assert_eq!(run.outcome(0), Some(Outcome::Failed));
    assert_eq!(run.failures(0).len(), 2);
}

#[test]
fn fr_a6_the_total_limit_ends_a_wait_after_a_displacement_and_survives_a_resume() {
    let mut run = Run::begin(&retried(700));
    let displaced = Verdict::failed(Failure::new(Blame::Platform, "displaced", "its node is gone"));
    run.step(10, Input::Ended { op: OpIx(0), attempt: 1, verdict: displaced });
    assert!(matches!(run.scheduler.state(OpIx(0)), OpState::BackingOff { until: RunTime(1_010) }));
    let options = run.scheduler.options().clone();
    run.step(20, Input::Resumed { options });
    assert_eq!(run.deadline(), Some(700));
    run.tick(700);
    assert_eq!(run.failures(0), [("timeout".to_owned(), TOTAL.to_owned())]);
    assert_eq!(run.outcome(0), Some(Outcome::Failed));
}

#[test]
fn a_lock_is_awaited_for_a_limited_time_by_each_attempt() {
    let params = json!({"lock": "SAFE", "lockKey": "k", "lockTimeoutMs": 50, "retry": {"maxAttempts": 2, "delayMs": 5}});
    let mut run = Run::begin(&json!([
        {"name": "a", "type": "sample", "params": {"lock": "SAFE", "lockKey": "k"}},
        {"name": "b", "type": "sample", "params": params}]));
    run.step(0, Input::Answered { op: OpIx(0), answer: Answer::Granted });
    assert!(matches!(run.scheduler.state(OpIx(1)), OpState::Gated(_)));
    assert_eq!(run.deadline(), Some(50));
    run.tick(50);
    let wait = "waited longer for its locks than its lockTimeoutMs of 50";
    assert_eq!(run.failures(1), [("lock-timeout".to_owned(), wait.to_owned())]);
    assert_eq!(run.deadline(), Some(55));
    run.tick(55);
    assert_eq!(run.deadline(), Some(105));
    // the lock becomes free in time for the second attempt
    run.step(100, Input::Ended { op: OpIx(0), attempt: 1, verdict: Verdict::succeeded(json!({})) });
    let actions = run.step(101, Input::Answered { op: OpIx(1), answer: Answer::Granted });
    assert!(matches!(actions[..], [Action::Launch { op: OpIx(1), .. }]));
    assert_eq!(run.deadline(), None);
    run.step(300, Input::Ended { op: OpIx(1), attempt: 1, verdict: Verdict::succeeded(json!({})) });
    assert_eq!(run.outcome(1), Some(Outcome::Succeeded));
}
