//! Tables and random histories of the dispatcher.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const ONE: InstanceId = InstanceId(1);
const TWO: InstanceId = InstanceId(2);

fn request(number: u64) -> Input {
    Input::Request(RequestId(number))
}

fn answer(number: u64, answer: Answer) -> Action {
    Action::Answer { request: RequestId(number), answer }
}

fn handle(instance: InstanceId, number: u64) -> Action {
    Action::Handle { instance, request: RequestId(number) }
}

/// A dispatcher whose first instances are ready.
fn running(initial: u32, limit: u32, queue: usize) -> Dispatcher {
    let mut dispatcher = Dispatcher::new(initial, limit, queue);
    dispatcher.step(Input::StartInstances);
    for number in 1..=initial {
        dispatcher.step(Input::Started(InstanceId(number)));
    }
    dispatcher
}

#[test]
fn s1_a_hundred_callers_of_one_instance_are_handled_one_by_one_in_order() {
    let mut dispatcher = running(1, 1, 100);
    assert_eq!(dispatcher.step(request(1)), [handle(ONE, 1)]);
    for number in 2..=100 {
        assert_eq!(dispatcher.step(request(number)), []);
    }
    for number in 1..100 {
        let next = [answer(number, Answer::Handled), handle(ONE, number + 1)];
        assert_eq!(dispatcher.step(Input::Finished(ONE)), next);
    }
    assert_eq!(dispatcher.add(), Err(Refusal::Limit(1)));
}

#[test]
fn s16_a_full_queue_refuses_the_caller_and_drops_nothing() {
    let mut dispatcher = running(1, 1, 10);
    let mut full = |number| dispatcher.step(request(number)).contains(&answer(number, Answer::QueueFull));
    let refused: Vec<u64> = (1..=30).filter(|number| full(*number)).collect();
    assert_eq!(refused, (12..=30).collect::<Vec<_>>());
    assert_eq!((dispatcher.waiting(), dispatcher.in_hand()), (10, 1));
}

#[test]
fn s13_s18_an_added_instance_is_ready_later_and_drains_the_queue() {
    let mut dispatcher = running(1, 2, 10);
    dispatcher.step(request(1));
    dispatcher.step(request(2));
    let (id, actions) = dispatcher.add().unwrap();
    assert_eq!((id, actions), (TWO, vec![Action::Emit(Event::Added(TWO)), Action::Start(TWO)]));
    assert_eq!(dispatcher.instances()[1], (TWO, InstanceState::Starting));
    assert_eq!(dispatcher.step(Input::Started(TWO)), [Action::Emit(Event::Ready(TWO)), handle(TWO, 2)]);
    assert_eq!(dispatcher.add(), Err(Refusal::Limit(2)));
}

#[test]
fn s15_a_deleted_instance_answers_its_caller_as_cancelled_and_the_rest_goes_on() {
    let mut dispatcher = running(2, 2, 10);
    dispatcher.step(request(1));
    dispatcher.step(request(2));
    dispatcher.step(request(3));
    assert_eq!(dispatcher.delete(ONE), Ok(vec![answer(1, Answer::Cancelled), Action::Cancel(ONE)]));
    assert_eq!(dispatcher.delete(ONE), Err(Refusal::Unknown));
    assert_eq!(dispatcher.step(Input::Finished(TWO)), [answer(2, Answer::Handled), handle(TWO, 3)]);
    assert_eq!(dispatcher.step(Input::Finished(ONE)), [Action::Emit(Event::Deleted(ONE))]);
    // its number is not used again
    assert_eq!(dispatcher.add().unwrap().0, InstanceId(3));
}

#[test]
fn deleted_while_idle_or_starting() {
    let mut dispatcher = running(1, 2, 10);
    dispatcher.add().unwrap();
    assert_eq!(dispatcher.delete(TWO), Ok(vec![Action::Cancel(TWO)]));
    assert_eq!(dispatcher.step(Input::StartFailed(TWO)), [Action::Emit(Event::Deleted(TWO))]);
    assert_eq!(dispatcher.delete(ONE), Ok(vec![Action::Emit(Event::Deleted(ONE))]));
    assert_eq!(dispatcher.step(request(1)), []);
    let (three, _) = dispatcher.add().unwrap();
    let ready = [Action::Emit(Event::Ready(three)), handle(three, 1)];
    assert_eq!(dispatcher.step(Input::Started(three)), ready);
}

#[test]
fn stopped_instances_start_again_and_answer_what_waited() {
    let mut dispatcher = running(1, 2, 10);
    dispatcher.step(request(1));
    assert_eq!(dispatcher.step(Input::StopInstances), [answer(1, Answer::Cancelled), Action::Cancel(ONE)]);
    assert_eq!(dispatcher.step(request(2)), []);
    assert_eq!(dispatcher.add(), Err(Refusal::Stopped));
    dispatcher.step(Input::Finished(ONE));
    assert_eq!(dispatcher.step(Input::StartInstances), [Action::Emit(Event::Added(TWO)), Action::Start(TWO)]);
    assert_eq!(dispatcher.step(Input::Started(TWO)), [Action::Emit(Event::Ready(TWO)), handle(TWO, 2)]);
}

#[test]
fn a_closed_dispatcher_answers_what_waits_and_finishes_what_is_in_hand() {
    let mut dispatcher = running(1, 1, 10);
    dispatcher.step(request(1));
    dispatcher.step(request(2));
    assert_eq!(dispatcher.step(Input::Close), [answer(2, Answer::Closed)]);
    assert_eq!(dispatcher.step(request(3)), [answer(3, Answer::Closed)]);
    assert_eq!(dispatcher.step(Input::Finished(ONE)), [answer(1, Answer::Handled)]);
}

/// What a random history does next. The numbers select among what is possible.
#[derive(Debug, Clone, Copy)]
enum Step {
    Request,
    Add,
    Delete(usize),
    EndWork(usize),
    FailWork(usize),
    Stop,
    Start,
}

fn doing() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Request),
        2 => Just(Step::Add),
        1 => any::<usize>().prop_map(Step::Delete),
        6 => any::<usize>().prop_map(Step::EndWork),
        1 => any::<usize>().prop_map(Step::FailWork),
        1 => Just(Step::Stop),
        2 => Just(Step::Start),
    ]
}

/// The instances and requests as the caller sees them.
#[derive(Default)]
struct World {
    last: u64,
    /// Work of instances: none while they start.
    work: BTreeMap<InstanceId, Option<RequestId>>,
    seen: BTreeSet<InstanceId>,
    handled: Vec<RequestId>,
    answered: BTreeMap<RequestId, Answer>,
}

impl World {
    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start(id) => {
                    assert!(self.seen.insert(id), "{id:?} twice");
                    self.work.insert(id, None);
                }
                Action::Handle { instance, request } => {
                    assert!(!self.work.contains_key(&instance), "{instance:?} has two requests");
                    self.work.insert(instance, Some(request));
                    self.handled.push(request);
                }
                Action::Answer { request, answer } => {
                    assert_eq!(self.answered.insert(request, answer), None, "{request:?} twice");
                }
                Action::Cancel(id) => assert!(self.work.contains_key(&id), "{id:?} does nothing"),
                Action::Emit(_) => {}
            }
        }
    }

    fn end_work(&mut self, dispatcher: &mut Dispatcher, at: usize, fails: bool) {
        let Some(id) = self.work.keys().nth(at % self.work.len().max(1)).copied() else { return };
        let input = match self.work.remove(&id).unwrap() {
            Some(_) => Input::Finished(id),
            None if fails => Input::StartFailed(id),
            None => Input::Started(id),
        };
        self.perform(dispatcher.step(input));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn s17_every_request_is_answered_once_and_starts_in_order(
        history in proptest::collection::vec(doing(), 1..120),
        limit in 1_u32..4,
        queue in 0_usize..6,
    ) {
        let mut dispatcher = Dispatcher::new(1, limit, queue);
        let mut world = World::default();
        world.perform(dispatcher.step(Input::StartInstances));
        for doing in history {
            match doing {
                Step::Request => {
                    world.last += 1;
                    world.perform(dispatcher.step(Input::Request(RequestId(world.last))));
                }
                Step::Add => {
                    if let Ok((_, actions)) = dispatcher.add() {
                        world.perform(actions);
                    }
                }
                Step::Delete(at) => {
                    let ids: Vec<_> = dispatcher.instances().iter().map(|(id, _)| *id).collect();
                    if let Some(id) = ids.get(at % ids.len().max(1))
                        && let Ok(actions) = dispatcher.delete(*id)
                    {
                        world.perform(actions);
                    }
                }
                Step::EndWork(at) => world.end_work(&mut dispatcher, at, false),
                Step::FailWork(at) => world.end_work(&mut dispatcher, at, true),
                Step::Stop => world.perform(dispatcher.step(Input::StopInstances)),
                Step::Start => world.perform(dispatcher.step(Input::StartInstances)),
            }
            prop_assert!(dispatcher.present() <= limit);
            let is_idle = dispatcher.instances().iter().any(|(_, state)| *state == InstanceState::Ready);
            prop_assert!(!is_idle || dispatcher.waiting() == 0);
        }
        world.perform(dispatcher.step(Input::Close));
        while !world.work.is_empty() {
            world.end_work(&mut dispatcher, 0, false);
        }
        prop_assert_eq!(world.answered.len() as u64, world.last);
        prop_assert!(world.handled.is_sorted());
    }
}
