//! Properties of random agendas with all policies.

use crate::world::{Script, World, plan_of, script};
use pop_agenda::{CancelReason, Ending, Input, OpIx, Outcome, Outcomes, RunEvent, RunOptions, RunOutcome};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(crate) fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let word = prop_oneof![8 => Just(""), 1 => Just("failed"), 1 => Just("settled"), 1 => Just("succeeded"), 1 => Just("skipped")];
    let plain = (
        proptest::collection::vec((any::<prop::sample::Index>(), word), 0..4),
        0_u32..4,
        1_u64..60,
        1_u32..4,
        prop_oneof![Just(0_u64), 1_u64..200],
        prop_oneof![4 => Just("REPLY"), 2 => Just("SKIP"), 2 => Just("DLQ"), 1 => Just("FATAL")],
        prop_oneof![3 => Just(0_u64), 1 => 1_u64..50],
    );
    let rare = (
        prop::bool::weighted(0.1),
        prop::option::weighted(0.3, (0_u8..3, prop::bool::weighted(0.3))),
        prop::option::weighted(0.2, (0_u8..2, 1_u64..80)),
        prop::option::weighted(0.2, 0_u8..2),
        prop::option::weighted(0.2, (0_usize..5, 1_u32..4)),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.15, 0_usize..4),
        (prop::bool::weighted(0.2), prop::bool::weighted(0.2), 0_u32..3),
    );
    let operations = proptest::collection::vec((plain, rare), 1..12);
    (operations, prop::bool::weighted(0.2)).prop_map(|(operations, has_last)| {
        let mut scripts: Vec<Script> = operations
            .into_iter()
            .enumerate()
            .map(|(index, (plain, rare))| {
                let (needs, fails, takes_ms, max_attempts, delay_ms, on_fail, timeout_ms) = plain;
                let (is_skipped, lock, starts, cache, items, is_finally, generates, files) = rare;
                // a list of results is not a list of operations, and a cached result has the names of another one
                let generates = generates.filter(|_| items.is_none() && cache.is_none());
                let needs: BTreeMap<usize, &str> = if index == 0 {
                    BTreeMap::new()
                } else {
                    needs.into_iter().map(|(on, word)| (on.index(index), word)).collect()
                };
                let (needs, asks): (Vec<_>, Vec<_>) = needs.into_iter().unzip();
                // most operations succeed at once
                let fails_first = fails.saturating_sub(2);
                let is_finally = is_finally && !needs.is_empty();
                Script {
                    needs,
                    asks,
                    fails_first,
                    takes_ms,
                    max_attempts,
                    delay_ms,
                    on_fail,
                    timeout_ms,
                    is_skipped,
                    lock: lock.map(|(key, _)| key),
                    is_optimistic: lock.is_some_and(|(_, is_optimistic)| is_optimistic),
                    starts,
                    cache,
                    items,
                    is_finally,
                    generates,
                    files: (files.0, files.1),
                    misses_first: if files.1 { files.2.saturating_sub(1) } else { 0 },
                }
            })
            .collect();
        if has_last {
            scripts.push(Script { is_finally: true, ..script(&[]) });
        }
        scripts
    })
}

/// Scripts whose outcome is decided whatever the order: none ends the run, none times out in the instant in which it
/// ends, which is another test's, and none finds a result in the cache that it could not have computed itself.
fn decided(mut scripts: Vec<Script>) -> Vec<Script> {
    for script in &mut scripts {
        if script.on_fail == "FATAL" {
            script.on_fail = "REPLY";
        }
        if script.timeout_ms == script.takes_ms {
            script.timeout_ms = 0;
        }
        if script.cache.is_some() {
            script.fails_first = 0;
            script.misses_first = 0;
            script.timeout_ms = 0;
        }
    }
    scripts
}

/// The expected outcome of each operation if everything that can run does: only the rules, no clock or queues.
fn oracle(scripts: &[Script]) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for script in scripts {
        let needs = |word: &str| match word {
            "" if script.is_finally => Outcomes::ANY,
            "" => Outcomes::GOOD,
            word => Outcomes::of_word(word).unwrap(),
        };
        let missed: Vec<Outcomes> = script
            .needs
            .iter()
            .zip(&script.asks)
            .map(|(on, word)| (outcomes[*on], needs(word)))
            .filter(|(outcome, needs)| !needs.contains(*outcome))
            .map(|(_, needs)| needs)
            .collect();
        let times_out = script.timeout_ms > 0 && script.timeout_ms < script.takes_ms;
        outcomes.push(if missed.iter().any(|needs| needs.accepts_all_good()) {
            Outcome::Cancelled
        } else if !missed.is_empty() {
            Outcome::Skipped
        } else if script.items.is_some_and(|(count, _)| count == 0) {
            Outcome::Succeeded
        } else if script.is_skipped {
            // a list of nothing but nulls is a list
            if script.items.is_some() { Outcome::Succeeded } else { Outcome::Skipped }
        } else if !times_out && script.fails_first + script.misses_first < script.max_attempts {
            Outcome::Succeeded
        } else {
            match script.on_fail {
                "SKIP" if script.items.is_some() => Outcome::Succeeded,
                "SKIP" => Outcome::Skipped,
                "DLQ" => Outcome::DeadLettered,
                _ => Outcome::Failed,
            }
        });
    }
    outcomes
}

fn outcome_of(outcomes: &[Outcome]) -> RunOutcome {
    if outcomes.contains(&Outcome::Failed) {
        RunOutcome::Failed
    } else if outcomes.contains(&Outcome::DeadLettered) {
        RunOutcome::DeadLettered
    } else {
        RunOutcome::Succeeded
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn outcomes_are_those_of_the_oracle(scripts in scripts(), parallel in 1_u32..5, busy_until in 0_u64..100) {
        let scripts = decided(scripts);
        let plan = plan_of(&scripts);
        let options = RunOptions { parallel, keep_going: true, ..RunOptions::default() };
        let mut world = World::new(&scripts, &plan, &options);
        world.busy_until = busy_until;
        world.begin();
        let outcome = world.finish();
        let wanted = oracle(&scripts);
        prop_assert_eq!(world.outcomes(), wanted.clone());
        prop_assert_eq!(outcome, outcome_of(&wanted));
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
            let mut world = World::restored(&scripts, &plan, &options, &whole.journal[..cut]);
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

    /// Ctrl-C, a crash at any record after it, and a resume: what cleans up still waits for what it is for, and the run
    /// ends as it would have without either.
    #[test]
    fn f1_a_crash_while_a_run_is_interrupted_is_resumed(scripts in scripts(), parallel in 1_u32..4, stop_after in 0_usize..12) {
        let scripts = decided(scripts);
        let plan = plan_of(&scripts);
        let options = RunOptions { parallel, keep_going: true, ..RunOptions::default() };
        let mut whole = World::new(&scripts, &plan, &options);
        whole.begin();
        for _ in 0..stop_after {
            if whole.scheduler.outcome().is_some() || !whole.advance() { break; }
        }
        let from = whole.journal.len();
        whole.input(Input::CancelAsked { reason: CancelReason::Interrupted });
        whole.finish();
        for cut in (from..whole.journal.len()).step_by(3) {
            let mut world = World::restored(&scripts, &plan, &options, &whole.journal[..cut]);
            world.input(Input::Resumed { options: options.clone() });
            world.finish();
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
        // clean-up runs each time the run ends
        let is_repeated = |op: OpIx| plan.operation(op).rare.as_ref().is_some_and(|rare| rare.finally.is_some());
        let done: Vec<OpIx> = plan.operations().map(|(op, _)| op).filter(|op| !is_repeated(*op))
            .filter(|op| world.scheduler.state(*op).outcome() == Some(Outcome::Succeeded)).collect();
        let launches = world.launches.clone();
        let options = RunOptions { keep_going: true, ..options };
        world.input(Input::Resumed { options });
        world.finish();
        for op in done {
            prop_assert_eq!(world.launches.get(&op.0), launches.get(&op.0));
        }
        // every other operation succeeds once
        let mut successes: BTreeMap<u32, u32> = BTreeMap::new();
        for record in &world.journal {
            if let RunEvent::AttemptEnded { op, ending: Ending::Succeeded { .. }, .. } = &record.event
                && !(op.index() < plan.len() && is_repeated(*op))
            {
                *successes.entry(op.0).or_default() += 1;
            }
        }
        prop_assert!(successes.values().all(|count| *count == 1));
    }
}
