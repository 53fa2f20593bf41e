//! Each port made to fail: the journal, the launcher, the programs, the clock.

use crate::world::{Play, Setup, World, drive, ends, exec, setup};
use pop_agenda::{CancelReason, Ending, EventRecord, RunEvent, RunOptions, RunOutcome, RunTime};
use pop_contract::{Blame, Exit, Failure};
use pop_executor::RunError;
use pop_launchers::LaunchEnd;
use serde_json::json;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

/// Where in the diary the first entry that begins so stands.
fn place(world: &World, entry: &str) -> usize {
    world.diary.iter().position(|line| line.starts_with(entry)).unwrap()
}

fn notices(world: &World) -> Vec<&str> {
    world.diary.iter().filter_map(|line| line.strip_prefix("notice ")).collect()
}

/// The code of the first attempt that failed.
fn code(world: &World) -> Option<&str> {
    world.events.iter().find_map(|recorded| match &recorded.event {
        RunEvent::AttemptEnded { ending: Ending::Failed(failure), .. } => Some(failure.code.as_str()),
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn f6_f8_a_journal_that_fails_stops_all_work_and_launches_nothing_more() {
    for fails_at in 1..=3 {
        let forever = Play { takes: None, ..ends(Exit::Code(0)) };
        let plays = match fails_at {
            1 => vec![],
            2 => vec![ends(Exit::Code(0)), forever],
            _ => vec![ends(Exit::Code(0)), forever, ends(Exit::Code(0))],
        };
        let world = drive(Setup {
            options: RunOptions { parallel: 2, ..RunOptions::default() },
            journal_fails: HashMap::from([(fails_at, io::ErrorKind::ReadOnlyFilesystem)]),
            ..setup(json!([exec("a", &[]), exec("long", &[]), exec("b", &["a"]), exec("c", &["b"])]), plays)
        })
        .await;
        assert!(matches!(world.outcome, Err(RunError::Journal(_))), "{fails_at}");
        world.launcher.assert_empty();
        let launches = world.diary.iter().filter(|entry| entry.starts_with("act launch")).count();
        assert_eq!(launches, [0, 2, 3][fails_at - 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn f6_without_room_for_the_journal_nothing_begins_what_runs_goes_on_and_room_lets_the_run_go_on() {
    let long = Play { takes: Some(Duration::from_secs(2)), ..ends(Exit::Code(0)) };
    let world = drive(Setup {
        options: RunOptions { parallel: 2, ..RunOptions::default() },
        // the first end cannot be recorded for some seconds
        journal_fails: (2..12).map(|append| (append, io::ErrorKind::StorageFull)).collect(),
        ..setup(
            json!([exec("a", &[]), exec("long", &[]), exec("b", &["a"])]),
            vec![ends(Exit::Code(0)), long, ends(Exit::Code(0))],
        )
    })
    .await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded);
    assert_eq!(
        notices(&world),
        [
            "there is no room for journal `journal` (no storage space): nothing new is started until there is",
            "there is room for the journal again: the run goes on",
        ]
    );
    assert!(place(&world, "act launch 2") > place(&world, "notice there is room"));
    assert!(place(&world, "act launch 1") < place(&world, "notice there is no room"));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f6_whoever_wants_the_run_to_end_need_not_wait_for_room() {
    let forever = Play { takes: None, ..ends(Exit::Code(0)) };
    let world = drive(Setup {
        journal_fails: (2..100_000).map(|append| (append, io::ErrorKind::StorageFull)).collect(),
        // itself it cannot be recorded either
        cancels: vec![CancelReason::Interrupted],
        ..setup(json!([exec("a", &[])]), vec![forever])
    })
    .await;
    assert!(matches!(world.outcome, Err(RunError::Journal(_))));
    world.launcher.assert_empty();
}

/// A launch for which there is no room.
fn refused() -> Play {
    let failure = Failure::new(Blame::Platform, "resources", "no room to start `x`");
    Play { ended: LaunchEnd::failed(failure), ..ends(Exit::Code(0)) }
}

#[tokio::test(start_paused = true)]
async fn f9_a_launch_without_room_is_tried_again_by_itself_and_told_once() {
    let mut plays = vec![refused(); 8];
    plays.insert(1, ends(Exit::Code(0)));
    plays.push(ends(Exit::Code(0)));
    let operations = json!([exec("a", &[]), exec("b", &[])]);
    let parallel = RunOptions { parallel: 2, ..RunOptions::default() };
    let world = drive(Setup { options: parallel, ..setup(operations, plays) }).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded);
    assert_eq!(notices(&world), ["no room to start `x`: it is tried again for a while"]);
    // no attempt was used up
    let begun = world.diary.iter().filter(|line| line.starts_with("record AttemptStarted")).count();
    assert_eq!((begun, code(&world)), (2, None));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f9_without_room_for_long_the_attempt_fails_and_is_the_platforms() {
    let operation = json!([{"name": "a", "type": "exec", "payload": {"command": ["x"]},
        "params": {"retry": {"maxAttempts": 2, "delayMs": 100}}}]);
    let plays = [vec![refused(); 13], vec![ends(Exit::Code(0))]].concat();
    let world = drive(setup(operation, plays)).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded);
    assert_eq!(code(&world), Some("resources"));
    assert!(world.diary.contains(&"record BackedOff 0".to_owned()));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f9_f77_what_still_waits_for_room_is_stopped_at_once() {
    let operation =
        json!([{"name": "a", "type": "exec", "payload": {"command": ["x"]}, "params": {"timeoutMs": 3_000}}]);
    let world = drive(setup(operation, vec![refused(); 6])).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Failed);
    assert_eq!((code(&world), world.events.last().unwrap().at), (Some("timeout"), RunTime(3_000)));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f9_f77_what_finds_no_room_after_it_was_asked_to_stop_is_not_tried_again() {
    let world = drive(Setup {
        cancels: vec![CancelReason::Interrupted],
        ..setup(json!([exec("a", &[])]), vec![Play { is_stubborn: true, ..refused() }])
    })
    .await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Interrupted);
    assert!(world.events.last().unwrap().at < RunTime(100));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f11_an_end_by_force_is_out_of_memory_if_the_kernel_counted_one() {
    for (exit, memory_kills, wanted) in [
        (Exit::Signal(9), true, "oom"),
        (Exit::Signal(9), false, "signal"),
        (Exit::Code(137), true, "oom"),
        (Exit::Signal(11), true, "signal"),
    ] {
        let world = drive(Setup { memory_kills, ..setup(json!([exec("a", &[])]), vec![ends(exit)]) }).await;
        assert_eq!(code(&world), Some(wanted), "{exit} {memory_kills}");
    }
}

#[tokio::test(start_paused = true)]
async fn f15_a_program_that_does_not_stop_is_killed_after_the_grace() {
    let forever = Play { takes: None, is_stubborn: true, ..ends(Exit::Code(0)) };
    let world = drive(Setup {
        cancels: vec![CancelReason::Interrupted],
        ..setup(json!([exec("a", &[])]), vec![forever])
    })
    .await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Interrupted);
    assert!(place(&world, "act stop 0") < place(&world, "act kill 0"));
    // asked at once, it ends when the grace does and not a moment later
    assert_eq!(world.events.last().unwrap().at, RunTime(RunOptions::default().grace_ms));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f21_a_silent_handler_inside_the_executor_is_stopped_too() {
    let operations = json!([{"name": "a", "type": "sample", "params": {"noOutputTimeoutMs": 200},
        "payload": {"actions": [{"action": "log", "paramsMap": {"sleepMilliseconds": 1_000_000}}]}}]);
    let world = drive(setup(operations, vec![])).await;
    let stalled = world.events.iter().any(|event| {
        matches!(&event.event, RunEvent::AttemptEnded { ending: pop_agenda::Ending::Failed(failure), .. }
            if failure.code == "stalled")
    });
    assert!(stalled, "{:?}", world.events);
}

#[tokio::test(start_paused = true)]
async fn f68_the_time_of_a_run_never_goes_back() {
    let operations = json!([exec("a", &[])]);
    let started = RunEvent::RunStarted {
        run: "r".into(),
        started: 999_999_999,
        options: RunOptions::default(),
        adopted: Vec::new(),
        adoptable: Vec::new(),
        parent: None,
    };
    let before = vec![EventRecord { at: RunTime(50), event: started }];
    // the wall clock of this executor is far behind
    let world = drive(Setup { before, ..setup(operations, vec![ends(Exit::Code(0))]) }).await;
    let times: Vec<u64> = world.events.iter().map(|event| event.at.0).collect();
    assert!(times.is_sorted() && times[0] == 50, "{times:?}");
}
