//! Cases of the pool, one rule each. `warm/tests/pool.rs` holds the random histories.

use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const ONE: InstanceId = InstanceId(1);
const TWO: InstanceId = InstanceId(2);

fn request(id: u64) -> Input {
    Input::Request { id: RequestId(id), subject: id }
}

fn hello(instance: InstanceId) -> Input {
    Input::Started { instance, cancels: true }
}

fn finished(instance: InstanceId, id: u64) -> Input {
    Input::Finished { instance, request: RequestId(id), memory: None }
}

fn send(instance: InstanceId, id: u64) -> Action {
    Action::Send { instance, request: RequestId(id) }
}

fn answer(id: u64, answer: Answer) -> Action {
    Action::Answer { request: RequestId(id), answer }
}

fn pool(change: impl FnOnce(&mut PoolSettings)) -> Pool {
    let mut settings = PoolSettings { max: 1, ..PoolSettings::default() };
    change(&mut settings);
    Pool::new(settings)
}

/// A pool with one instance that has said hello.
fn running(change: impl FnOnce(&mut PoolSettings)) -> Pool {
    let mut pool = pool(change);
    pool.step(seconds(0), request(100));
    pool.step(seconds(0), hello(ONE));
    pool.step(seconds(0), finished(ONE, 100));
    pool
}

#[test]
fn an_instance_serves_requests_in_order() {
    let mut pool = pool(|_| {});
    assert_eq!(pool.step(seconds(0), request(1)), [Action::Start(ONE)]);
    assert_eq!(pool.step(seconds(0), request(2)), []);
    assert_eq!(pool.step(seconds(1), hello(ONE)), [send(ONE, 1)]);
    assert_eq!(pool.step(seconds(2), finished(ONE, 1)), [answer(1, Answer::Finished), send(ONE, 2)]);
    // a second end of the same request changes nothing
    assert_eq!(pool.step(seconds(2), finished(ONE, 1)), []);
}

#[test]
fn an_instance_starts_for_waiting_requests_up_to_the_maximum() {
    let mut pool = pool(|settings| (settings.max, settings.slots) = (2, 2));
    assert_eq!(pool.step(seconds(0), request(1)), [Action::Start(ONE)]);
    assert_eq!(pool.step(seconds(0), request(2)), []);
    assert_eq!(pool.step(seconds(0), request(3)), [Action::Start(TWO)]);
    assert_eq!(pool.step(seconds(0), request(4)), []);
    assert_eq!(pool.step(seconds(0), request(5)), []);
    assert_eq!(pool.step(seconds(0), hello(ONE)), [send(ONE, 1), send(ONE, 2)]);
    assert_eq!(pool.step(seconds(0), hello(TWO)), [send(TWO, 3), send(TWO, 4)]);
    assert_eq!(pool.waiting(), 1);
}

#[test]
fn an_idle_instance_stops_and_is_killed_if_it_does_not_end() {
    let mut pool = running(|settings| settings.idle = seconds(60));
    assert_eq!(pool.deadline(), Some(seconds(60)));
    assert_eq!(pool.step(seconds(60), Input::Time), [Action::Stop(ONE)]);
    assert_eq!(pool.deadline(), Some(seconds(65)));
    // a process that is about to end counts: the next one starts when it has ended
    assert_eq!(pool.step(seconds(61), request(1)), []);
    assert_eq!(pool.step(seconds(65), Input::Time), [Action::Kill(ONE)]);
    assert_eq!(pool.deadline(), None);
    assert_eq!(pool.step(seconds(66), Input::Ended(ONE)), [Action::Start(TWO)]);
}

#[test]
fn an_instance_is_recycled_by_operations_age_and_memory() {
    let mut by_operations = running(|settings| settings.recycle.operations = Some(2));
    by_operations.step(seconds(1), request(1));
    assert_eq!(
        by_operations.step(seconds(1), finished(ONE, 1)),
        [answer(1, Answer::Finished), Action::Stop(ONE)]
    );

    let mut by_age = running(|settings| settings.recycle.age = Some(seconds(10)));
    by_age.step(seconds(9), request(1));
    assert_eq!(by_age.step(seconds(10), Input::Time), []);
    let phases: Vec<Phase> = by_age.instances().map(|instance| instance.phase).collect();
    assert_eq!(phases, [Phase::Draining]);
    assert_eq!(by_age.step(seconds(11), finished(ONE, 1)), [answer(1, Answer::Finished), Action::Stop(ONE)]);

    let mut by_memory = running(|settings| settings.recycle.memory = Some(1000));
    by_memory.step(seconds(1), request(1));
    let used = |memory| Input::Finished { instance: ONE, request: RequestId(1), memory: Some(memory) };
    assert_eq!(by_memory.step(seconds(1), used(1000)), [answer(1, Answer::Finished), Action::Stop(ONE)]);
}

#[test]
fn a_crash_is_the_failure_of_the_only_request_in_hand() {
    let mut pool = running(|_| {});
    pool.step(seconds(1), request(1));
    pool.step(seconds(1), request(2));
    assert_eq!(pool.step(seconds(2), Input::Ended(ONE)), [answer(1, Answer::Crashed), Action::Start(TWO)]);
    assert_eq!(pool.step(seconds(2), hello(TWO)), [send(TWO, 2)]);
}

#[test]
fn a_suspect_of_two_crashes_runs_alone() {
    let mut pool = running(|settings| settings.slots = 2);
    let ask = |id, subject| Input::Request { id: RequestId(id), subject };
    let mut id = 0;
    for crash in 1..=2 {
        id += 2;
        pool.step(seconds(1), ask(id, 7));
        pool.step(seconds(1), ask(id + 1, 10 + crash));
        let ended = pool.step(seconds(1), Input::Ended(InstanceId(crash)));
        assert_eq!(
            ended,
            [answer(id, Answer::Displaced), answer(id + 1, Answer::Displaced)],
            "crash {crash}"
        );
        pool.step(seconds(1), ask(99 + crash, 0));
        pool.step(seconds(1), hello(InstanceId(crash + 1)));
        if crash == 1 {
            pool.step(seconds(1), finished(TWO, 100));
        }
    }
    // instance 3 serves request 101, so the suspect waits until that has ended; others do not join it
    let three = InstanceId(3);
    assert_eq!(pool.step(seconds(1), ask(20, 7)), []);
    assert_eq!(pool.step(seconds(1), ask(21, 8)), []);
    assert_eq!(pool.step(seconds(2), finished(three, 101)), [answer(101, Answer::Finished), send(three, 20)]);
    assert_eq!(
        pool.step(seconds(3), Input::Ended(three)),
        [answer(20, Answer::Crashed), Action::Start(InstanceId(4))]
    );
}

#[test]
fn a_cancelled_request_is_taken_out_of_the_queue_or_cancelled_in_the_instance() {
    let mut pool = running(|_| {});
    pool.step(seconds(1), request(1));
    pool.step(seconds(1), request(2));
    let cancel = |id, kill| Input::Cancel { id: RequestId(id), kill };
    assert_eq!(pool.step(seconds(1), cancel(2, false)), [answer(2, Answer::Cancelled)]);
    assert_eq!(
        pool.step(seconds(1), cancel(1, false)),
        [Action::Cancel { instance: ONE, request: RequestId(1) }]
    );
    assert_eq!(pool.step(seconds(2), cancel(1, true)), [Action::Kill(ONE)]);
    assert_eq!(pool.step(seconds(2), cancel(1, true)), []);
    assert_eq!(pool.step(seconds(2), Input::Ended(ONE)), [answer(1, Answer::Crashed)]);
}

#[test]
fn an_instance_that_cannot_cancel_ends_and_its_neighbours_are_displaced() {
    let mut pool = pool(|settings| settings.slots = 2);
    pool.step(seconds(0), request(1));
    pool.step(seconds(0), request(2));
    pool.step(seconds(0), Input::Started { instance: ONE, cancels: false });
    let cancel = Input::Cancel { id: RequestId(1), kill: false };
    assert_eq!(pool.step(seconds(1), cancel), [Action::Terminate(ONE)]);
    assert_eq!(pool.step(seconds(1), cancel), []);
    assert_eq!(
        pool.step(seconds(1), Input::Ended(ONE)),
        [answer(1, Answer::Crashed), answer(2, Answer::Displaced)]
    );
}

#[test]
fn a_program_that_never_says_hello_is_run_once_for_each_request() {
    for (at, failure) in [(0, Input::Ended(ONE)), (10, Input::Time), (1, Input::Broken(ONE))] {
        let mut pool = pool(|_| {});
        pool.step(seconds(0), request(1));
        pool.step(seconds(0), request(2));
        let actions = pool.step(seconds(at), failure);
        let answers: Vec<_> =
            actions.into_iter().filter(|action| matches!(action, Action::Answer { .. })).collect();
        assert_eq!(answers, [answer(1, Answer::RunOnce), answer(2, Answer::RunOnce)], "{failure:?}");
        assert_eq!(pool.step(seconds(11), request(3)), [answer(3, Answer::RunOnce)]);
        assert!(pool.runs_once());
    }
}

#[test]
fn a_program_killed_before_its_hello_gets_another_chance() {
    let mut pool = pool(|_| {});
    pool.step(seconds(0), request(1));
    for id in 1..=2 {
        assert_eq!(pool.step(seconds(id), Input::Killed(InstanceId(id))), []);
        let due = pool.deadline().unwrap();
        assert_eq!(pool.step(due, Input::Time), [Action::Start(InstanceId(id + 1))]);
    }
    assert_eq!(pool.step(seconds(9), Input::Killed(InstanceId(3))), [answer(1, Answer::RunOnce)]);
}

#[test]
fn a_failed_start_answers_what_waits_and_delays_the_next_start() {
    let mut pool = running(|_| {});
    pool.step(seconds(1), Input::Ended(ONE));
    assert_eq!(pool.step(seconds(2), request(1)), [Action::Start(TWO)]);
    assert_eq!(pool.step(seconds(2), Input::Ended(TWO)), [answer(1, Answer::NoInstance)]);
    assert_eq!(pool.step(seconds(2), request(2)), []);
    let due = seconds(2) + PoolSettings::FIRST_BACK_OFF;
    assert_eq!(pool.deadline(), Some(due));
    assert_eq!(pool.step(due, Input::Time), [Action::Start(InstanceId(3))]);
    assert_eq!(pool.step(due, Input::Ended(InstanceId(3))), [answer(2, Answer::NoInstance)]);
    pool.step(due, request(3));
    assert_eq!(pool.deadline(), Some(due + 2 * PoolSettings::FIRST_BACK_OFF));
}

#[test]
fn a_full_queue_refuses_the_next_request() {
    let mut pool = pool(|settings| settings.queue = 1);
    pool.step(seconds(0), request(1));
    assert_eq!(pool.step(seconds(0), request(2)), [answer(2, Answer::QueueFull)]);
}

#[test]
fn renewed_instances_end_after_their_requests() {
    let mut pool = running(|_| {});
    pool.step(seconds(1), request(1));
    assert_eq!(pool.step(seconds(1), Input::Renew), []);
    assert_eq!(pool.step(seconds(1), request(2)), []);
    assert_eq!(pool.step(seconds(2), finished(ONE, 1)), [answer(1, Answer::Finished), Action::Stop(ONE)]);
    assert_eq!(pool.step(seconds(3), Input::Ended(ONE)), [Action::Start(TWO)]);
}

#[test]
fn an_instance_that_is_out_of_date_before_its_hello_serves_nothing() {
    let mut pool = pool(|settings| settings.max = 1);
    assert_eq!(pool.step(seconds(0), request(1)), [Action::Start(ONE)]);
    assert_eq!(pool.step(seconds(1), Input::Renew), []);
    let hello = Input::Started { instance: ONE, cancels: true };
    assert_eq!(pool.step(seconds(2), hello), [Action::Stop(ONE)]);
    assert_eq!(pool.step(seconds(3), Input::Ended(ONE)), [Action::Start(TWO)]);
}

#[test]
fn a_closed_pool_answers_and_stops_everything() {
    let mut pool = running(|settings| settings.max = 2);
    pool.step(seconds(1), request(1));
    pool.step(seconds(1), request(2));
    assert_eq!(pool.step(seconds(1), Input::Close), [answer(2, Answer::Closed), Action::Kill(TWO)]);
    assert_eq!(pool.step(seconds(1), request(3)), [answer(3, Answer::Closed)]);
    assert_eq!(pool.step(seconds(2), finished(ONE, 1)), [answer(1, Answer::Finished), Action::Stop(ONE)]);
}

#[test]
fn the_time_limit_of_a_start_begins_when_the_process_runs() {
    let settings = PoolSettings { max: 1, start_timeout: seconds(10), ..PoolSettings::default() };
    let mut pool = Pool::new(settings).with_pending_phase();
    assert_eq!(pool.step(seconds(0), request(1)), [Action::Start(ONE)]);
    // for example its image is pulled
    assert_eq!((pool.deadline(), pool.step(seconds(100), Input::Time)), (None, vec![]));
    assert_eq!(pool.step(seconds(100), Input::Running(ONE)), []);
    assert_eq!(pool.deadline(), Some(seconds(110)));
    assert_eq!(pool.step(seconds(110), Input::Time), [Action::Kill(ONE), answer(1, Answer::RunOnce)]);
}

#[test]
fn an_instance_may_say_hello_before_its_start_is_reported() {
    let mut pool = Pool::new(PoolSettings { max: 1, ..PoolSettings::default() }).with_pending_phase();
    pool.step(seconds(0), request(1));
    assert_eq!(pool.step(seconds(1), hello(ONE)), [send(ONE, 1)]);
    assert_eq!(pool.step(seconds(2), Input::Running(ONE)), []);
    assert_eq!(pool.step(seconds(3), finished(ONE, 1)), [answer(1, Answer::Finished)]);
}
