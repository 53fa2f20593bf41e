//! Random histories of a pool: every request is answered exactly once, whatever instances do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_warm::{Action, Input, InstanceId, Phase, Pool, PoolSettings, Recycle, RequestId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A process as the test plays it.
#[derive(Default)]
struct Process {
    has_spoken: bool,
    in_hand: Vec<RequestId>,
    is_asked_to_stop: bool,
    must_end: bool,
    is_killed: bool,
}

struct World {
    pool: Pool,
    settings: PoolSettings,
    now: Duration,
    processes: BTreeMap<InstanceId, Process>,
    last: u64,
    requests: u64,
    open: BTreeSet<RequestId>,
}

impl World {
    fn new(settings: PoolSettings) -> Self {
        Self {
            pool: Pool::new(settings),
            settings,
            now: Duration::ZERO,
            processes: BTreeMap::new(),
            last: 0,
            requests: 0,
            open: BTreeSet::new(),
        }
    }

    fn step(&mut self, input: Input) {
        if let Input::Ended(id) | Input::Killed(id) = input {
            self.processes.remove(&id);
        }
        for action in self.pool.step(self.now, input) {
            self.act(action);
        }
        self.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(id) => {
                assert!(id.0 > self.last, "{id:?} was used before");
                self.last = id.0;
                self.processes.insert(id, Process::default());
                assert!(self.processes.len() <= self.settings.max as usize, "too many processes");
            }
            Action::Send { instance, request } => {
                let process = self.processes.get_mut(&instance).unwrap();
                assert!(process.has_spoken && !process.is_asked_to_stop && !process.must_end);
                process.in_hand.push(request);
                assert!(process.in_hand.len() <= self.settings.slots as usize, "too many requests in hand");
                assert!(self.open.contains(&request), "{request:?} was answered before it was sent");
                let holders = self.processes.values().filter(|process| process.in_hand.contains(&request));
                assert_eq!(holders.count(), 1, "{request:?} was sent twice");
            }
            Action::Cancel { instance, request } => {
                assert!(self.processes[&instance].in_hand.contains(&request));
            }
            Action::Stop(id) => {
                let process = self.processes.get_mut(&id).unwrap();
                assert!(process.in_hand.is_empty() && !process.is_asked_to_stop);
                process.is_asked_to_stop = true;
            }
            Action::Terminate(id) => self.processes.get_mut(&id).unwrap().must_end = true,
            Action::Kill(id) => {
                let process = self.processes.get_mut(&id).unwrap();
                assert!(!process.is_killed, "{id:?} was killed twice");
                (process.is_killed, process.must_end) = (true, true);
            }
            Action::Answer { request, .. } => {
                assert!(self.open.remove(&request), "{request:?} was answered twice");
                for process in self.processes.values_mut() {
                    process.in_hand.retain(|held| *held != request);
                }
            }
        }
    }

    fn check(&self) {
        let ready = self.pool.instances().filter(|instance| instance.phase == Phase::Ready).count();
        assert!(ready == 0 || self.pool.waiting() == 0, "an instance is ready while a request waits");
        let held: usize = self.processes.values().map(|process| process.in_hand.len()).sum();
        assert_eq!(held + self.pool.waiting(), self.open.len(), "a request is nowhere");
        assert!(self.pool.deadline().is_none_or(|due| due > self.now), "a deadline was left behind");
    }

    /// One random event. `what` selects the kind, `which` the instance or request.
    fn event(&mut self, what: u8, which: u16) {
        let at = |length: usize| usize::from(which) % length.max(1);
        let ids: Vec<InstanceId> = self.processes.keys().copied().collect();
        let id = ids.get(at(ids.len())).copied();
        let open: Vec<RequestId> = self.open.iter().copied().collect();
        match (what % 16, id) {
            (0..=4, _) => {
                self.requests += 1;
                let id = RequestId(self.requests);
                self.open.insert(id);
                self.step(Input::Request { id, subject: u64::from(which % 5) });
            }
            (5, _) if !open.is_empty() => {
                let kill = which.is_multiple_of(3);
                self.step(Input::Cancel { id: open[at(open.len())], kill });
            }
            (6, _) => {
                self.now += Duration::from_millis(u64::from(which) * 10);
                self.step(Input::Time);
            }
            (7, _) => {
                self.now = self.now.max(self.pool.deadline().unwrap_or_default());
                self.step(Input::Time);
            }
            (8, Some(id)) => self.step(Input::Broken(id)),
            (9, Some(id)) if which.is_multiple_of(2) => self.step(Input::Killed(id)),
            (9, Some(id)) => self.step(Input::Ended(id)),
            (10, _) if which.is_multiple_of(8) => self.step(Input::Renew),
            (_, Some(id)) => self.behave(id, usize::from(which)),
            _ => {}
        }
    }

    /// A process does what a good one does.
    fn behave(&mut self, id: InstanceId, which: usize) {
        let process = self.processes.get_mut(&id).unwrap();
        if process.must_end || (process.is_asked_to_stop && process.in_hand.is_empty()) {
            self.step(Input::Ended(id));
        } else if !process.has_spoken {
            process.has_spoken = true;
            self.step(Input::Started { instance: id, cancels: which.is_multiple_of(2) });
        } else if !process.in_hand.is_empty() {
            let request = process.in_hand[which % process.in_hand.len()];
            let memory = Some(which as u64 % 1000);
            self.step(Input::Finished { instance: id, request, memory });
        }
    }

    /// All processes behave from now on: every request must get its answer, and every process must end.
    fn settle(&mut self) {
        for close in [false, true] {
            if close {
                assert_eq!(self.open, BTreeSet::new(), "requests without an answer");
                self.step(Input::Close);
            }
            for _ in 0..10_000 {
                let ids: Vec<InstanceId> = self.processes.keys().copied().collect();
                if self.open.is_empty() && (!close || ids.is_empty()) {
                    break;
                }
                let can_act = |process: &Process| {
                    !process.has_spoken
                        || process.must_end
                        || process.is_asked_to_stop
                        || !process.in_hand.is_empty()
                };
                let able = ids.into_iter().find(|id| can_act(&self.processes[id]));
                if let Some(id) = able {
                    self.behave(id, 0);
                } else if let Some(due) = self.pool.deadline() {
                    self.now = due;
                    self.step(Input::Time);
                }
            }
        }
        assert!(self.processes.is_empty() && self.open.is_empty());
    }
}

fn settings() -> impl Strategy<Value = PoolSettings> {
    let limits = (1_u32..3, 1_u32..5, 1_u32..4, 1_usize..12);
    let recycle = (prop::option::of(1_u64..6), prop::option::of(1_u64..30), prop::option::of(500_u64..1000));
    (limits, recycle).prop_map(|((instances, max, slots, queue), (operations, age, memory))| PoolSettings {
        instances,
        max: max.max(instances),
        slots,
        queue,
        idle: Duration::from_secs(20),
        recycle: Recycle { operations, age: age.map(Duration::from_secs), memory },
        ..PoolSettings::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered_exactly_once(
        settings in settings(),
        events in prop::collection::vec(any::<(u8, u16)>(), 1..150),
    ) {
        let mut world = World::new(settings);
        for (what, which) in events {
            world.event(what, which);
        }
        world.settle();
    }
}
