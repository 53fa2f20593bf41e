//! Properties of random agendas with all policies.

use crate::world::{Script, TOTALS, World, plan_of, script};
use pop_agenda::{CancelReason, Ending, Input, OpIx, Outcome, Outcomes, RunEvent, RunOptions, RunOutcome};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Random agendas; operations of type `agenda` are nested up to two levels deep.
pub(crate) fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let innermost = operations(Just(Vec::new()).boxed(), 1..4);
    let inside = prop_oneof![12 => Just(Vec::new()), 1 => innermost].boxed();
    let inside = prop_oneof![6 => Just(Vec::new()), 1 => operations(inside, 1..5)].boxed();
    (operations(inside, 1..12), prop::bool::weighted(0.2)).prop_map(|(mut scripts, has_last)| {
        if has_last {
            scripts.push(Script { is_finally: true, ..script(&[]) });
        }
        scripts
    })
}

/// Random operations. Each has operations inside if `inside` gives any.
fn operations(
    inside: BoxedStrategy<Vec<Script>>,
    count: std::ops::Range<usize>,
) -> BoxedStrategy<Vec<Script>> {
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
        prop_oneof![Just("fail"), Just("drop"), Just("keep")],
        inside,
        (prop::bool::weighted(0.2), prop::bool::weighted(0.2), 0_u32..3),
    );
    let outcome = prop_oneof![2 => Just(""), 2 => Just("failed"), 1 => Just("settled"), 1 => Just("skipped")];
    let member = (any::<prop::sample::Index>(), outcome);
    let conditions = (
        prop::option::weighted(0.15, (any::<bool>(), proptest::collection::vec(member, 1..4))),
        prop::option::weighted(0.15, (any::<prop::sample::Index>(), any::<bool>())),
        prop_oneof![2 => Just(0_i32), 1 => -2_i32..3],
    );
    let amounts = (
        prop::option::weighted(0.4, 1_u64..5),
        prop::option::weighted(0.25, 1_u64..3),
        prop::option::weighted(0.2, Just(1_u64)),
    );
    let operations = proptest::collection::vec((plain, rare, conditions, amounts), count);
    let scripts = operations.prop_map(|operations| {
        operations
            .into_iter()
            .enumerate()
            .map(|(index, (plain, rare, conditions, (cpu, gpu, license)))| {
                let (needs, fails, takes_ms, max_attempts, delay_ms, on_fail, timeout_ms) = plain;
                let (
                    is_skipped,
                    lock,
                    starts,
                    cache,
                    items,
                    is_finally,
                    generates,
                    item_failures,
                    inside,
                    files,
                ) = rare;
                // a list of results is not a list of operations, and a cached result has the names of another one
                let generates = generates.filter(|_| items.is_none() && cache.is_none() && inside.is_empty());
                let needs: BTreeMap<usize, &str> = if index == 0 {
                    BTreeMap::new()
                } else {
                    needs.into_iter().map(|(on, word)| (on.index(index), word)).collect()
                };
                let (needs, asks): (Vec<_>, Vec<_>) = needs.into_iter().unzip();
                // most operations succeed at once
                let fails_first = fails.saturating_sub(2);
                let is_finally = is_finally && !needs.is_empty();
                let (group, when, priority) = conditions;
                let may_ask = index > 0 && !is_finally;
                let group = group.filter(|_| may_ask).map(|(is_any, members)| {
                    let members: BTreeMap<usize, &str> =
                        members.into_iter().map(|(on, word)| (on.index(index), word)).collect();
                    (is_any, members.into_iter().filter(|(on, _)| !needs.contains(on)).collect::<Vec<_>>())
                });
                let group = group.filter(|(_, members)| !members.is_empty());
                let is_new = |on: usize| {
                    let in_group =
                        group.iter().flat_map(|(_, members)| members).any(|(member, _)| *member == on);
                    !in_group && !needs.contains(&on)
                };
                let when = when.filter(|_| may_ask).map(|(on, has_failed)| (on.index(index), has_failed));
                let when = when.filter(|(on, _)| is_new(*on));
                let amounts = [("cpu", cpu), ("gpu", gpu), ("license", license)];
                let resources =
                    amounts.into_iter().filter_map(|(name, amount)| Some((name, amount?))).collect();
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
                    inside: inside.into_iter().map(|inner| Script { generates: None, ..inner }).collect(),
                    item_failures,
                    files: (files.0, files.1),
                    misses_first: if files.1 { files.2.saturating_sub(1) } else { 0 },
                    group,
                    when,
                    resources,
                    priority,
                }
            })
            .collect::<Vec<Script>>()
    });
    scripts.boxed()
}

/// Scripts whose outcome is decided whatever the order: none ends the run, none times out in the instant in which it
/// ends, which is another test's, and none finds a result in the cache that it could not have computed itself.
fn decided(mut scripts: Vec<Script>) -> Vec<Script> {
    for script in &mut scripts {
        script.inside = decided(std::mem::take(&mut script.inside));
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

/// The expected outcome of each operation if everything that can run does: only the rules, no clock or queues. Adds the
/// outcomes that count for the run to `counted`.
fn oracle(scripts: &[Script], counted: &mut Vec<Outcome>) -> Vec<Outcome> {
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
        let is_asked =
            script.when.is_none_or(|(on, has_failed)| (outcomes[on] == Outcome::Failed) == has_failed);
        let may_start = missed.is_empty() && unmet_group(script, &outcomes).is_none() && is_asked;
        if !script.inside.is_empty() && may_start {
            outcomes.push(of_whole(script, counted));
            continue;
        }
        let times_out = script.timeout_ms > 0 && script.timeout_ms < script.takes_ms;
        outcomes.push(if missed.iter().any(|needs| needs.accepts_all_good()) {
            Outcome::Cancelled
        } else if !missed.is_empty() {
            Outcome::Skipped
        } else if let Some(outcome) = unmet_group(script, &outcomes) {
            outcome
        } else if !is_asked {
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
                _ if script.items.is_some() && script.item_failures != "fail" => Outcome::Succeeded,
                "SKIP" if script.items.is_some() => Outcome::Succeeded,
                "SKIP" => Outcome::Skipped,
                "DLQ" => Outcome::DeadLettered,
                _ => Outcome::Failed,
            }
        });
    }
    counted.extend(&outcomes);
    outcomes
}

/// The expected outcome of an operation of type `agenda` that starts.
fn of_whole(script: &Script, counted: &mut Vec<Outcome>) -> Outcome {
    let mut of_inside = Vec::new();
    let inside = oracle(&script.inside, &mut of_inside);
    let worst = [Outcome::Failed, Outcome::Cancelled, Outcome::DeadLettered];
    let of_item = worst.into_iter().find(|bad| inside.contains(bad)).unwrap_or(Outcome::Succeeded);
    let is_absorbed = script.items.is_some() && script.item_failures != "fail";
    match script.items {
        Some((0, _)) => return Outcome::Succeeded,
        _ if !is_absorbed => counted.extend(of_inside),
        _ => {}
    }
    if is_absorbed && of_item != Outcome::Cancelled { Outcome::Succeeded } else { of_item }
}

/// The outcome of an operation whose group of `dependsOn` does not hold.
fn unmet_group(script: &Script, outcomes: &[Outcome]) -> Option<Outcome> {
    let (is_any, members) = script.group.as_ref()?;
    let needs = |word: &str| Outcomes::of_word(word).unwrap_or(Outcomes::GOOD);
    let mut met = members.iter().map(|(on, word)| needs(word).contains(outcomes[*on]));
    let holds = if *is_any { met.any(|met| met) } else { met.all(|met| met) };
    let is_plain = members.iter().all(|(_, word)| needs(word).accepts_all_good());
    (!holds).then_some(if is_plain { Outcome::Cancelled } else { Outcome::Skipped })
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

/// Options of a run that continues after failures, with totals of resources.
pub(crate) fn options(parallel: u32) -> RunOptions {
    RunOptions { parallel, keep_going: true, resources: TOTALS.parse().unwrap(), ..RunOptions::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn outcomes_are_those_of_the_oracle(scripts in scripts(), parallel in 1_u32..5, busy_until in 0_u64..100) {
        let scripts = decided(scripts);
        let plan = plan_of(&scripts);
        let options = options(parallel);
        let mut world = World::new(&scripts, &plan, &options);
        world.busy_until = busy_until;
        world.begin();
        let outcome = world.finish();
        let mut counted = Vec::new();
        let wanted = oracle(&scripts, &mut counted);
        prop_assert_eq!(world.outcomes(), wanted);
        prop_assert_eq!(outcome, outcome_of(&counted));
    }

    /// Crash after every record of the journal, also between events of one step; with --keep-going every outcome
    /// must equal that of the run without a crash, and nothing that succeeded is launched again.
    #[test]
    fn f1_a_crash_at_any_record_changes_no_outcome(scripts in scripts(), parallel in 1_u32..5) {
        let scripts = decided(scripts);
        let plan = plan_of(&scripts);
        let options = options(parallel);
        let mut whole = World::new(&scripts, &plan, &options);
        whole.begin();
        let outcome = whole.finish();
        for cut in 1..whole.journal.len() {
            let mut world = World::restored(&scripts, &plan, &options, &whole.journal[..cut]);
            let done: Vec<u32> = world.scheduler.plan().operations()
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
        let options = options(parallel);
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
        let options = RunOptions { keep_going: false, ..options(parallel) };
        let mut world = World::new(&scripts, &plan, &options);
        world.begin();
        for _ in 0..stop_after {
            if world.scheduler.outcome().is_some() || !world.advance() { break; }
        }
        world.input(Input::CancelAsked { reason: CancelReason::Interrupted });
        world.finish();
        // clean-up runs each time the run ends
        let plan = Arc::clone(world.scheduler.plan());
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
