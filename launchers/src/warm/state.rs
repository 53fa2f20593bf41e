//! The pools of all handlers, their instances and operations: carries out what the pools decide.

mod start;

use super::delivery::Delivery;
use super::instance::Instance;
use super::operation::Operation;
use super::{Shared, SocketPassing};
use crate::port::{LaunchEnd, LaunchId, LaunchOrder, LaunchUpdate, Line, Program};
use crate::process::AsyncDescriptor;
use pop_contract::{Blame, Exit, Failure};
use pop_warm::frame::{Frame, Kind};
use pop_warm::{
    Action, Answer, Hello, Input, InstanceId, Phase, Pool, PoolSettings, RequestId, attempt_body, parse_end,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The pool of one handler, and what its instances have in common.
struct HandlerPool {
    handler: String,
    version: Option<String>,
    lane: Option<u32>,
    settings: PoolSettings,
    program: Program,
    /// The values of the secrets that its instances were started with.
    secrets: Vec<(String, String)>,
    /// Name of the first launch; those of the instances begin with it.
    launch_name: String,
    /// The folder of the instances' logs.
    logs: Option<PathBuf>,
    grace: Option<Duration>,
    /// Longest time until an instance is scheduled.
    pending: Option<Duration>,
    /// Labels of the containers, without those of an operation.
    labels: Vec<(String, String)>,
    pool: Pool,
    instances: BTreeMap<InstanceId, Instance>,
    /// Why the last start failed.
    failed_start: Option<Failure>,
}

pub(super) struct State {
    pools: Vec<HandlerPool>,
    operations: BTreeMap<LaunchId, Box<Operation>>,
    /// Handlers of which the user knows that the program is run once for each operation.
    reported: BTreeSet<String>,
    /// Number of instances so far.
    started: u64,
    /// Whether the task for deadlines runs.
    pub(super) has_keeper: bool,
    /// The time for which that task has set its alarm.
    alarm: Option<Instant>,
    /// The beginning of the pools' time. A pause moves it.
    epoch: Instant,
}

impl State {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            pools: Vec::new(),
            operations: BTreeMap::new(),
            reported: BTreeSet::new(),
            started: 0,
            has_keeper: false,
            alarm: None,
            epoch: now,
        }
    }

    /// The pool of an operation that waits or is in hand.
    pub(super) fn pool_of(&self, id: LaunchId) -> Option<usize> {
        self.operations.get(&id).map(|operation| operation.pool)
    }

    pub(super) fn has_instances(&self) -> bool {
        self.pools.iter().any(|pool| !pool.instances.is_empty())
    }

    /// Excludes a pause from all time limits.
    pub(super) fn postpone(&mut self, pause: Duration) {
        self.epoch += pause;
        self.operations.values_mut().for_each(|operation| operation.postpone(pause));
    }

    /// The next deadline of a pool.
    pub(super) fn set_alarm(&mut self) -> Option<Instant> {
        let due = self.pools.iter().filter_map(|pool| pool.pool.deadline()).min();
        self.alarm = due.map(|due| self.epoch + due);
        self.alarm
    }

    fn instance(&mut self, pool: usize, id: InstanceId) -> Option<&mut Instance> {
        self.pools.get_mut(pool)?.instances.get_mut(&id)
    }

    /// Whether bytes wait for the socket, and the next time at which an operation of the instance must be looked at.
    pub(super) fn wants(&self, pool: usize, id: InstanceId) -> (bool, Option<Instant>) {
        let Some(instance) = self.pools.get(pool).and_then(|pool| pool.instances.get(&id)) else {
            return (false, None);
        };
        let operations = instance.in_hand.iter().filter_map(|id| self.operations.get(id));
        (instance.has_unsent(), operations.filter_map(|operation| operation.due()).min())
    }

    /// Whether the instance was asked to end.
    pub(super) fn is_stopping(&self, pool: usize, id: InstanceId) -> bool {
        let mut views = self.pools.get(pool).into_iter().flat_map(|pool| pool.pool.instances());
        views.any(|view| view.id == id && view.phase == Phase::Stopping)
    }
}

/// One change of the state.
pub(super) struct Turn<'s> {
    pub(super) shared: &'s Arc<Shared>,
    pub(super) state: &'s mut State,
    /// The time of the change.
    pub(super) now: Instant,
    pub(super) out: Vec<Delivery>,
}

impl Turn<'_> {
    /// An order came.
    pub(super) fn request(&mut self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
        let Some(warm) = &order.warm else { return };
        let subject = warm.subject;
        let secrets = self.shared.secrets.values(&order.program.secrets);
        let pool = self.pool(warm, &order);
        let operation = Operation::new(id, pool, order, events.clone(), &self.shared.secrets.mask());
        match secrets {
            Err(failure) => operation.finish(Err(Box::new(failure)), &mut self.out),
            Ok(secrets) => {
                self.state.operations.insert(id, operation);
                if self.state.pools[pool].secrets != secrets {
                    self.state.pools[pool].secrets = secrets;
                    self.step(pool, Input::Renew);
                }
                self.step(pool, Input::Request { id: RequestId(id.0), subject });
            }
        }
    }

    /// Ends the instances of a lane after their operations in hand.
    pub(super) fn retire(&mut self, lane: u32) {
        for pool in 0..self.state.pools.len() {
            if self.state.pools[pool].lane == Some(lane) {
                self.step(pool, Input::Renew);
            }
        }
    }

    /// Passes an event to every pool.
    pub(super) fn step_all(&mut self, input: Input) {
        for pool in 0..self.state.pools.len() {
            self.step(pool, input);
        }
    }

    /// Passes an event to a pool, and does what it decides.
    pub(super) fn step(&mut self, pool: usize, input: Input) {
        self.step_with(pool, input, &Ok(Exit::Signal(libc::SIGTERM)));
    }

    /// As [`step`](Self::step); `exit` is how the instance of the event ended.
    fn step_with(&mut self, pool: usize, input: Input, exit: &Result<Exit, Box<Failure>>) {
        let now = self.now.saturating_duration_since(self.state.epoch);
        let mut next = Some(input);
        let mut unstarted = VecDeque::new();
        while let Some(input) = next.take().or_else(|| unstarted.pop_front().map(Input::Ended)) {
            for action in self.state.pools[pool].pool.step(now, input) {
                unstarted.extend(self.act(pool, action, exit).err());
            }
        }
        let due = self.state.pools[pool].pool.deadline().map(|due| self.state.epoch + due);
        if due.is_some_and(|due| self.state.alarm.is_none_or(|alarm| due < alarm)) {
            self.state.alarm = due;
            self.shared.wake.notify_one();
        }
    }

    /// Carries out an action; the error is an instance that could not be started.
    fn act(
        &mut self,
        pool: usize,
        action: Action,
        exit: &Result<Exit, Box<Failure>>,
    ) -> Result<(), InstanceId> {
        match action {
            Action::Start(id) => {
                return self.start(pool, id).map_err(|error| {
                    let message = format!("no socket for an instance: {error}");
                    let failure = Failure::new(Blame::Platform, "resources", message);
                    self.state.pools[pool].failed_start = Some(failure);
                    id
                });
            }
            Action::Send { instance, request } => self.send(pool, instance, LaunchId(request.0)),
            Action::Cancel { instance, request } => {
                if let Some(instance) = self.state.instance(pool, instance) {
                    instance.send(Kind::Cancel, LaunchId(request.0), b"");
                }
            }
            Action::Stop(instance) => {
                if let Some(instance) = self.state.instance(pool, instance) {
                    instance.send(Kind::Bye, LaunchId(0), b"");
                }
            }
            Action::Terminate(instance) => self.signal(pool, instance, false),
            Action::Kill(instance) => self.signal(pool, instance, true),
            Action::Answer { request, answer } => self.answer(pool, LaunchId(request.0), answer, exit),
        }
        Ok(())
    }

    fn signal(&mut self, pool: usize, instance: InstanceId, force: bool) {
        if let Some(instance) = self.state.instance(pool, instance) {
            self.shared.inner.stop(instance.launch, force);
        }
    }

    /// Gives an operation to an instance.
    fn send(&mut self, pool: usize, id: InstanceId, operation: LaunchId) {
        let State { pools, operations, .. } = &mut *self.state;
        let Some(instance) = pools[pool].instances.get_mut(&id) else { return };
        let Some(served) = operations.get_mut(&operation) else { return };
        let Some(warm) = &served.order.warm else { return };
        let Some(payload) = &warm.payload else {
            // an instance is ready, and no more was asked for
            served.begin(id, instance.name.clone(), self.now);
            served.status = Some(0);
            let request = RequestId(operation.0);
            return self.step(pool, Input::Finished { instance: id, request, memory: None });
        };
        let variables = warm.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = attempt_body(variables, payload);
        served.begin(id, instance.name.clone(), self.now);
        if self.shared.passing == SocketPassing::Mounted {
            self.out.push(served.running());
        }
        instance.in_hand.push(operation);
        instance.send(Kind::Handle, operation, &body);
    }

    /// Ends an operation.
    fn answer(&mut self, pool: usize, id: LaunchId, answer: Answer, exit: &Result<Exit, Box<Failure>>) {
        let Some(operation) = self.state.operations.remove(&id) else { return };
        let of = &mut self.state.pools[pool];
        let handler = &of.handler;
        let failed = |blame, code: &str, message: String| Err(Box::new(Failure::new(blame, code, message)));
        let exit = match answer {
            Answer::Finished => Ok(Exit::Code(operation.status.unwrap_or_default().into())),
            Answer::Crashed => exit.clone(),
            Answer::Displaced => {
                let message =
                    format!("an instance of `{handler}` ended while it served another operation, too");
                failed(Blame::Platform, "displaced", message)
            }
            Answer::Cancelled => Ok(Exit::Signal(libc::SIGTERM)),
            // the caller launches it again later
            Answer::QueueFull => {
                let message = format!("too many operations wait for an instance of `{handler}`");
                failed(Blame::Platform, "resources", message)
            }
            Answer::Closed => failed(Blame::Pop, "lost", "the launcher is closed".to_owned()),
            Answer::NoInstance => {
                let known = of.failed_start.clone();
                Err(Box::new(known.unwrap_or_else(|| {
                    Failure::new(Blame::Handler, "spawn", format!("no instance of `{handler}` starts"))
                })))
            }
            Answer::RunOnce => {
                if self.state.reported.insert(handler.clone()) {
                    let why =
                        of.failed_start.as_ref().map_or("it did not say hello", |why| why.message.as_str());
                    self.out.push(operation.notice(format!(
                        "handler `{handler}` is run once for each operation, not warm: {why}"
                    )));
                }
                operation.into_run_once(&mut self.out);
                return;
            }
        };
        operation.finish(exit, &mut self.out);
    }

    /// An instance sent a frame.
    pub(super) fn frame(&mut self, (pool, id): (usize, InstanceId), frame: Frame) {
        let now = self.now;
        let State { pools, operations, .. } = &mut *self.state;
        let Some(instance) = pools[pool].instances.get_mut(&id) else { return };
        let Frame { kind, id: number, body } = frame;
        // a frame of an operation that is not in hand, for example a late line of its log
        let operation = operations.get_mut(&LaunchId(number)).filter(|operation| operation.is_served_by(id));
        match (kind, operation) {
            (Kind::Hello, _) => match Hello::parse(&body) {
                Ok(hello) => {
                    // a container has other numbers for its processes
                    if self.shared.passing == SocketPassing::Inherited {
                        instance.pid = hello.pid;
                    }
                    self.step(pool, Input::Started { instance: id, cancels: hello.cancels });
                }
                Err(error) => self.broken((pool, id), error.to_string()),
            },
            (Kind::Log, Some(operation)) => operation.log(&body, now, &mut self.out),
            (Kind::Report, Some(operation)) => operation.report(&body, now, &mut self.out),
            (Kind::End, Some(operation)) => match parse_end(&body) {
                Ok(status) => {
                    operation.status = Some(status);
                    instance.release(LaunchId(number));
                    let memory = pools[pool]
                        .settings
                        .recycle
                        .memory
                        .and_then(|_| pools[pool].instances.get(&id).and_then(Instance::memory));
                    let request = RequestId(number);
                    self.step(pool, Input::Finished { instance: id, request, memory });
                }
                Err(error) => self.broken((pool, id), error.to_string()),
            },
            (Kind::Log, None) => instance.log.write(&body),
            (Kind::Report | Kind::End, None) => {
                instance.log.write(format!("pop: a frame `{kind}` of no operation in hand\n").as_bytes());
            }
            (Kind::Handle | Kind::Cancel | Kind::Bye, _) => {
                self.broken((pool, id), format!("it sent a frame `{kind}`, which only pop sends"));
            }
        }
    }

    /// The program of a container has connected. `pid` is its process on this machine.
    pub(super) fn connected(
        &mut self,
        (pool, id): (usize, InstanceId),
        stream: Arc<AsyncDescriptor<UnixStream>>,
        pid: Option<u32>,
    ) {
        if let Some(instance) = self.state.instance(pool, id) {
            (instance.stream, instance.pid) = (Some(stream), pid);
        }
    }

    /// An instance broke the protocol: it is killed.
    pub(super) fn broken(&mut self, (pool, id): (usize, InstanceId), why: String) {
        if let Some(instance) = self.state.instance(pool, id) {
            instance.log.write(format!("pop: {why}\n").as_bytes());
            let message = format!("instance {} broke the protocol of warm handlers: {why}", instance.name);
            instance.breach = Some(why);
            self.state.pools[pool].failed_start = Some(Failure::new(Blame::Handler, "contract", message));
        }
        self.step(pool, Input::Broken(id));
    }

    /// An instance printed lines. They belong to the only operation in hand.
    pub(super) fn lines(&mut self, (pool, id): (usize, InstanceId), lines: Vec<Line>) {
        let State { pools, operations, .. } = &mut *self.state;
        let Some(instance) = pools[pool].instances.get_mut(&id) else { return };
        let only = match instance.in_hand.as_slice() {
            [only] => operations.get_mut(only),
            _ => None,
        };
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.text);
            text.push('\n');
        }
        match only {
            Some(operation) => operation.log(text.as_bytes(), self.now, &mut self.out),
            None => instance.log.write(text.as_bytes()),
        }
    }

    /// Sends the events of operations that are due.
    pub(super) fn on_time(&mut self, (pool, id): (usize, InstanceId)) {
        let now = self.now;
        let State { pools, operations, .. } = &mut *self.state;
        let Some(instance) = pools[pool].instances.get(&id) else { return };
        for held in &instance.in_hand {
            if let Some(operation) = operations.get_mut(held) {
                operation.on_time(now, &mut self.out);
            }
        }
    }

    pub(super) fn flush(&mut self, (pool, id): (usize, InstanceId)) {
        if let Some(instance) = self.state.instance(pool, id) {
            instance.flush();
        }
    }

    /// The process of an instance has ended.
    pub(super) fn ended(&mut self, (pool, id): (usize, InstanceId), end: LaunchEnd) {
        let of = &mut self.state.pools[pool];
        let is_starting = of.pool.instances().any(|view| view.id == id && view.phase == Phase::Starting);
        let Some(instance) = of.instances.remove(&id) else { return };
        let Instance { launch, name, breach, log, .. } = instance;
        // nobody looks for its container later
        self.shared.inner.release(launch);
        let tail = log.finish().tail;
        let exit = match (breach, end.exit) {
            (Some(why), _) => Err(Box::new(Failure::new(
                Blame::Handler,
                "contract",
                format!("instance {name} broke the protocol of warm handlers: {why}"),
            ))),
            // an operation that has not ended cannot have succeeded
            (None, Ok(Exit::Code(0))) => Err(Box::new(Failure {
                exit: Some(Exit::Code(0)),
                ..Failure::new(
                    Blame::Handler,
                    "contract",
                    format!("instance {name} ended with exit status 0 before its operation had ended"),
                )
            })),
            (None, exit) => exit,
        };
        if is_starting {
            let failure = match &exit {
                Err(failure) if failure.exit.is_none() => (**failure).clone(),
                Err(_) => {
                    Failure::new(Blame::Handler, "spawn", "it ended with exit status 0 without a hello")
                }
                Ok(exit) => {
                    Failure::new(Blame::Handler, "spawn", format!("it ended with {exit} without a hello"))
                }
            };
            of.failed_start = Some(Failure { log_tail: tail, ..failure });
        }
        let ending = exit.as_ref().map_or_else(|failure| failure.exit, |exit| Some(*exit));
        let input = match ending {
            Some(Exit::Signal(_)) => Input::Killed(id),
            _ => Input::Ended(id),
        };
        self.step_with(pool, input, &exit);
        self.shared.progressed.notify_waiters();
    }
}
