//! The scheduler over random agendas: invariants after every step, crashes at every journal prefix, an oracle.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda::{
    Action, Adopted, Agenda, CancelReason, Ending, Explanation, Input, OpIx, OpState, Outcome, Plan,
    Recorded, RunEvent, RunOptions, RunOutcome, RunTime, Scheduler, StopReason, Verdict,
};
use pop_registry::Catalog;
use pop_registry::contract::{Blame, Failure, LaunchType, Progress};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

/// How one operation behaves, and its policies.
#[derive(Debug, Clone)]
struct Script {
    needs: Vec<usize>,
    fails_first: u32,
    takes_ms: u64,
    max_attempts: u32,
    delay_ms: u64,
    on_fail: &'static str,
    timeout_ms: u64,
}

fn plan_of(scripts: &[Script]) -> Arc<Plan> {
    let operations: Vec<Value> = scripts
        .iter()
        .enumerate()
        .map(|(index, script)| {
            let needs: Vec<String> = script.needs.iter().map(|on| format!("op{on}")).collect();
            json!({"name": format!("op{index}"), "type": "sample", "params": {
                "dependsOn": needs, "onFail": script.on_fail, "timeoutMs": script.timeout_ms,
                "retry": {"maxAttempts": script.max_attempts, "delayMs": script.delay_ms}}})
        })
        .collect();
    let mut faults = Vec::new();
    let agenda = Agenda::parse(json!({"operations": operations}), &mut faults).unwrap();
    let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults);
    assert!(plan.is_some(), "{faults:?}");
    Arc::new(plan.unwrap())
}

fn script(needs: &[usize]) -> Script {
    Script {
        needs: needs.to_vec(),
        fails_first: 0,
        takes_ms: 10,
        max_attempts: 1,
        delay_ms: 0,
        on_fail: "REPLY",
        timeout_ms: 0,
    }
}

/// A world in which attempts take their scripted time, and a journal of what was decided.
struct World<'s> {
    scripts: &'s [Script],
    scheduler: Scheduler,
    journal: Vec<Recorded>,
    now: RunTime,
    /// What is going to happen: when, which, to whom.
    coming: BinaryHeap<Reverse<(u64, u32, u32)>>,
    launches: HashMap<u32, u32>,
}

impl<'s> World<'s> {
    fn new(scripts: &'s [Script], plan: &Arc<Plan>, options: &RunOptions) -> Self {
        let scheduler = Scheduler::new(Arc::clone(plan), options.clone());
        Self {
            scripts,
            scheduler,
            journal: Vec::new(),
            now: RunTime(0),
            coming: BinaryHeap::new(),
            launches: HashMap::new(),
        }
    }

    fn begin(&mut self) {
        self.input(Input::Begun { run: "r".into(), started: 0, adopted: Vec::new() });
    }

    /// Failures of an operation that the journal has counted.
    fn failures(&self, op: OpIx) -> u32 {
        let failed = |record: &&Recorded| matches!(&record.event, RunEvent::AttemptEnded { op: of, ending: Ending::Failed(_), .. } if *of == op);
        self.journal.iter().filter(failed).count() as u32
    }

    fn input(&mut self, input: Input) {
        let step = self.scheduler.step(self.now, input);
        self.scheduler.check().unwrap();
        assert!(self.scheduler.tally().running <= self.scheduler.options().parallel);
        self.journal.extend(step.events.into_iter().map(|event| Recorded { at: self.now, event }));
        for action in step.actions {
            match action {
                Action::Launch { op, attempt, again } => {
                    if again {
                        // like a process that died with its executor
                        self.input(Input::Lost { op, attempt });
                        continue;
                    }
                    *self.launches.entry(op.0).or_default() += 1;
                    let end = self.now.0 + self.scripts[op.index()].takes_ms;
                    self.coming.push(Reverse((end, op.0, attempt)));
                }
                // a stopped attempt ends a millisecond later
                Action::Stop { op, attempt, .. } => {
                    self.coming.push(Reverse((self.now.0 + 1, op.0, attempt)));
                }
            }
        }
    }

    /// Lets the next thing happen; false if nothing will.
    fn advance(&mut self) -> bool {
        let coming = self.coming.peek().map(|Reverse((at, ..))| *at);
        let due = self.scheduler.deadline().map(|at| at.0);
        match (coming, due) {
            (Some(at), due) if due.is_none_or(|due| at <= due) => {
                self.now = self.now.max(RunTime(at));
                let Some(Reverse((_, op, attempt))) = self.coming.pop() else { return false };
                let op = OpIx(op);
                let verdict = if self.failures(op) < self.scripts[op.index()].fails_first {
                    Verdict::failed(Failure::new(Blame::Handler, "exit", "scripted"))
                } else {
                    Verdict::succeeded(json!({"of": op.0}))
                };
                self.input(Input::Ended { op, attempt, verdict });
                true
            }
            (_, Some(due)) => {
                self.now = self.now.max(RunTime(due));
                self.input(Input::Ticked);
                true
            }
            _ => false,
        }
    }

    fn finish(&mut self) -> RunOutcome {
        for _ in 0..100_000 {
            if let Some(outcome) = self.scheduler.outcome() {
                return outcome;
            }
            assert!(self.advance(), "nothing moves and the run has not ended");
        }
        unreachable!("the run does not end");
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.scheduler
            .plan()
            .operations()
            .map(|(op, _)| self.scheduler.state(op).outcome().unwrap())
            .collect()
    }
}

fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let one = (
        proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        0_u32..4,
        1_u64..60,
        1_u32..4,
        prop_oneof![Just(0_u64), 1_u64..200],
        prop_oneof![4 => Just("REPLY"), 2 => Just("SKIP"), 1 => Just("FATAL")],
        prop_oneof![3 => Just(0_u64), 1 => 1_u64..50],
    );
    proptest::collection::vec(one, 1..14).prop_map(|ops| {
        ops.into_iter()
            .enumerate()
            .map(|(index, (needs, fails, takes_ms, max_attempts, delay_ms, on_fail, timeout_ms))| {
                let mut needs: Vec<usize> =
                    if index == 0 { Vec::new() } else { needs.iter().map(|n| n.index(index)).collect() };
                needs.sort_unstable();
                needs.dedup();
                // most operations succeed at once
                let fails_first = fails.saturating_sub(2);
                Script { needs, fails_first, takes_ms, max_attempts, delay_ms, on_fail, timeout_ms }
            })
            .collect()
    })
}

/// Scripts whose outcome is decided whatever the order: none ends the run, and none times out in the instant in which
/// it ends, which is another test's.
fn decided(mut scripts: Vec<Script>) -> Vec<Script> {
    for script in &mut scripts {
        if script.on_fail == "FATAL" {
            script.on_fail = "REPLY";
        }
        if script.timeout_ms == script.takes_ms {
            script.timeout_ms = 0;
        }
    }
    scripts
}

/// What must become of each operation when everything that can run does: no clock, no queues, only the rules.
fn oracle(scripts: &[Script]) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for script in scripts {
        let good = script.needs.iter().all(|on| outcomes[*on].lets_others_start());
        let times_out = script.timeout_ms > 0 && script.timeout_ms < script.takes_ms;
        let outcome = if !good {
            Outcome::Cancelled
        } else if !times_out && script.fails_first < script.max_attempts {
            Outcome::Succeeded
        } else if script.on_fail == "SKIP" {
            Outcome::Skipped
        } else {
            Outcome::Failed
        };
        outcomes.push(outcome);
    }
    outcomes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn outcomes_are_those_of_the_oracle(scripts in scripts(), parallel in 1_u32..5) {
        let scripts = decided(scripts);
        let plan = plan_of(&scripts);
        let options = RunOptions { parallel, keep_going: true, ..RunOptions::default() };
        let mut world = World::new(&scripts, &plan, &options);
        world.begin();
        let outcome = world.finish();
        let wanted = oracle(&scripts);
        prop_assert_eq!(world.outcomes(), wanted.clone());
        let failed = wanted.contains(&Outcome::Failed);
        prop_assert_eq!(outcome, if failed { RunOutcome::Failed } else { RunOutcome::Succeeded });
    }

    /// Crash after every record of the journal, also between events of one step; with --keep-going every outcome
    /// must equal that of the run without a crash, and nothing that succeeded is launched again.
    #[test]
    fn f1_a_crash_at_any_record_changes_no_outcome(scripts in scripts(), parallel in 1_u32..5) {
        let scripts = decided(scripts);
        let plan = plan_of(&scripts);
        let options = RunOptions { parallel, keep_going: true, ..RunOptions::default() };
        let mut whole = World::new(&scripts, &plan, &options);
        whole.begin();
        let outcome = whole.finish();
        for cut in 1..whole.journal.len() {
            let mut world = World::new(&scripts, &plan, &options);
            world.journal = whole.journal[..cut].to_vec();
            for record in &world.journal {
                world.scheduler.evolve(record);
                world.scheduler.check().unwrap();
            }
            world.now = world.journal[cut - 1].at;
            let done: Vec<u32> = plan.operations()
                .filter(|(op, _)| world.scheduler.state(*op).outcome() == Some(Outcome::Succeeded))
                .map(|(op, _)| op.0)
                .collect();
            world.input(Input::Resumed { options: options.clone() });
            prop_assert_eq!(world.finish(), outcome);
            prop_assert_eq!(world.outcomes(), whole.outcomes());
            for op in done {
                prop_assert_eq!(world.launches.get(&op), None, "op{} ran again", op);
            }
        }
    }

    /// The default stop, FATAL, Ctrl-C at any moment: the run always ends with everything settled, and a resumed
    /// run can finish what can be finished.
    #[test]
    fn every_run_ends_and_can_be_resumed(scripts in scripts(), parallel in 1_u32..5, stop_after in 0_usize..40) {
        let plan = plan_of(&scripts);
        let options = RunOptions { parallel, ..RunOptions::default() };
        let mut world = World::new(&scripts, &plan, &options);
        world.begin();
        for _ in 0..stop_after {
            if world.scheduler.outcome().is_some() || !world.advance() { break; }
        }
        world.input(Input::CancelAsked { reason: CancelReason::Interrupted });
        world.finish();
        let done: Vec<OpIx> = plan.operations().map(|(op, _)| op)
            .filter(|op| world.scheduler.state(*op).outcome() == Some(Outcome::Succeeded)).collect();
        let launches = world.launches.clone();
        let options = RunOptions { keep_going: true, ..options };
        world.input(Input::Resumed { options });
        world.finish();
        for op in done {
            prop_assert_eq!(world.launches.get(&op.0), launches.get(&op.0));
        }
        // one success an operation, for ever
        let mut successes: BTreeMap<u32, u32> = BTreeMap::new();
        for record in &world.journal {
            if let RunEvent::AttemptEnded { op, ending: Ending::Succeeded { .. }, .. } = &record.event {
                *successes.entry(op.0).or_default() += 1;
            }
        }
        prop_assert!(successes.values().all(|count| *count == 1));
    }
}

fn run(scripts: &[Script], options: &RunOptions) -> (RunOutcome, Vec<Outcome>, Vec<RunEvent>) {
    let plan = plan_of(scripts);
    let mut world = World::new(scripts, &plan, options);
    world.begin();
    let outcome = world.finish();
    (outcome, world.outcomes(), world.journal.into_iter().map(|record| record.event).collect())
}

#[test]
fn p28_by_default_a_failure_starts_nothing_new_and_lets_the_running_finish() {
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
fn r2_skip_goes_on_and_fatal_stops_what_runs() {
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
fn a_retry_waits_and_a_timeout_is_a_failure_with_its_code() {
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
fn f78_when_timeout_and_success_meet_the_order_of_the_journal_decides() {
    let scripts = vec![Script { timeout_ms: 10, takes_ms: 10, ..script(&[]) }];
    let plan = plan_of(&scripts);
    for (first, wanted) in [("end", Outcome::Succeeded), ("tick", Outcome::Failed)] {
        let mut scheduler = Scheduler::new(Arc::clone(&plan), RunOptions::default());
        scheduler.step(RunTime(0), Input::Begun { run: "r".into(), started: 0, adopted: Vec::new() });
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
fn f76_the_second_cancel_kills_and_a_late_end_of_a_stopped_attempt_is_judged_by_its_report() {
    let scripts = vec![script(&[]), script(&[])];
    let plan = plan_of(&scripts);
    let options = RunOptions { parallel: 2, ..RunOptions::default() };
    let mut scheduler = Scheduler::new(plan, options);
    scheduler.step(RunTime(0), Input::Begun { run: "r".into(), started: 0, adopted: Vec::new() });
    let cancel = || Input::CancelAsked { reason: CancelReason::Interrupted };
    let stops = |step: pop_agenda::Step| -> Vec<bool> {
        step.actions
            .iter()
            .filter_map(|action| match action {
                Action::Stop { force, .. } => Some(*force),
                Action::Launch { .. } => None,
            })
            .collect()
    };
    assert_eq!(stops(scheduler.step(RunTime(1), cancel())), [false, false]);
    assert_eq!(scheduler.deadline(), Some(RunTime(10_001)));
    assert_eq!(stops(scheduler.step(RunTime(2), cancel())), [true, true]);
    assert_eq!(stops(scheduler.step(RunTime(3), cancel())), Vec::<bool>::new());
    // exit 0 after a signal proves nothing; a final report does
    let silent = Verdict { result: Ok(Arc::new(json!({}))), is_reported: false };
    scheduler.step(RunTime(4), Input::Ended { op: OpIx(0), attempt: 1, verdict: silent });
    scheduler
        .step(RunTime(4), Input::Ended { op: OpIx(1), attempt: 1, verdict: Verdict::succeeded(json!({})) });
    assert_eq!(scheduler.state(OpIx(0)).outcome(), Some(Outcome::Cancelled));
    assert_eq!(scheduler.state(OpIx(1)).outcome(), Some(Outcome::Succeeded));
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Interrupted));
}

#[test]
fn inputs_of_attempts_that_are_over_change_nothing() {
    let mut scripts = vec![script(&[]), script(&[])];
    scripts[0] = Script { fails_first: 1, max_attempts: 2, ..scripts[0].clone() };
    let plan = plan_of(&scripts);
    let mut scheduler = Scheduler::new(plan, RunOptions::default());
    scheduler.step(RunTime(0), Input::Begun { run: "r".into(), started: 0, adopted: Vec::new() });
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
fn p29_explain_names_what_is_waited_for() {
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
fn events_survive_their_written_form() {
    let mut scripts = vec![script(&[]), script(&[0])];
    scripts[0] = Script { fails_first: 1, max_attempts: 2, delay_ms: 3, ..scripts[0].clone() };
    let (_, _, events) = run(&scripts, &RunOptions::default());
    for event in events {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<RunEvent>(&text).unwrap(), event, "{text}");
    }
}

#[test]
fn p27_what_an_earlier_run_reached_is_taken_over() {
    let scripts = vec![script(&[]), script(&[0]), script(&[1])];
    let plan = plan_of(&scripts);
    let mut scheduler = Scheduler::new(plan, RunOptions::default());
    let progress = Arc::new(Progress { percent_complete: Some(40.0), ..Progress::default() });
    let adopted = vec![
        Adopted { op: OpIx(0), result: Some(Arc::new(json!(1))), progress: None },
        Adopted { op: OpIx(1), result: None, progress: Some(progress) },
    ];
    let step = scheduler.step(RunTime(0), Input::Begun { run: "r".into(), started: 0, adopted });
    assert_eq!(step.actions, [Action::Launch { op: OpIx(1), attempt: 1, again: false }]);
    assert_eq!(scheduler.state(OpIx(0)).outcome(), Some(Outcome::Succeeded));
    assert_eq!(scheduler.progress(OpIx(1)).unwrap().percent_complete, Some(40.0));
}
