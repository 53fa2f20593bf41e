//! A launch that is announced, and that its caller starts on a thread of its choice.

use super::follow::{Ending, Follow};
use super::processor;
use super::shared::Shared;
use crate::output::Output;
use crate::port::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, PreparedLaunch};
use crate::transcript::Transcript;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The launch of a process that is announced but not started.
#[derive(Debug)]
pub(super) struct PreparedProcess {
    registration: Registration,
    order: LaunchOrder,
    events: mpsc::Sender<LaunchUpdate>,
}

/// A launch in the launcher's list, until this is dropped.
struct Registration {
    shared: Arc<Shared>,
    id: LaunchId,
    number: u64,
}

impl PreparedProcess {
    pub(super) fn announce(
        shared: Arc<Shared>,
        id: LaunchId,
        order: LaunchOrder,
        events: mpsc::Sender<LaunchUpdate>,
    ) -> Self {
        let number = shared.running.announce(id);
        Self { registration: Registration { shared, id, number }, order, events }
    }

    /// The transcript of a program that has just started.
    fn transcript(&self) -> Transcript {
        let mut transcript = Transcript::new(&self.order, &self.registration.shared.secrets.mask());
        transcript.begin(Instant::now());
        transcript
    }

    /// Lets the event loop follow the program.
    fn follow(self, follow: Follow, transcript: Transcript, was_waited_for: bool) {
        let Self { registration, order, events } = self;
        tokio::spawn(async move {
            let Registration { shared, id, .. } = &registration;
            // boxed: far larger than the rest of this future, which is moved when its task is spawned
            let mut output = Box::new(Output::of(*id, order, &events, transcript));
            output.say_all().await;
            let ended = follow.until_end(output, &**shared, was_waited_for).await;
            events.send(LaunchUpdate { id: *id, event: LaunchEvent::Ended(Box::new(ended)) }).await.ok();
            drop(registration);
            // the receiver may start the next program before this one's descriptors are closed
            tokio::task::yield_now().await;
            drop(follow);
        });
    }
}

impl PreparedLaunch for PreparedProcess {
    fn id(&self) -> LaunchId {
        self.registration.id
    }

    fn start(mut self: Box<Self>) {
        match self.registration.shared.start(self.registration.id, &mut self.order, None) {
            Ok(follow) => {
                let transcript = self.transcript();
                self.follow(follow, transcript, false);
            }
            Err(failure) => {
                let Self { registration, events, .. } = *self;
                let ended = LaunchEvent::Ended(Box::new(LaunchEnd::failed(failure)));
                tokio::spawn(async move {
                    events.send(LaunchUpdate { id: registration.id, event: ended }).await.ok();
                });
            }
        }
    }

    fn run(mut self: Box<Self>, accept: &mut dyn FnMut(Vec<LaunchEvent>)) {
        let Registration { shared, id, .. } = &self.registration;
        // one program after the other runs where this thread waits for it
        let processors = if shared.running.note_start() {
            processor::stay()
        } else {
            processor::leave();
            None
        };
        let began = Instant::now();
        let started = shared.start(*id, &mut self.order, processors);
        let mut transcript = self.transcript();
        let has_ended = started.as_ref().is_ok_and(Follow::ends_soon);
        let took = began.elapsed();
        let follow = match started {
            Ok(follow) => follow,
            Err(failure) => return accept(vec![LaunchEvent::Ended(Box::new(LaunchEnd::failed(failure)))]),
        };
        let ending = has_ended.then(|| follow.try_end(&self.order, &mut transcript, &**shared)).flatten();
        let used = ending.as_ref().and_then(|ending| ending.usage).map(|usage| usage.cpu_us());
        if processors.is_some() && has_waited(took, used.map(Duration::from_micros)) {
            processor::leave();
            shared.running.was_contended();
        }
        let Some(ending) = ending else { return self.follow(follow, transcript, true) };
        // the next program may need the descriptors
        drop(follow);
        let mut events = transcript.events(Instant::now());
        events.extend(transcript.last_events(Instant::now()));
        let Ending { exit, usage, .. } = ending;
        let ended = LaunchEnd { usage, ..transcript.finish(exit.map_err(Box::new)) };
        events.push(LaunchEvent::Ended(Box::new(ended)));
        accept(events);
    }
}

/// Whether a program that took so long and used so much of its processor has waited. Other work on this processor would
/// let it wait again, while another one may be idle.
fn has_waited(took: Duration, used: Option<Duration>) -> bool {
    /// Time for the start and the end of a program.
    const MARGIN: Duration = Duration::from_micros(300);
    used.is_none_or(|used| took > 2 * used + MARGIN)
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.running.remove(self.id, self.number);
        self.shared.progressed.notify_waiters();
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Registration").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_took_far_longer_than_it_used_has_waited() {
        let us = Duration::from_micros;
        assert!(!has_waited(us(700), Some(us(400))));
        assert!(has_waited(us(3_400), Some(us(400))));
        assert!(has_waited(us(100), None));
    }
}
