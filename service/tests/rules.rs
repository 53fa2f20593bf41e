//! Random events for the two state machines of the queue: the order of agendas, and the work of one.

use pop_service::{Algorithm, Fence, MOST_DELIVERIES, Next, Report, Standing, Work, WorkState};
use proptest::prelude::*;
use std::collections::BTreeMap;

const LEASE: u64 = 100;

fn work(max_attempts: u32) -> Work {
    Work {
        agenda: "a".into(),
        progress: "p".into(),
        insight: "i".into(),
        customer: "c".into(),
        priority: 0,
        round: 0,
        sequence: 1,
        queued: 0,
        state: WorkState::Parked,
        epoch: 0,
        generation: 0,
        attempts: 0,
        max_attempts,
        deliveries: 0,
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Queue,
    Park,
    Lease,
    Time(u64),
    /// By the holder of the lease that began so many leases ago.
    Renew(i64),
    Report(i64, Report),
    HandBack(i64),
    Cancel,
    Reclaim,
}

fn event() -> impl Strategy<Value = Event> {
    let ago = 0..3_i64;
    let report =
        prop_oneof![4 => Just(Report::Running), 1 => Just(Report::Succeeded), 2 => Just(Report::Failed)];
    prop_oneof![
        1 => Just(Event::Queue),
        1 => Just(Event::Park),
        6 => Just(Event::Lease),
        3 => (1..2 * LEASE).prop_map(Event::Time),
        3 => ago.clone().prop_map(Event::Renew),
        6 => (ago.clone(), report).prop_map(|(ago, report)| Event::Report(ago, report)),
        1 => ago.prop_map(Event::HandBack),
        1 => Just(Event::Cancel),
        1 => Just(Event::Reclaim),
    ]
}

proptest! {
    /// Only the newest lease is obeyed, each generation has at most one outcome, and what ended stays ended.
    #[test]
    fn only_the_newest_lease_reports_and_an_agenda_ends_once(
        events in proptest::collection::vec(event(), 1..200), max_attempts in 1..5_u32,
    ) {
        let mut work = work(max_attempts);
        let (mut now, mut outcomes) = (0, BTreeMap::<i64, u32>::new());
        for event in events {
            let before = work.clone();
            let mut ended = false;
            match event {
                Event::Queue => {
                    let refused = work.queue(7, 9, now).is_err();
                    prop_assert_eq!(refused, before.is_leased());
                    prop_assert!(refused || work.generation > before.generation);
                }
                Event::Park => { work.park().ok(); }
                Event::Lease => if work.state == WorkState::Waiting {
                    work.lease("x", now, LEASE);
                    prop_assert!(work.epoch > before.epoch);
                },
                Event::Time(passed) => {
                    now += passed;
                    if matches!(&work.state, WorkState::Leased(lease) if lease.until <= now) {
                        ended = work.lose() == Next::End;
                        prop_assert!(!work.is_leased());
                    }
                }
                Event::Renew(ago) => {
                    let renewed = work.renew(work.epoch - ago, now);
                    prop_assert_eq!(renewed.is_ok(), before.is_leased() && ago == 0);
                }
                Event::Report(ago, report) => {
                    let taken = work.report(work.epoch - ago, report, now, LEASE);
                    prop_assert!(taken.is_err() || ago == 0);
                    ended = matches!(taken, Ok(Some(Next::End)));
                    prop_assert!(!ended || report != Report::Running);
                }
                Event::HandBack(ago) => {
                    let given = work.hand_back(work.epoch - ago);
                    prop_assert_eq!(given.is_ok(), ago == 0 && before.is_leased());
                    prop_assert!(given.is_err() || work.attempts == before.attempts);
                }
                Event::Cancel => {
                    let was_open = !matches!(before.state, WorkState::Ended(_));
                    let cancelled = work.cancel();
                    prop_assert_eq!(cancelled.is_ok(), was_open);
                    prop_assert!(cancelled.is_err() || work.epoch > before.epoch);
                    // an agenda that stays out of the queue has no outcome of a generation
                    ended = cancelled.is_ok() && before.state != WorkState::Parked;
                }
                Event::Reclaim => {
                    let next = work.reclaim();
                    prop_assert_eq!(next.is_ok(), before.is_leased());
                    prop_assert!(next.is_err() || work.epoch > before.epoch);
                    ended = matches!(next, Ok(Next::End));
                }
            }
            prop_assert!(work.epoch >= before.epoch && work.attempts >= before.attempts);
            let takes_lease = matches!(event, Event::Cancel | Event::Reclaim);
            prop_assert!(work.epoch == before.epoch || before.state == WorkState::Waiting || takes_lease);
            if ended {
                prop_assert!(matches!(work.state, WorkState::Ended(_)));
                *outcomes.entry(work.generation).or_default() += 1;
            }
            if matches!(before.state, WorkState::Ended(_)) && !matches!(event, Event::Queue | Event::Park) {
                prop_assert_eq!(&work, &before);
            }
        }
        prop_assert!(outcomes.values().all(|count| *count == 1), "{:?}", outcomes);
    }

    /// Round robin: while two customers wait, neither is served twice before the other is served once.
    #[test]
    fn round_robin_serves_customers_in_turn(steps in proptest::collection::vec((0..4_usize, 0..3_u8), 1..300)) {
        let mut queue: Vec<(i64, i64, usize)> = Vec::new();
        // for each pair: how often the first was served while the second waited, since the second was served
        let mut served = [[0_u32; 4]; 4];
        let (mut current, mut of_customer, mut sequence) = (0, [None; 4], 0);
        for (customer, kind) in steps {
            if kind < 2 {
                let last = queue.iter().map(|(round, ..)| *round).max();
                let standing = Standing { current, last, of_customer: of_customer[customer] };
                let round = standing.round(Algorithm::RoundRobin);
                of_customer[customer] = Some(round);
                sequence += 1;
                queue.push((round, sequence, customer));
                queue.sort_unstable();
            } else if !queue.is_empty() {
                let (round, _, customer) = queue.remove(0);
                prop_assert!(round >= current);
                current = round;
                for other in [0, 1, 2, 3] {
                    served[other][customer] = 0;
                    let waits = queue.iter().any(|(.., of)| *of == other) && other != customer;
                    served[customer][other] = if waits { served[customer][other] + 1 } else { 0 };
                    prop_assert!(served[customer][other] <= 2, "{customer} before {other}: {queue:?}");
                }
            }
        }
    }
}

#[test]
fn order_survives_a_change_of_the_algorithm() {
    let standing = Standing { current: 1, last: Some(4), of_customer: Some(3) };
    assert_eq!(standing.round(Algorithm::FirstInFirstOut), 4);
    assert_eq!(standing.round(Algorithm::RoundRobin), 4);
    assert_eq!(Standing { of_customer: None, ..standing }.round(Algorithm::RoundRobin), 1);
    assert_eq!(Standing { last: None, ..standing }.round(Algorithm::FirstInFirstOut), 1);
    assert_eq!(Standing::default().round(Algorithm::RoundRobin), 0);
}

#[test]
fn lost_executors_count_as_attempts_and_lost_pullers_do_not() {
    let mut work = work(2);
    work.queue(0, 1, 0).unwrap();
    for _ in 1..MOST_DELIVERIES {
        work.lease("x", 0, LEASE);
        assert_eq!((work.lose(), work.attempts), (Next::Requeue, 0));
    }
    work.lease("x", 0, LEASE);
    assert_eq!(work.report(work.epoch, Report::Running, 0, LEASE).unwrap(), None);
    assert_eq!((work.lose(), work.attempts, work.generation), (Next::Requeue, 1, 1));
    // the executor was only late, and nobody else has got the agenda
    assert_eq!(work.report(work.epoch, Report::Running, 0, LEASE).unwrap(), None);
    assert_eq!((work.lose(), work.attempts), (Next::End, 2));
    work.queue(0, 1, 0).unwrap();
    for _ in 1..MOST_DELIVERIES {
        work.lease("x", 0, LEASE);
        work.lose();
    }
    work.lease("x", 0, LEASE);
    assert_eq!(work.lose(), Next::End);
}

#[test]
fn a_failure_is_retried_as_a_new_generation_until_attempts_are_used() {
    let mut work = work(2);
    work.queue(0, 1, 0).unwrap();
    work.lease("x", 0, LEASE);
    let failed = |work: &mut Work| work.report(work.epoch, Report::Failed, 0, LEASE);
    assert_eq!(failed(&mut work).unwrap(), Some(Next::Requeue));
    assert_eq!((work.generation, &work.state), (2, &WorkState::Waiting));
    assert!(failed(&mut work).is_err());
    work.lease("x", 0, LEASE);
    assert_eq!(failed(&mut work).unwrap(), Some(Next::End));
}

#[test]
fn a_lease_travels_in_the_id_of_the_progress() {
    let text = Fence::text("p-1", 7);
    assert_eq!(Fence::parse(&text), Fence { progress: "p-1", epoch: Some(7) });
    for plain in ["p-1", "p~", "p~x", "p~-1", "~"] {
        assert_eq!(Fence::parse(plain), Fence { progress: plain, epoch: None });
    }
}
