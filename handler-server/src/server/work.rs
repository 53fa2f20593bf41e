//! Carries out what the dispatcher decides, and reports the ends of launches to it.

use super::{CLOSED, PendingRequest, QUEUE_FULL, Server};
use crate::dispatcher::{Action, Answer, Event, Input, InstanceId, InstanceState, RequestId};
use crate::error::ServeError;
use crate::instances::{Instances, Start, Work, name, reply_of, start_of};
use crate::message::Reply;
use pop_contract::Blame;
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchUpdate};
use serde_json::json;
use std::collections::VecDeque;
use tokio::time::Instant;

impl Server {
    /// Performs actions, and those that follow from them.
    pub(super) fn perform(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Start(instance) => {
                    match self.instances.as_mut().filter(|instances| instances.are_warm()) {
                        Some(instances) => instances.start(instance),
                        None => actions.extend(self.dispatcher.step(Input::Started(instance))),
                    }
                }
                Action::Handle { instance, request } => self.handle(instance, request),
                Action::Cancel(instance) => self.stop(instance, None),
                Action::Answer { request, answer } => self.answer(request, answer),
                Action::Emit(event) => self.emit_instance_event(event),
            }
        }
    }

    fn handle(&mut self, instance: InstanceId, id: RequestId) {
        let (Some(pending), Some(instances)) = (self.pending.get(&id), self.instances.as_mut()) else {
            return;
        };
        self.waiting_bytes -= pending.bytes;
        instances.handle(instance, id, &pending.request);
        if let Some(limit) = self.settings.limit {
            self.limits.push_back((Instant::now() + limit, instance, id));
        }
    }

    /// Asks an instance to stop, and has it killed after the grace.
    fn stop(&mut self, instance: InstanceId, request: Option<RequestId>) {
        if let Some(instances) = &self.instances {
            instances.stop(instance, false);
            self.kills.push_back((Instant::now() + self.settings.grace, instance, request));
        }
    }

    fn answer(&mut self, id: RequestId, answer: Answer) {
        let Some(PendingRequest { from, envelope, request, bytes, arrived }) = self.pending.remove(&id)
        else {
            return;
        };
        if matches!(answer, Answer::QueueFull | Answer::Closed) {
            // it never left the queue
            self.waiting_bytes -= bytes;
        }
        let reply = match answer {
            Answer::Handled => self.replies.remove(&id).unwrap_or_else(|| Reply::fail("lost")),
            Answer::QueueFull => Reply::fail(QUEUE_FULL),
            Answer::Cancelled => Reply::fail("cancelled: the instance was deleted"),
            Answer::Closed => Reply::fail(CLOSED),
        };
        let outcome = match answer {
            Answer::Handled if reply.is_ok() => "ok",
            Answer::Handled => "failed",
            Answer::QueueFull => "queue-full",
            Answer::Cancelled => "cancelled",
            Answer::Closed => "closed",
        };
        self.counts.answered(outcome, arrived.elapsed());
        if !reply.is_ok() {
            let words = format!("{}: {}", request.command, reply.message());
            (self.notify)(&words);
        }
        self.reply(from, envelope, &request.echo, &reply);
    }

    fn emit_instance_event(&mut self, event: Event) {
        let (word, instance) = match event {
            Event::Added(instance) => ("instance_added", instance),
            Event::Ready(instance) => ("instance_ready", instance),
            Event::Failed(instance) => ("instance_failed", instance),
            Event::Deleted(instance) => ("instance_deleted", instance),
        };
        if matches!(event, Event::Deleted(_) | Event::Failed(_))
            && let Some(instances) = &self.instances
        {
            instances.retire(instance);
        }
        self.emit(json!({"event": word, "instance_id": name(instance)}));
        if matches!(event, Event::Ready(_)) {
            self.ready();
        }
    }

    /// A launch said something. The error is a handler that does not start at all.
    pub(super) fn on_launch_event(&mut self, LaunchUpdate { id, event }: LaunchUpdate) -> Option<ServeError> {
        let end = match event {
            LaunchEvent::Ended(end) => *end,
            LaunchEvent::Lost => LaunchEnd::lost(),
            LaunchEvent::Notice(words) => {
                (self.notify)(&words);
                return None;
            }
            _ => return None,
        };
        let Work { instance, request, .. } = self.instances.as_mut()?.ended(id)?;
        let Some(request) = request else { return self.on_start_end(instance, end) };
        let reply = if self.timed_out.remove(&request) {
            let limit = self.settings.limit.unwrap_or_default().as_millis();
            Reply::fail(format!("exceeded the limit of {limit} ms"))
                .with(json!({"code": "timeout", "blame": Blame::Handler}))
        } else {
            reply_of(end)
        };
        self.replies.insert(request, reply);
        let actions = self.dispatcher.step(Input::Finished(instance));
        self.perform(actions);
        // the request of a deleted instance had its reply before
        self.replies.remove(&request);
        None
    }

    fn on_start_end(&mut self, instance: InstanceId, end: LaunchEnd) -> Option<ServeError> {
        let input = match start_of(end) {
            Start::Ready => Input::Started(instance),
            Start::RunsOnce => {
                self.instances.iter_mut().for_each(Instances::run_once_from_now_on);
                Input::Started(instance)
            }
            Start::Failed(failure) => {
                let message = failure.message.clone();
                (self.notify)(&format!("{} does not start: {message}", name(instance)));
                self.emit(json!({"event": "error", "instance_id": name(instance), "message": message}));
                let actions = self.dispatcher.step(Input::StartFailed(instance));
                self.perform(actions);
                let is_hopeless = !self.has_started && self.dispatcher.present() == 0;
                return is_hopeless.then_some(ServeError::Start(failure));
            }
        };
        let actions = self.dispatcher.step(input);
        self.perform(actions);
        None
    }

    /// The next time at which something is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let limit = self.limits.front().map(|(at, ..)| *at);
        let kill = self.kills.front().map(|(at, ..)| *at);
        [limit, kill, self.closing].into_iter().flatten().min()
    }

    pub(super) fn on_time(&mut self) {
        let now = Instant::now();
        while let Some((_, instance, request)) = self.limits.pop_front_if(|(at, ..)| *at <= now) {
            if self.has_in_hand(instance, request) && self.timed_out.insert(request) {
                self.stop(instance, Some(request));
            }
        }
        while let Some((_, instance, request)) = self.kills.pop_front_if(|(at, ..)| *at <= now) {
            let Some(instances) = &self.instances else { continue };
            let is_meant = request.is_none_or(|request| self.has_in_hand(instance, request));
            if is_meant && instances.is_busy(instance) {
                instances.stop(instance, true);
            }
        }
        if self.closing.is_some_and(|at| at <= now) {
            // the requests in hand had their time
            let actions = self.dispatcher.step(Input::StopInstances);
            self.perform(actions);
        }
    }

    fn has_in_hand(&self, instance: InstanceId, request: RequestId) -> bool {
        self.dispatcher.instances().contains(&(instance, InstanceState::Handling(request)))
    }
}
