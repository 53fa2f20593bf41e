//! One order that an instance serves, or that waits for one.

use super::delivery::Delivery;
use crate::port::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Stream};
use crate::{Mask, Transcript};
use pop_contract::{Blame, Exit, Failure};
use pop_warm::InstanceId;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(super) struct Operation {
    id: LaunchId,
    pub(super) pool: usize,
    pub(super) order: LaunchOrder,
    pub(super) events: mpsc::Sender<LaunchUpdate>,
    /// The instance that serves it, with its name.
    served_by: Option<(InstanceId, Box<str>)>,
    transcript: Transcript,
    /// The exit status that the instance reported.
    pub(super) status: Option<u8>,
}

impl Operation {
    pub(super) fn new(
        id: LaunchId,
        pool: usize,
        order: LaunchOrder,
        events: mpsc::Sender<LaunchUpdate>,
        mask: &Mask,
    ) -> Box<Self> {
        let transcript = Transcript::new(&order, mask);
        // boxed, because it is large and moves into and out of tables
        Box::new(Self { id, pool, order, events, served_by: None, transcript, status: None })
    }

    /// An instance gets the operation; silence counts from now on.
    pub(super) fn begin(&mut self, instance: InstanceId, name: Box<str>, now: Instant) {
        self.served_by = Some((instance, name));
        self.transcript.begin(now);
    }

    /// Whether this instance serves it.
    pub(super) fn is_served_by(&self, instance: InstanceId) -> bool {
        self.served_by.as_ref().is_some_and(|(own, _)| *own == instance)
    }

    /// Takes bytes for the log.
    pub(super) fn log(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<Delivery>) {
        self.transcript.take(Stream::Stderr, bytes, now);
        self.send_events(now, out);
    }

    /// Takes report lines.
    pub(super) fn report(&mut self, lines: &[u8], now: Instant, out: &mut Vec<Delivery>) {
        self.transcript.take(Stream::Stdout, lines, now);
        if !lines.ends_with(b"\n") {
            self.transcript.take(Stream::Stdout, b"\n", now);
        }
        self.send_events(now, out);
    }

    /// The next time at which [`on_time`](Self::on_time) must run.
    pub(super) fn due(&self) -> Option<Instant> {
        self.transcript.due()
    }

    pub(super) fn on_time(&mut self, now: Instant, out: &mut Vec<Delivery>) {
        self.transcript.on_time(now);
        self.send_events(now, out);
    }

    pub(super) fn postpone(&mut self, pause: std::time::Duration) {
        self.transcript.postpone(pause);
    }

    fn send_events(&mut self, now: Instant, out: &mut Vec<Delivery>) {
        out.extend(self.transcript.events(now).into_iter().map(|event| self.update(event)));
    }

    fn update(&self, event: LaunchEvent) -> Delivery {
        Delivery::Update(self.events.clone(), LaunchUpdate { id: self.id, event })
    }

    /// The operation has left its pending phase: an instance has it.
    pub(super) fn running(&self) -> Delivery {
        self.update(LaunchEvent::Running)
    }

    /// Something for the user to know.
    pub(super) fn notice(&self, words: String) -> Delivery {
        self.update(LaunchEvent::Notice(words))
    }

    /// The order, to run its program once.
    pub(super) fn into_run_once(self: Box<Self>, out: &mut Vec<Delivery>) {
        let Self { id, mut order, events, .. } = *self;
        let completed = match order.warm.take() {
            Some(warm) => (warm.run_once)(&mut order),
            None => Ok(()),
        };
        out.push(match completed {
            Ok(()) => Delivery::Launch(id, Box::new(order), events),
            Err(failure) => {
                let event = LaunchEvent::Ended(Box::new(LaunchEnd::failed(failure)));
                Delivery::Update(events, LaunchUpdate { id, event })
            }
        });
    }

    /// Ends the operation.
    pub(super) fn finish(self: Box<Self>, exit: Result<Exit, Box<Failure>>, out: &mut Vec<Delivery>) {
        let Self { id, events, served_by, transcript, .. } = *self;
        let instance = served_by.map(|(_, name)| name);
        let update = move |end: LaunchEnd| {
            let end = LaunchEnd { instance, ..end };
            LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(end)) }
        };
        if !transcript.is_large() {
            out.push(Delivery::Update(events, update(transcript.finish(exit))));
            return;
        }
        // large results are parsed off the event loop
        tokio::spawn(async move {
            let finished = tokio::task::spawn_blocking(move || transcript.finish(exit)).await;
            let end = finished.unwrap_or_else(|error| {
                let message = format!("its output cannot be read: {error}");
                LaunchEnd::failed(Failure::new(Blame::Pop, "lost", message))
            });
            events.send(update(end)).await
        });
    }
}
