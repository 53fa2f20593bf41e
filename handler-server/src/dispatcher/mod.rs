//! Which instance handles which request, as a state machine without clock, processes and sockets.
//!
//! The caller passes each event to [`Dispatcher::step`] and performs the actions.
//!
//! *Guarantees.* Each request gets exactly one [`Answer`]. Requests start in the order in which they came. No instance
//! is ready while a request waits. No number of an instance is used twice.
//! *Assumptions.* The number of a request is unique. Each `Start` is followed by `Started` or `StartFailed`, and each
//! `Handle` by `Finished`, also after `Cancel`.

use std::collections::VecDeque;

/// The number of an instance, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub u32);

/// The caller's number of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// An event for the dispatcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A request came.
    Request(RequestId),
    /// An instance can handle requests.
    Started(InstanceId),
    /// An instance could not be started.
    StartFailed(InstanceId),
    /// An instance has finished its request, or its end is known after `Cancel`.
    Finished(InstanceId),
    /// Starts the instances of the beginning again, after [`Input::StopInstances`].
    StartInstances,
    /// Deletes all instances. Requests wait.
    StopInstances,
    /// Answers waiting requests, and refuses later ones. Requests in hand go on.
    Close,
}

/// What the caller must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start an instance.
    Start(InstanceId),
    /// Give a request to an instance.
    Handle {
        /// The instance.
        instance: InstanceId,
        /// The request.
        request: RequestId,
    },
    /// Stop what the instance does: its request, or its start.
    Cancel(InstanceId),
    /// Reply to a request. There is no other reply.
    Answer {
        /// The request.
        request: RequestId,
        /// How it ended.
        answer: Answer,
    },
    /// Report the event to observers.
    Emit(Event),
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An instance finished it.
    Handled,
    /// Too many requests wait.
    QueueFull,
    /// Its instance was deleted.
    Cancelled,
    /// The handler is closing.
    Closed,
}

/// A change of the set of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An instance was added; it is starting.
    Added(InstanceId),
    /// An instance can handle requests, for the first time.
    Ready(InstanceId),
    /// An instance could not be started, and is gone.
    Failed(InstanceId),
    /// An instance was deleted, and has ended its work.
    Deleted(InstanceId),
}

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// It starts.
    Starting,
    /// It waits for a request.
    Ready,
    /// It handles a request.
    Handling(RequestId),
    /// It was deleted, and has not ended its work.
    Ending,
}

/// Why an instance cannot be added or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many as the handler may have.
    Limit(u32),
    /// There is no such instance.
    Unknown,
    /// The instances are stopped, or the handler is closing.
    Stopped,
}

/// The instances of a handler, and the requests that wait for them.
#[derive(Debug)]
pub struct Dispatcher {
    /// Number of instances at the beginning.
    initial: u32,
    /// Most instances.
    limit: u32,
    /// Most waiting requests.
    queue_limit: usize,
    instances: Vec<(InstanceId, InstanceState)>,
    waiting: VecDeque<RequestId>,
    last: u32,
    is_stopped: bool,
    is_closed: bool,
}

impl Dispatcher {
    /// A dispatcher without instances; `Input::StartInstances` starts `initial` ones. There is always room for one.
    pub fn new(initial: u32, limit: u32, queue_limit: usize) -> Self {
        let limit = limit.max(1);
        Self {
            initial: initial.clamp(1, limit),
            limit,
            queue_limit,
            instances: Vec::new(),
            waiting: VecDeque::new(),
            last: 0,
            is_stopped: true,
            is_closed: false,
        }
    }

    /// The instances that are not deleted, and those that end.
    pub fn instances(&self) -> &[(InstanceId, InstanceState)] {
        &self.instances
    }

    /// Number of instances that are not deleted.
    pub fn present(&self) -> u32 {
        self.instances.iter().filter(|(_, state)| *state != InstanceState::Ending).count() as u32
    }

    /// Number of requests that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Number of requests in hand.
    pub fn in_hand(&self) -> usize {
        self.instances.iter().filter(|(_, state)| matches!(state, InstanceState::Handling(_))).count()
    }

    /// Whether instances are stopped.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Adds an instance, which starts.
    pub fn add(&mut self) -> Result<(InstanceId, Vec<Action>), Refusal> {
        if self.is_stopped || self.is_closed {
            return Err(Refusal::Stopped);
        }
        if self.present() >= self.limit {
            return Err(Refusal::Limit(self.limit));
        }
        let mut out = Vec::new();
        Ok((self.start(&mut out), out))
    }

    /// Deletes an instance. Its request is answered as cancelled.
    pub fn delete(&mut self, id: InstanceId) -> Result<Vec<Action>, Refusal> {
        let is_it =
            |(known, state): &(InstanceId, InstanceState)| *known == id && *state != InstanceState::Ending;
        let at = self.instances.iter().position(is_it).ok_or(Refusal::Unknown)?;
        let mut out = Vec::new();
        self.end(at, &mut out);
        Ok(out)
    }

    /// Processes an event. The caller performs the actions in their order.
    pub fn step(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        let out = &mut actions;
        match input {
            Input::Request(request) => self.request(request, out),
            Input::Started(id) => {
                if self.set(id, InstanceState::Starting, InstanceState::Ready) {
                    out.push(Action::Emit(Event::Ready(id)));
                } else {
                    self.ended(id, out);
                }
            }
            Input::StartFailed(id) => {
                if self.set(id, InstanceState::Starting, InstanceState::Ending) {
                    self.instances.retain(|(known, _)| *known != id);
                    out.push(Action::Emit(Event::Failed(id)));
                } else {
                    self.ended(id, out);
                }
            }
            Input::Finished(id) => self.finished(id, out),
            Input::StartInstances if !self.is_closed => {
                self.is_stopped = false;
                while self.present() < self.initial {
                    self.start(out);
                }
            }
            Input::StartInstances => {}
            Input::StopInstances => {
                self.is_stopped = true;
                self.end_all(out);
            }
            Input::Close => {
                self.is_closed = true;
                let waiting = std::mem::take(&mut self.waiting);
                let closed = |request| Action::Answer { request, answer: Answer::Closed };
                out.extend(waiting.into_iter().map(closed));
            }
        }
        self.assign(out);
        actions
    }

    fn request(&mut self, request: RequestId, out: &mut Vec<Action>) {
        let is_idle = self.instances.iter().any(|(_, state)| *state == InstanceState::Ready);
        let refusal = if self.is_closed {
            Some(Answer::Closed)
        } else if self.waiting.len() >= self.queue_limit && !is_idle {
            Some(Answer::QueueFull)
        } else {
            None
        };
        match refusal {
            Some(answer) => out.push(Action::Answer { request, answer }),
            None => self.waiting.push_back(request),
        }
    }

    fn finished(&mut self, id: InstanceId, out: &mut Vec<Action>) {
        let Some((_, state)) = self.instances.iter_mut().find(|(known, _)| *known == id) else { return };
        match *state {
            InstanceState::Handling(request) => {
                *state = InstanceState::Ready;
                out.push(Action::Answer { request, answer: Answer::Handled });
            }
            InstanceState::Ending => self.ended(id, out),
            InstanceState::Starting | InstanceState::Ready => {}
        }
    }

    fn start(&mut self, out: &mut Vec<Action>) -> InstanceId {
        self.last += 1;
        let id = InstanceId(self.last);
        self.instances.push((id, InstanceState::Starting));
        out.extend([Action::Emit(Event::Added(id)), Action::Start(id)]);
        id
    }

    fn end_all(&mut self, out: &mut Vec<Action>) {
        for at in (0..self.instances.len()).rev() {
            if self.instances[at].1 != InstanceState::Ending {
                self.end(at, out);
            }
        }
    }

    /// Ends the instance at this place.
    fn end(&mut self, at: usize, out: &mut Vec<Action>) {
        let (id, state) = self.instances[at];
        match state {
            InstanceState::Ready => {
                self.instances.remove(at);
                out.push(Action::Emit(Event::Deleted(id)));
                return;
            }
            InstanceState::Handling(request) => {
                out.push(Action::Answer { request, answer: Answer::Cancelled });
            }
            InstanceState::Starting | InstanceState::Ending => {}
        }
        self.instances[at].1 = InstanceState::Ending;
        out.push(Action::Cancel(id));
    }

    /// A deleted instance has ended its work.
    fn ended(&mut self, id: InstanceId, out: &mut Vec<Action>) {
        let count = self.instances.len();
        self.instances.retain(|(known, state)| *known != id || *state != InstanceState::Ending);
        if self.instances.len() < count {
            out.push(Action::Emit(Event::Deleted(id)));
        }
    }

    fn set(&mut self, id: InstanceId, from: InstanceState, to: InstanceState) -> bool {
        let found = self.instances.iter_mut().find(|(known, state)| *known == id && *state == from);
        found.map(|(_, state)| *state = to).is_some()
    }

    /// Gives waiting requests to instances, in their order.
    fn assign(&mut self, out: &mut Vec<Action>) {
        for (instance, state) in &mut self.instances {
            if *state == InstanceState::Ready
                && let Some(request) = self.waiting.pop_front()
            {
                *state = InstanceState::Handling(request);
                out.push(Action::Handle { instance: *instance, request });
            }
        }
    }
}

#[cfg(test)]
mod tests;
