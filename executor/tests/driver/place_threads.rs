//! Runs of real programs, on place threads and on the event loop at the same time.

use crate::world::{Setup, World, drive, outcomes, setup};
use pop_agenda::{CancelReason, Outcome, RunEvent, RunOptions, RunOutcome};
use pop_executor::{JournalError, RunError};
use pop_launchers::ProcessLauncher;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Operations that take nothing, about as long as a short program may, or longer; each needs up to two earlier ones.
fn operations(count: usize, seed: usize) -> Value {
    let takes = ["0", "0", "0", "0.002", "0.003", "0.02"];
    let operation = |at: usize| {
        let of = |step: usize| (at * step + seed * 13) % 97;
        let needs: Vec<String> = [of(7), of(11)]
            .iter()
            .filter(|back| **back > 0 && **back <= at)
            .map(|back| name(at - back))
            .collect();
        let needs: Vec<String> = needs.iter().take(of(5) % 3).cloned().collect();
        let seconds = takes[of(3) % takes.len()];
        json!({"name": name(at), "type": "exec", "params": {"dependsOn": needs},
            "payload": {"command": ["sleep", seconds]}})
    };
    (0..count).map(operation).collect()
}

fn name(at: usize) -> String {
    format!("op{at}")
}

fn real(operations: Value, parallel: u32) -> Setup {
    let options = RunOptions { parallel, ..RunOptions::default() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let launcher = ProcessLauncher::new([("PATH".into(), path)], std::env::temp_dir());
    Setup { options, launcher: Some(Arc::new(launcher)), ..setup(operations, Vec::new()) }
}

/// How often each operation started, and whether it did so before all that it needs had ended.
fn starts(world: &World, operations: &Value) -> (Vec<usize>, Vec<usize>) {
    let mut starts = vec![0; world.plan.len()];
    let mut is_ended = vec![false; world.plan.len()];
    let mut early = Vec::new();
    for record in &world.events {
        match &record.event {
            RunEvent::AttemptStarted { op, .. } => {
                let needs = operations[op.index()]["params"]["dependsOn"].as_array().unwrap();
                let is_open = |name: &Value| !is_ended[name.as_str().unwrap()[2..].parse::<usize>().unwrap()];
                early.extend(needs.iter().any(is_open).then_some(op.index()));
                starts[op.index()] += 1;
            }
            RunEvent::AttemptEnded { op, .. } => is_ended[op.index()] = true,
            _ => {}
        }
    }
    (starts, early)
}

#[tokio::test]
async fn short_and_long_programs_of_one_run_start_once_and_in_order() {
    for (seed, parallel) in [(1, 2), (2, 7), (3, 40)] {
        let operations = operations(300, seed);
        let world = drive(real(operations.clone(), parallel)).await;
        assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded);
        assert_eq!(outcomes(&world), vec![Some(Outcome::Succeeded); 300]);
        assert_eq!(starts(&world, &operations), (vec![1; 300], Vec::new()));
    }
}

#[tokio::test]
async fn a_journal_that_is_full_for_a_moment_holds_up_all_threads_and_loses_nothing() {
    let operations = operations(60, 4);
    let journal_fails = HashMap::from([(9, io::ErrorKind::StorageFull)]);
    let world = drive(Setup { journal_fails, ..real(operations.clone(), 4) }).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded);
    assert_eq!(starts(&world, &operations), (vec![1; 60], Vec::new()));
    let notices = world.diary.iter().filter(|line| line.starts_with("notice")).count();
    assert_eq!(notices, 2, "{:?}", world.diary);
}

#[tokio::test]
async fn a_journal_that_fails_ends_the_run_on_whatever_thread_it_does() {
    for fails in [3, 10, 20] {
        let journal_fails = HashMap::from([(fails, io::ErrorKind::PermissionDenied)]);
        let world = drive(Setup { journal_fails, ..real(operations(60, 5), 4) }).await;
        assert!(matches!(world.outcome, Err(RunError::Journal(JournalError::Io { .. }))));
    }
}

#[tokio::test]
async fn a_panic_on_any_thread_ends_the_run_and_nothing_is_recorded_after_it() {
    for panics_at in [3, 10, 20] {
        let setup = Setup { journal_panics_at: Some(panics_at), ..real(operations(60, 6), 4) };
        let appends = Arc::clone(&setup.appends);
        assert!(tokio::spawn(drive(setup)).await.is_err_and(|error| error.is_panic()));
        assert_eq!(appends.load(Ordering::Relaxed), panics_at);
    }
}

#[tokio::test]
async fn a_stop_reaches_programs_of_all_threads() {
    let sleepers: Value = (0..20)
        .map(|at| json!({"name": name(at), "type": "exec", "payload": {"command": ["sleep", "600"]}}))
        .collect();
    let world = drive(Setup { cancels: vec![CancelReason::Interrupted], ..real(sleepers, 20) }).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Interrupted);
    // each ends at the first request, also if it came before the program started
    assert!(!world.events.iter().any(|record| matches!(record.event, RunEvent::KillAsked { .. })));
}
