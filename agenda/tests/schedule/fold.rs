//! The two folds over a run's events, the scheduler's state and the history, agree after every record.

use crate::properties::scripts;
use crate::world::{World, plan_of, script};
use pop_agenda::{
    CancelReason, Ending, EventRecord, History, Input, OpIx, OpState, OperationHistory, Outcome, RunEvent,
    RunOptions, RunOutcome, RunTime, Scheduler, Verdict,
};
use pop_contract::{Blame, Failure, Progress};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use std::sync::Arc;

/// The first difference between the two.
pub(crate) fn disagreement(scheduler: &Scheduler, history: &History) -> Option<String> {
    let ended = history.ended.map(|(_, outcome)| outcome);
    if scheduler.outcome() != ended {
        return Some(format!("the run: scheduler {:?}, history {ended:?}", scheduler.outcome()));
    }
    scheduler.plan().operations().find_map(|(op, planned)| {
        let (scheduled, recorded) = (from_scheduler(scheduler, op), from_history(history, op));
        (scheduled != recorded)
            .then(|| format!("`{}`: scheduler {scheduled:?}, history {recorded:?}", planned.name))
    })
}

/// The data of an operation that both folds have.
#[derive(Debug, PartialEq)]
struct View {
    outcome: Option<Outcome>,
    is_out: bool,
    /// Reason of a request to stop, and whether the attempt was killed.
    stop: Option<(pop_agenda::StopReason, bool)>,
    backs_off_until: Option<RunTime>,
    is_gated: bool,
    gate: Option<pop_agenda::Gate>,
}

fn from_scheduler(scheduler: &Scheduler, op: OpIx) -> View {
    let state = scheduler.state(op);
    let is_gated = matches!(state, OpState::Gated(_));
    View {
        outcome: state.outcome(),
        is_out: state.is_out(),
        stop: match state {
            OpState::Stopping { reason, kill_at } => Some((*reason, kill_at.is_none())),
            _ => None,
        },
        backs_off_until: match state {
            OpState::BackingOff { until } => Some(*until),
            _ => None,
        },
        is_gated,
        gate: scheduler.gate(op).filter(|_| is_gated).cloned(),
    }
}

fn from_history(history: &History, op: OpIx) -> View {
    let seen = history.operation(op);
    let open = seen.open_attempt();
    let admission = seen.admissions.last().filter(|admission| admission.closed.is_none() && open.is_none());
    let stopping = open.filter(|attempt| attempt.committing.is_none());
    let stop = stopping.and_then(|attempt| attempt.stops.last()).filter(|stop| stop.withdrawn.is_none());
    View {
        outcome: seen.outcome(),
        is_out: open.is_some(),
        stop: stop.map(|stop| (stop.reason, stop.killed.is_some())),
        backs_off_until: seen.backoffs.last().filter(|wait| wait.ended.is_none()).map(|wait| wait.until),
        is_gated: admission.is_some(),
        gate: admission.and_then(|admission| admission.current()).cloned(),
    }
}

/// A disturbance of a running attempt or of the run.
#[derive(Debug, Clone, Copy)]
enum Disturbance {
    Running,
    Progress,
    Silence,
    Displaced,
    Lost,
    Cancel(CancelReason),
    Resume,
}

fn disturbances() -> impl Strategy<Value = Vec<(usize, Disturbance, prop::sample::Index)>> {
    let kind = prop_oneof![
        3 => Just(Disturbance::Running),
        2 => Just(Disturbance::Progress),
        2 => Just(Disturbance::Silence),
        3 => Just(Disturbance::Displaced),
        2 => Just(Disturbance::Lost),
        1 => Just(Disturbance::Cancel(CancelReason::Interrupted)),
        1 => Just(Disturbance::Cancel(CancelReason::TimeLimit)),
        1 => Just(Disturbance::Resume),
    ];
    proptest::collection::vec((0_usize..6, kind, any::<prop::sample::Index>()), 0..8)
}

fn disturb(world: &mut World<'_>, what: Disturbance, which: prop::sample::Index) {
    let out: Vec<(OpIx, u32)> = world
        .scheduler
        .plan()
        .operations()
        .filter(|(op, _)| world.scheduler.state(*op).is_out())
        .map(|(op, _)| (op, world.history.operation(op).attempts.last().unwrap().number))
        .collect();
    let input = match what {
        Disturbance::Cancel(reason) => Input::CancelAsked { reason },
        Disturbance::Resume => return world.resume(),
        _ if out.is_empty() => return,
        of_attempt => {
            let (op, attempt) = out[which.index(out.len())];
            match of_attempt {
                Disturbance::Running => Input::Running { op, attempt },
                Disturbance::Progress => {
                    Input::Progressed { op, attempt, progress: Arc::new(Progress::default()) }
                }
                Disturbance::Silence => Input::WentSilent { op, attempt },
                Disturbance::Displaced => {
                    let verdict =
                        Verdict::failed(Failure::new(Blame::Platform, "displaced", "the node went away"));
                    Input::Ended { op, attempt, verdict }
                }
                _ => Input::Lost { op, attempt },
            }
        }
    };
    world.input(input);
}

/// Whether both histories have the same outcomes, latest failures and reused results.
fn has_same_outcomes(one: &History, other: &History) -> bool {
    let seen = |history: &History| -> Vec<_> {
        let of = |seen: &OperationHistory| (seen.outcome(), seen.failure().cloned(), seen.reused.clone());
        history.operations().map(of).collect()
    };
    one.ended == other.ended && seen(one) == seen(other)
}

/// Every history is compared after each record, and after each prefix of it a new executor resumes the run, which is
/// compared to its end. The number of histories is a quarter of `PROPTEST_CASES`.
#[test]
fn history_and_scheduler_agree_at_every_record_and_crash() {
    let (histories, prefixes, records) = (Cell::new(0_u64), Cell::new(0_u64), Cell::new(0_u64));
    let cases = (scripts(), 1_u32..5, any::<bool>(), disturbances());
    let config = ProptestConfig::default();
    let config = ProptestConfig { cases: config.cases / 4, ..config };
    let run = |(scripts, parallel, keep_going, disturbances): (Vec<_>, _, _, Vec<_>)| {
        let plan = plan_of(&scripts);
        let options = RunOptions { keep_going, ..crate::properties::options(parallel) };
        let mut whole = World::new(&scripts, &plan, &options);
        whole.begin();
        for (advances, what, which) in disturbances {
            for _ in 0..advances {
                if whole.scheduler.outcome().is_some() || !whole.advance() {
                    break;
                }
            }
            if whole.scheduler.outcome().is_none() {
                disturb(&mut whole, what, which);
            }
        }
        let outcome = whole.finish();
        if outcome != RunOutcome::Succeeded {
            whole.input(Input::Resumed { options: RunOptions { keep_going: true, ..options.clone() } });
            whole.finish();
        }
        let journal = std::mem::take(&mut whole.journal);
        let mut scheduler = Scheduler::new(Arc::clone(&plan), options.clone());
        let mut history = History::new(plan.len());
        let mut summary = History::new(plan.len());
        summary.forget_successes();
        for (at, record) in journal.iter().enumerate() {
            scheduler.evolve(record);
            history.add(record);
            summary.add(record);
            prop_assert!(has_same_outcomes(&summary, &history), "after record {}", at);
            prop_assert_eq!(disagreement(&scheduler, &history), None, "after record {}", at);
            let mut world = World::of(&scripts, scheduler.clone(), history.clone(), &journal[..=at]);
            world.input(Input::Resumed { options: options.clone() });
            world.finish();
            records.set(records.get() + world.journal.len() as u64 - at as u64 - 1);
        }
        histories.set(histories.get() + 1);
        prefixes.set(prefixes.get() + journal.len() as u64);
        Ok(())
    };
    TestRunner::new(config).run(&cases, run).unwrap();
    println!(
        "{} histories, {} crash prefixes, {} records after a crash: all equal",
        histories.get(),
        prefixes.get(),
        records.get()
    );
}

#[test]
fn resumed_run_records_which_conditionals_it_reopens() {
    // each depends on the failure of a later operation
    let mut scripts = vec![script(&[]), script(&[]), script(&[])];
    scripts[0].needs = vec![1];
    scripts[0].asks = vec!["succeeded"];
    scripts[1].needs = vec![2];
    scripts[1].asks = vec!["succeeded"];
    scripts[2].fails_first = 1;
    let plan = plan_of(&scripts);
    let mut world = World::new(&scripts, &plan, &RunOptions { keep_going: true, ..RunOptions::default() });
    world.begin();
    world.finish();
    assert_eq!(world.outcomes(), [Outcome::Skipped, Outcome::Skipped, Outcome::Failed]);
    let from = world.journal.len();
    world.input(Input::Resumed { options: RunOptions::default() });
    let reopened = &world.journal[from + 1].event;
    assert_eq!(*reopened, RunEvent::RunReopened { ops: [OpIx(0), OpIx(1), OpIx(2)].into() });
    assert_eq!(world.history.operation(OpIx(0)).outcome(), None);
    world.finish();
    assert_eq!(world.outcomes(), [Outcome::Succeeded; 3]);
}

#[test]
fn crashed_run_reopens_nothing() {
    let mut scripts = vec![script(&[]), script(&[])];
    scripts[0].fails_first = 1;
    let plan = plan_of(&scripts);
    let options = RunOptions { keep_going: true, ..RunOptions::default() };
    let mut world = World::new(&scripts, &plan, &options);
    world.begin();
    world.advance();
    assert_eq!(world.scheduler.state(OpIx(0)).outcome(), Some(Outcome::Failed));
    world.input(Input::Resumed { options });
    world.finish();
    let is_reopened = |event: &RunEvent| matches!(event, RunEvent::RunReopened { .. });
    assert!(!world.journal.iter().any(|record| is_reopened(&record.event)));
    assert_eq!(world.outcomes()[0], Outcome::Failed);
}

#[test]
fn history_contains_every_wait() {
    let mut scripts = vec![script(&[]), script(&[])];
    for script in &mut scripts {
        script.lock = Some(0);
    }
    scripts[0].fails_first = 1;
    scripts[0].max_attempts = 2;
    scripts[0].delay_ms = 7;
    scripts[1].timeout_ms = 5;
    let plan = plan_of(&scripts);
    let options = RunOptions { parallel: 2, keep_going: true, ..RunOptions::default() };
    let mut world = World::new(&scripts, &plan, &options);
    world.begin();
    world.finish();
    let first = world.history.operation(OpIx(0));
    let wait = first.backoffs[0];
    assert_eq!((wait.from, wait.until, wait.ended), (RunTime(10), RunTime(17), Some(RunTime(17))));
    let second = world.history.operation(OpIx(1));
    let waited = &second.admissions[0].waits[0];
    assert_eq!((waited.from, waited.until), (RunTime(0), Some(RunTime(10))));
    assert_eq!(waited.holder, Some(pop_agenda::GateHolder::Operation(OpIx(0))));
    let stop = second.attempts[0].stops[0];
    assert_eq!((stop.at, stop.reason), (RunTime(15), pop_agenda::StopReason::TimedOut));
    let ends = |ending: &Ending| matches!(ending, Ending::Failed(_));
    assert!(second.attempts[0].ended.as_ref().is_some_and(|(_, ending)| ends(ending)));
    assert_eq!(second.failures().count(), 1);
    let (op, attempt) = (OpIx(0), 1);
    let events = [RunEvent::AttemptStarted { op, attempt }, RunEvent::AttemptRunning { op, attempt }];
    let records: Vec<EventRecord> =
        (0..).zip(events).map(|(at, event)| EventRecord { at: RunTime(at), event }).collect();
    assert_eq!(History::of(1, &records).operation(op).attempts[0].running, Some(RunTime(1)));
}
