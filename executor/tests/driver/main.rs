//! The driver with scripted ports: the order record, report, act; each port made to fail; nothing left behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod place_threads;
mod world;

use crate::world::{Play, Setup, drive, ends, exec, outcomes, setup};
use pop_agenda::{OpIx, Outcome, RunEvent, RunOutcome};
use pop_contract::{Exit, FinalReport, Progress};
use pop_executor::restore;
use pop_launchers::{LaunchEnd, LaunchEvent};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

#[tokio::test(start_paused = true)]
async fn record_comes_before_report_and_report_before_act() {
    let world = drive(setup(json!([exec("a", &[]), exec("b", &["a"])]), vec![ends(Exit::Code(0)); 2])).await;
    assert_eq!(world.outcome.unwrap(), RunOutcome::Succeeded);
    assert_eq!(
        world.diary,
        [
            "record RunStarted",
            "record AttemptStarted 0",
            "report RunStarted",
            "report AttemptStarted 0",
            "act launch 0",
            "record AttemptEnded 0",
            "record AttemptStarted 1",
            "report AttemptEnded 0",
            "report AttemptStarted 1",
            "act launch 1",
            "record AttemptEnded 1",
            "record RunEnded",
            "report AttemptEnded 1",
            "report RunEnded",
        ]
    );
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_leads_nowhere_fails_its_operation_and_launches_nothing() {
    let operations = json!([exec("a", &[]),
        {"name": "b", "type": "exec", "payload": {"command": ["x", "@<a.out::/no/such>"]}}]);
    let world = drive(setup(operations, vec![ends(Exit::Code(0))])).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Failed);
    assert_eq!(outcomes(&world), [Some(Outcome::Succeeded), Some(Outcome::Failed)]);
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn references_reach_the_command_and_the_environment_names_the_operation() {
    let said = FinalReport { result: Some(json!({"w": [7]})), ..FinalReport::default() };
    let first = Play { ended: LaunchEnd { said, ..LaunchEnd::exited(Exit::Code(0)) }, ..ends(Exit::Code(0)) };
    let operations = json!([exec("a", &[]), {"name": "b", "id": "9", "type": "exec",
        "payload": {"command": ["x", "@<a.out::/w/0>", "@<pop.agendaId>", "@<pop.operationName>"]}}]);
    let world = drive(setup(operations, vec![first, ends(Exit::Code(0))])).await;
    let orders = world.launcher.orders.lock().unwrap();
    assert_eq!(orders[1].program.argv, ["x", "7", "ag", "b"]);
    assert_eq!(orders[1].name, "r-b-1");
    let variable = |name: &str| {
        let env = &orders[1].program.env;
        env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    assert_eq!(variable("OPERATION_NAME").as_deref(), Some("b"));
    assert_eq!(variable("OPERATION_ID").as_deref(), Some("9"));
    assert_eq!(variable("POP_ATTEMPT").as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn progress_is_recorded_and_handed_to_the_next_attempt() {
    let progress = Progress { percent_complete: Some(40.0), ..Progress::default() };
    let first = Play { says: vec![LaunchEvent::Progress(Box::new(progress))], ..ends(Exit::Code(1)) };
    let operations = json!([{"name": "a", "type": "exec", "payload": {"command": ["x"]},
        "params": {"retry": {"maxAttempts": 2}}}]);
    let world = drive(setup(operations, vec![first, ends(Exit::Code(0))])).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded);
    let restored = restore(Arc::clone(&world.plan), &world.events, Path::new("j")).unwrap();
    assert_eq!(restored.scheduler.progress(OpIx(0)).unwrap().percent_complete, Some(40.0));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f1_a_run_resumed_at_any_record_ends_the_same_and_repeats_no_success() {
    let operations = json!([exec("a", &[]), exec("b", &["a"]), {"name": "c", "type": "sample",
        "payload": {"resultPayload": 1}}, exec("d", &["b", "c"])]);
    let whole = drive(setup(operations.clone(), vec![ends(Exit::Code(0)); 3])).await;
    let wanted = outcomes(&whole);
    for cut in 1..whole.events.len() {
        let before = whole.events[..cut].to_vec();
        let done = before
            .iter()
            .filter(|event| matches!(event.event, RunEvent::AttemptEnded { op, .. } if op.0 != 2));
        let plays = vec![ends(Exit::Code(0)); 3 - done.count()];
        let world = drive(Setup { before, ..setup(operations.clone(), plays) }).await;
        assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded, "{cut}");
        assert_eq!(outcomes(&world), wanted, "{cut}");
        world.launcher.assert_empty();
    }
}
