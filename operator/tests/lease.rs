//! Random histories of replicas that share a Lease: clocks of different speed, delayed and lost requests, conflicts.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use pop_operator::{Action, Answer, Input, LeaderElection, Lease, LeaseSettings};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

/// A request on its way. Times are real milliseconds.
struct Request {
    replica: usize,
    action: Action,
    arrives: u64,
    /// None while it is on its way to the server.
    answer: Option<Answer>,
    /// The time when the answer arrives, or when the replica gives up.
    ends: u64,
    is_given_up: bool,
    is_arrived: bool,
}

struct Replica {
    machine: LeaderElection,
    /// Speed of its clock in percent.
    rate: u64,
    offset: u64,
    /// The replica does nothing before this time: its process is stopped.
    wakes: u64,
    is_released: bool,
}

impl Replica {
    fn clock(&self, real: u64) -> Duration {
        Duration::from_micros((real * self.rate + self.offset) * 10)
    }

    /// The real time at which the clock shows a time.
    fn real(&self, local: Duration) -> u64 {
        let ticks = u64::try_from(local.as_micros()).unwrap().div_ceil(10);
        ticks.saturating_sub(self.offset).div_ceil(self.rate)
    }
}

#[derive(Default)]
struct Counts {
    leaders: usize,
    conflicts: usize,
}

struct World {
    now: u64,
    replicas: Vec<Replica>,
    requests: Vec<Request>,
    lease: Option<Lease>,
    version: u64,
    /// For each request: milliseconds to the server, milliseconds back, and whether it or its answer is lost.
    fates: VecDeque<(u64, u64, u8)>,
    last_leader: Option<usize>,
    counts: Counts,
}

impl World {
    fn act(&mut self, replica: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::StartLeading => {
                    if self.last_leader != Some(replica) {
                        self.counts.leaders += 1;
                    }
                    self.last_leader = Some(replica);
                }
                Action::StopLeading | Action::Ended => {}
                request => {
                    let (there, back, loss) = self.fates.pop_front().unwrap_or((5, 5, 9));
                    let replica_state = &self.replicas[replica];
                    let timeout = replica_state.clock(self.now) + replica_state.machine.request_timeout();
                    let gives_up = replica_state.real(timeout);
                    let arrives = if loss == 0 { u64::MAX } else { self.now + there };
                    let returns = if loss <= 1 { u64::MAX } else { arrives.saturating_add(back) };
                    self.requests.push(Request {
                        replica,
                        action: request,
                        arrives,
                        answer: None,
                        ends: returns.min(gives_up),
                        is_given_up: returns > gives_up,
                        is_arrived: false,
                    });
                }
            }
        }
        self.check();
    }

    fn check(&self) {
        let leads = |replica: &&Replica| replica.machine.is_leading(replica.clock(self.now));
        let leaders = self.replicas.iter().filter(leads).count();
        assert!(leaders <= 1, "{leaders} leaders at {} ms", self.now);
    }

    fn serve(&mut self, action: &Action) -> Answer {
        let (is_good, lease) = match action {
            Action::Get => {
                return self.lease.clone().map_or(Answer::NotFound, Answer::Found);
            }
            Action::Create(lease) => (self.lease.is_none(), lease),
            Action::Replace { lease, .. } => {
                (self.lease.as_ref().is_some_and(|held| held.version == lease.version), lease)
            }
            other => panic!("{other:?} is no request"),
        };
        if !is_good {
            self.counts.conflicts += 1;
            return Answer::Conflict;
        }
        self.version += 1;
        let lease = Lease { version: self.version.to_string(), ..lease.clone() };
        self.lease = Some(lease.clone());
        Answer::Written(lease)
    }

    /// The next moment at which something happens.
    fn next(&self) -> u64 {
        let ends = self
            .requests
            .iter()
            .filter(|request| request.ends != u64::MAX)
            .map(|request| request.ends.max(self.replicas[request.replica].wakes));
        let arrivals =
            self.requests.iter().filter(|request| !request.is_arrived).map(|request| request.arrives);
        let deadlines = self
            .replicas
            .iter()
            .filter_map(|replica| Some(replica.real(replica.machine.deadline()?).max(replica.wakes)));
        ends.chain(arrivals).chain(deadlines).min().unwrap_or(u64::MAX).max(self.now)
    }

    fn run_until(&mut self, end: u64) {
        loop {
            let next = self.next();
            if next > end {
                break;
            }
            self.now = next;
            self.check();
            if !self.arrive() && !self.answer() {
                self.wake();
            }
        }
        self.now = end;
        self.check();
    }

    fn arrive(&mut self) -> bool {
        let is_due = |request: &Request| !request.is_arrived && request.arrives <= self.now;
        let Some(index) = self.requests.iter().position(is_due) else { return false };
        let action = self.requests[index].action.clone();
        let answer = self.serve(&action);
        self.requests[index].answer = Some(answer);
        self.requests[index].is_arrived = true;
        if self.requests[index].ends == u64::MAX {
            self.requests.remove(index);
        }
        true
    }

    fn answer(&mut self) -> bool {
        let is_due =
            |request: &Request| request.ends <= self.now && self.replicas[request.replica].wakes <= self.now;
        let Some(index) = self.requests.iter().position(is_due) else { return false };
        let request = &mut self.requests[index];
        let replica = request.replica;
        let answer = request.answer.take().filter(|_| !request.is_given_up).unwrap_or(Answer::Failed);
        // it may still arrive at the server
        request.ends = u64::MAX;
        if request.is_arrived || request.arrives == u64::MAX {
            self.requests.remove(index);
        }
        self.step(replica, Input::Answered(answer));
        true
    }

    fn wake(&mut self) {
        for index in 0..self.replicas.len() {
            let replica = &self.replicas[index];
            let is_due = replica.machine.deadline().is_some_and(|due| replica.real(due) <= self.now);
            if is_due && replica.wakes <= self.now {
                self.step(index, Input::Time);
            }
        }
    }

    fn step(&mut self, index: usize, input: Input) {
        let replica = &mut self.replicas[index];
        let now = replica.clock(self.now);
        let actions = replica.machine.step(now, input);
        self.act(index, actions);
    }
}

/// What happens from outside: time passes, a process stops for a while, or it gives up the Lease.
#[derive(Debug, Clone)]
enum Event {
    Wait(u64),
    Stall(usize, u64),
    Release(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1_u64..8_000).prop_map(Event::Wait),
        3 => (0_usize..3, 1_u64..20_000).prop_map(|(replica, time)| Event::Stall(replica, time)),
        1 => (0_usize..3).prop_map(Event::Release),
    ]
}

fn fate() -> impl Strategy<Value = (u64, u64, u8)> {
    let delay = || prop_oneof![4 => 0_u64..50, 2 => 0_u64..3_000, 1 => 0_u64..40_000];
    (delay(), delay(), 0_u8..8)
}

fn world(rates: &[u64], fates: Vec<(u64, u64, u8)>) -> World {
    let replica = |(index, rate): (usize, &u64)| Replica {
        machine: LeaderElection::new(LeaseSettings {
            identity: format!("replica-{index}"),
            duration: Duration::from_secs(15),
        }),
        rate: *rate,
        offset: index as u64 * 12_345_678,
        wakes: 0,
        is_released: false,
    };
    World {
        now: 0,
        replicas: rates.iter().enumerate().map(replica).collect(),
        requests: Vec::new(),
        lease: None,
        version: 0,
        fates: fates.into(),
        last_leader: None,
        counts: Counts::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn o29_f69_two_replicas_never_lead_at_once(
        rates in prop::collection::vec(84_u64..122, 2..4),
        fates in prop::collection::vec(fate(), 0..120),
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut world = world(&rates, fates);
        for event in events {
            match event {
                Event::Wait(time) => world.run_until(world.now + time),
                Event::Stall(index, time) => {
                    let wakes = world.now + time;
                    if let Some(replica) = world.replicas.get_mut(index) {
                        replica.wakes = wakes;
                    }
                }
                Event::Release(index) => {
                    let is_able = world.replicas.get(index).is_some_and(|replica| replica.wakes <= world.now);
                    if is_able {
                        world.replicas[index].is_released = true;
                        world.step(index, Input::Release);
                    }
                }
            }
        }
        // all is well from here on: somebody leads, unless all have left
        world.fates.clear();
        world.run_until(world.now + 120_000);
        let leaders = world.replicas.iter().filter(|replica| replica.machine.is_leading(replica.clock(world.now)));
        let expected = usize::from(world.replicas.iter().any(|replica| !replica.is_released));
        prop_assert_eq!(leaders.count(), expected);
    }
}

#[test]
fn o29_f69_leadership_passes_on_when_the_leader_stalls() {
    let mut world = world(&[100, 100], Vec::new());
    world.run_until(20_000);
    assert_eq!(world.last_leader, Some(0));
    world.replicas[0].wakes = 200_000;
    world.run_until(60_000);
    assert_eq!((world.last_leader, world.counts.leaders), (Some(1), 2));
    world.run_until(260_000);
    assert_eq!((world.last_leader, world.counts.leaders), (Some(1), 2));
    assert!(world.counts.conflicts >= 1, "the first write of the woken replica is refused");
}
