//! The pool of instances of one program, as a state machine without clock, processes and sockets.
//!
//! The caller passes each event with its time to [`Pool::step`] and performs the actions. It wakes the pool at
//! [`Pool::deadline`]. Times are durations since any fixed moment.
//!
//! *Guarantees.* Each request gets exactly one [`Answer`]. No instance is ready while a request waits. There are never
//! more than [`PoolSettings::max`] processes, and no number of an instance is used twice.
//! *Assumptions.* The number of a request is unique. Every started instance ends with [`Input::Ended`].

mod instance;
mod settings;

use instance::{InHand, Instance};
pub use instance::{InstanceView, Phase};
pub use settings::{PoolSettings, Recycle};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Failed starts in a row after which the program does not serve, whatever ended them.
const HOPELESS: u32 = 3;
/// Crashes with other requests in hand after which a subject runs alone.
const SUSPICIOUS: u32 = 2;

/// The number of an instance, from 1, unique within its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub u64);

/// The caller's number of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// An event for the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A request came.
    Request {
        /// The request.
        id: RequestId,
        /// What the request is an attempt of; the pool counts crashes by it.
        subject: u64,
    },
    /// A request is not wanted any more; with `kill`, its instance is killed if necessary.
    Cancel {
        /// The request.
        id: RequestId,
        /// Whether to kill the instance.
        kill: bool,
    },
    /// The process of an instance runs. Needed only with [a pending phase](Pool::with_pending_phase).
    Running(InstanceId),
    /// An instance said hello.
    Started {
        /// The instance.
        instance: InstanceId,
        /// Whether it can cancel one request and go on.
        cancels: bool,
    },
    /// An instance has finished a request.
    Finished {
        /// The instance.
        instance: InstanceId,
        /// The request.
        request: RequestId,
        /// Resident memory of the instance, in bytes, if it was measured.
        memory: Option<u64>,
    },
    /// An instance breaks the protocol or has closed its socket. It is killed.
    Broken(InstanceId),
    /// The process of an instance has ended, or could not be started.
    Ended(InstanceId),
    /// A signal has ended the process of an instance. Before its hello, that does not show whether the program serves.
    Killed(InstanceId),
    /// The present instances are out of date: each ends after its requests in hand.
    Renew,
    /// A deadline may have passed.
    Time,
    /// All instances must end; waiting requests are answered, and so is every later one.
    Close,
}

/// What the caller must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start the process of an instance.
    Start(InstanceId),
    /// Give a request to an instance.
    Send {
        /// The instance.
        instance: InstanceId,
        /// The request.
        request: RequestId,
    },
    /// Ask an instance to cancel a request.
    Cancel {
        /// The instance.
        instance: InstanceId,
        /// The request.
        request: RequestId,
    },
    /// Ask an instance to end when it has no work: no further request follows.
    Stop(InstanceId),
    /// Ask the process of an instance to end now (SIGTERM).
    Terminate(InstanceId),
    /// Kill the process of an instance (SIGKILL).
    Kill(InstanceId),
    /// Answer a request. There is no other answer.
    Answer {
        /// The request.
        request: RequestId,
        /// The answer.
        answer: Answer,
    },
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The instance finished it.
    Finished,
    /// The instance ended while it served this request.
    Crashed,
    /// The instance ended, and this request is not known to be the cause. It may be repeated.
    Displaced,
    /// It was cancelled before an instance got it.
    Cancelled,
    /// Too many requests wait.
    QueueFull,
    /// The program does not serve: run it once for this request.
    RunOnce,
    /// Instances do not start any more.
    NoInstance,
    /// The pool is closed.
    Closed,
}

/// A request that waits for an instance.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    request: RequestId,
    subject: u64,
}

/// The instances of one program and the requests that wait for them.
#[derive(Debug)]
pub struct Pool {
    settings: PoolSettings,
    instances: Vec<Instance>,
    waiting: VecDeque<Waiting>,
    last_id: u64,
    /// Crashes of instances with several requests in hand, by subject.
    suspects: HashMap<u64, u32>,
    /// Whether an instance has ever said hello.
    has_spoken: bool,
    /// Whether the program is run once for each request.
    runs_once: bool,
    /// Failed starts in a row.
    failures: u32,
    /// No instance starts before this time.
    not_before: Duration,
    /// Whether the time limit of a start begins with [`Input::Running`].
    has_pending_phase: bool,
    is_closed: bool,
}

impl Pool {
    /// A pool without instances. Values below the allowed minimum are raised to it.
    pub fn new(settings: PoolSettings) -> Self {
        let instances = settings.instances.max(1);
        let settings = PoolSettings {
            instances,
            max: settings.max.max(instances),
            slots: settings.slots.max(1),
            ..settings
        };
        Self {
            settings,
            instances: Vec::new(),
            waiting: VecDeque::new(),
            last_id: 0,
            suspects: HashMap::new(),
            has_spoken: false,
            runs_once: false,
            failures: 0,
            not_before: Duration::ZERO,
            has_pending_phase: false,
            is_closed: false,
        }
    }

    /// The same pool for instances that may wait for their image before they run: the time limit of a start begins with
    /// [`Input::Running`].
    #[must_use]
    pub fn with_pending_phase(self) -> Self {
        Self { has_pending_phase: true, ..self }
    }

    /// The instances whose process has not ended.
    pub fn instances(&self) -> impl Iterator<Item = InstanceView> {
        self.instances.iter().map(Instance::view)
    }

    /// Number of requests that wait for an instance.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the program is run once for each request, because it does not serve.
    pub fn runs_once(&self) -> bool {
        self.runs_once
    }

    /// Processes an event. The caller performs the actions in their order.
    pub fn step(&mut self, now: Duration, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        let out = &mut actions;
        match input {
            Input::Request { id, subject } => self.request(Waiting { request: id, subject }, now, out),
            Input::Cancel { id, kill } => self.cancel(id, kill, out),
            Input::Running(instance) => {
                if let Some(instance) = self.find(instance) {
                    instance.runs(now);
                }
            }
            Input::Started { instance, cancels } => self.started(instance, cancels, now),
            Input::Finished { instance, request, memory } => {
                self.finished(instance, request, memory, now, out);
            }
            Input::Broken(instance) => self.broken(instance, now, out),
            Input::Ended(instance) => self.ended(instance, true, now, out),
            Input::Killed(instance) => self.ended(instance, false, now, out),
            Input::Renew => self.instances.iter_mut().for_each(Instance::drain),
            Input::Time => {}
            Input::Close => self.close(out),
        }
        self.retire(now, out);
        self.assign(out);
        self.start(now, out);
        actions
    }

    /// The next time at which [`Input::Time`] has an effect.
    pub fn deadline(&self) -> Option<Duration> {
        let Recycle { age, .. } = self.settings.recycle;
        let of_instance = |instance: &Instance| match instance.phase() {
            Phase::Starting => instance.runs_since().map(|since| since + self.settings.start_timeout),
            Phase::Ready => {
                let idle = instance.idle_since + self.settings.idle;
                Some(age.map_or(idle, |age| idle.min(instance.began + age)))
            }
            Phase::Handling | Phase::Draining => None,
            Phase::Stopping => instance.kill_at(),
        };
        let backed_off = self.wanted_starts() > 0 && self.failures > 0;
        self.instances.iter().filter_map(of_instance).chain(backed_off.then_some(self.not_before)).min()
    }

    fn request(&mut self, waiting: Waiting, now: Duration, out: &mut Vec<Action>) {
        let refusal = if self.is_closed {
            Some(Answer::Closed)
        } else if self.runs_once {
            Some(Answer::RunOnce)
        } else if self.waiting.len() >= self.settings.queue {
            Some(Answer::QueueFull)
        } else {
            None
        };
        if let Some(answer) = refusal {
            out.push(Action::Answer { request: waiting.request, answer });
            return;
        }
        self.waiting.push_back(waiting);
        // the instances that are wanted however little work there is
        if self.failures == 0 {
            while self.usable() < self.settings.instances && self.has_room() {
                self.start_one(now, out);
            }
        }
    }

    fn cancel(&mut self, id: RequestId, kill: bool, out: &mut Vec<Action>) {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.request == id) {
            self.waiting.remove(at);
            out.push(Action::Answer { request: id, answer: Answer::Cancelled });
            return;
        }
        let Some((instance, at)) = self.instances.iter_mut().find_map(|instance| {
            let at = instance.in_hand.iter().position(|hand| hand.request == id)?;
            Some((instance, at))
        }) else {
            return;
        };
        if kill {
            instance.in_hand[at].ends_instance = true;
            if !instance.is_killed() {
                instance.kill();
                out.push(Action::Kill(instance.id));
            }
        } else if instance.cancels {
            out.push(Action::Cancel { instance: instance.id, request: id });
        } else if !instance.in_hand[at].ends_instance {
            instance.in_hand[at].ends_instance = true;
            instance.drain();
            out.push(Action::Terminate(instance.id));
        }
    }

    fn started(&mut self, id: InstanceId, cancels: bool, now: Duration) {
        let Some(instance) = self.find(id).filter(|instance| instance.phase() == Phase::Starting) else {
            return;
        };
        instance.said_hello(now, cancels);
        self.has_spoken = true;
        self.failures = 0;
    }

    fn finished(
        &mut self,
        id: InstanceId,
        request: RequestId,
        memory: Option<u64>,
        now: Duration,
        out: &mut Vec<Action>,
    ) {
        let recycle = self.settings.recycle;
        let Some(instance) = self.find(id) else { return };
        let Some(at) = instance.in_hand.iter().position(|hand| hand.request == request) else { return };
        let hand = instance.in_hand.swap_remove(at);
        instance.is_alone = false;
        instance.served += 1;
        instance.idle_since = now;
        let is_worn = recycle.operations.is_some_and(|most| instance.served >= most)
            || recycle.memory.is_some_and(|most| memory.is_some_and(|used| used >= most));
        if is_worn {
            instance.drain();
        }
        if !self.suspects.is_empty() {
            self.suspects.remove(&hand.subject);
        }
        out.push(Action::Answer { request, answer: Answer::Finished });
    }

    fn broken(&mut self, id: InstanceId, now: Duration, out: &mut Vec<Action>) {
        let Some(instance) = self.find(id) else { return };
        let was_starting = instance.phase() == Phase::Starting;
        if !instance.is_killed() {
            instance.kill();
            out.push(Action::Kill(id));
        }
        if was_starting {
            self.start_failed(true, now, out);
        }
    }

    fn ended(&mut self, id: InstanceId, is_own_end: bool, now: Duration, out: &mut Vec<Action>) {
        let Some(at) = self.instances.iter().position(|instance| instance.id == id) else { return };
        let instance = self.instances.remove(at);
        if instance.phase() == Phase::Starting {
            self.start_failed(is_own_end, now, out);
        }
        let is_deliberate = instance.in_hand.iter().any(|hand| hand.ends_instance);
        let is_single = instance.in_hand.len() == 1;
        for InHand { request, subject, ends_instance } in instance.in_hand {
            let answer = if ends_instance || (!is_deliberate && is_single) {
                self.suspects.remove(&subject);
                Answer::Crashed
            } else {
                if !is_deliberate {
                    *self.suspects.entry(subject).or_default() += 1;
                }
                Answer::Displaced
            };
            out.push(Action::Answer { request, answer });
        }
    }

    /// An instance did not say hello. `is_conclusive`: a program that serves would have.
    fn start_failed(&mut self, is_conclusive: bool, now: Duration, out: &mut Vec<Action>) {
        self.failures = self.failures.saturating_add(1);
        let doubled = 2_u32.saturating_pow(self.failures - 1);
        let delay = PoolSettings::FIRST_BACK_OFF.saturating_mul(doubled).min(PoolSettings::LONGEST_BACK_OFF);
        self.not_before = now + delay;
        let answer = if self.has_spoken { Answer::NoInstance } else { Answer::RunOnce };
        if !self.has_spoken {
            if !is_conclusive && self.failures < HOPELESS {
                return;
            }
            self.runs_once = true;
            for instance in self.instances.iter_mut().filter(|instance| !instance.is_killed()) {
                instance.kill();
                out.push(Action::Kill(instance.id));
            }
        } else if self.usable() > 0 {
            return;
        }
        out.extend(self.waiting.drain(..).map(|waiting| Action::Answer { request: waiting.request, answer }));
    }

    fn close(&mut self, out: &mut Vec<Action>) {
        self.is_closed = true;
        let answer = Answer::Closed;
        out.extend(self.waiting.drain(..).map(|waiting| Action::Answer { request: waiting.request, answer }));
        for instance in &mut self.instances {
            match instance.phase() {
                // without hello it does not know how to stop
                Phase::Starting => {
                    instance.kill();
                    out.push(Action::Kill(instance.id));
                }
                _ => instance.drain(),
            }
        }
    }

    /// Stops instances that are idle, out of date, late or stuck.
    fn retire(&mut self, now: Duration, out: &mut Vec<Action>) {
        let PoolSettings { idle, recycle, start_timeout, stop_timeout, .. } = self.settings;
        let mut late_starts = 0;
        for instance in &mut self.instances {
            // the age counts from the hello
            let is_up = instance.phase() != Phase::Starting;
            if is_up && recycle.age.is_some_and(|age| now >= instance.began + age) {
                instance.drain();
            }
            let has_work = !instance.in_hand.is_empty();
            match instance.phase() {
                Phase::Starting
                    if instance.runs_since().is_some_and(|since| now >= since + start_timeout) =>
                {
                    instance.kill();
                    out.push(Action::Kill(instance.id));
                    late_starts += 1;
                }
                Phase::Draining if !has_work => {
                    instance.stop(now + stop_timeout);
                    out.push(Action::Stop(instance.id));
                }
                Phase::Ready if self.waiting.is_empty() && now >= instance.idle_since + idle => {
                    instance.stop(now + stop_timeout);
                    out.push(Action::Stop(instance.id));
                }
                Phase::Stopping if instance.kill_at().is_some_and(|at| now >= at) => {
                    instance.kill();
                    out.push(Action::Kill(instance.id));
                }
                _ => {}
            }
        }
        for _ in 0..late_starts {
            self.start_failed(true, now, out);
        }
    }

    /// Gives waiting requests to instances, in their order. A suspect waits for an instance without other work; one
    /// instance takes no new work meanwhile.
    fn assign(&mut self, out: &mut Vec<Action>) {
        let slots = self.settings.slots;
        let mut at = 0;
        let mut reserved: Option<InstanceId> = None;
        while let Some(Waiting { request, subject }) = self.waiting.get(at).copied() {
            let is_suspect = self.suspects.get(&subject).is_some_and(|crashes| *crashes >= SUSPICIOUS);
            let with_room = self.instances.iter_mut().filter(|one| one.has_room(slots));
            let least = with_room.filter(|one| Some(one.id) != reserved).min_by_key(|one| one.in_hand.len());
            let Some(instance) = least else { return };
            if is_suspect && !instance.in_hand.is_empty() {
                if reserved.is_some() {
                    return;
                }
                reserved = Some(instance.id);
                at += 1;
                continue;
            }
            self.waiting.remove(at);
            instance.is_alone = is_suspect;
            instance.in_hand.push(InHand { request, subject, ends_instance: false });
            out.push(Action::Send { instance: instance.id, request });
        }
    }

    /// Starts the instances that waiting requests need.
    fn start(&mut self, now: Duration, out: &mut Vec<Action>) {
        if self.failures > 0 && now < self.not_before {
            return;
        }
        // after a failure one start at a time shows whether the next one is better
        let most = if self.failures > 0 { 1 } else { u32::MAX };
        for _ in 0..self.wanted_starts().min(most) {
            self.start_one(now, out);
        }
    }

    fn start_one(&mut self, now: Duration, out: &mut Vec<Action>) {
        self.last_id += 1;
        let id = InstanceId(self.last_id);
        self.instances.push(Instance::new(id, now, self.has_pending_phase));
        out.push(Action::Start(id));
    }

    /// Number of instances that should start for the waiting requests.
    fn wanted_starts(&self) -> u32 {
        if self.waiting.is_empty() || self.is_closed || self.runs_once {
            return 0;
        }
        let starting =
            self.instances.iter().filter(|instance| instance.phase() == Phase::Starting).count() as u32;
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        let room = self.settings.max.saturating_sub(self.instances.len() as u32);
        if self.failures > 0 && starting > 0 {
            return 0;
        }
        waiting.div_ceil(self.settings.slots).saturating_sub(starting).min(room)
    }

    fn has_room(&self) -> bool {
        self.instances.len() < self.settings.max as usize
    }

    /// Number of instances that serve, or will when they have started.
    fn usable(&self) -> u32 {
        let usable = |phase| matches!(phase, Phase::Starting | Phase::Ready | Phase::Handling);
        self.instances.iter().filter(|instance| usable(instance.phase())).count() as u32
    }

    fn find(&mut self, id: InstanceId) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.id == id)
    }
}

#[cfg(test)]
mod tests;
