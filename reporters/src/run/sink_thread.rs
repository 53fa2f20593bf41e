//! Runs a reporter on its own thread, so that a blocked terminal does not block the run.

use pop_agenda::{EventRecord, Plan, Sink};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Messages that may wait for the reporter. Beyond that the run waits, because no event may be lost.
const QUEUE_LENGTH: usize = 16_384;

/// A reporter that draws its state on a terminal again and again.
pub trait Redraw: Sink {
    /// Draws what is new since the last frame, unless that was a moment ago. Called after each event, and at the latest
    /// after the returned time.
    fn redraw(&mut self) -> Duration;
}

/// Passes events to another reporter on its own thread.
///
/// *Guarantees.* The order is kept and no event is lost. Dropping this value waits until the reporter has handled all
/// events. *Caveats.* Each event costs a message to the thread: [`Spool`](super::Spool) is cheaper for a plain writer.
#[derive(Debug)]
pub struct SinkThread {
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    /// Number of operations in the reporter's plan.
    plan_len: usize,
}

#[derive(Debug)]
enum Message {
    Plan(Arc<Plan>),
    Event(EventRecord),
    Notice(String),
    Flush,
}

impl SinkThread {
    /// Starts a thread for a reporter of this plan's run.
    pub fn new(mut plan: Arc<Plan>, mut reporter: impl Redraw + 'static) -> io::Result<Self> {
        let plan_len = plan.len();
        let (sender, receiver) = sync_channel(QUEUE_LENGTH);
        let thread = std::thread::Builder::new().name("reporter".to_owned()).spawn(move || {
            let mut next = Instant::now();
            loop {
                match receiver.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Ok(Message::Plan(grown)) => plan = grown,
                    Ok(Message::Event(recorded)) => reporter.on_event(&plan, &recorded),
                    Ok(Message::Notice(text)) => reporter.on_notice(&text),
                    Ok(Message::Flush) => reporter.flush(),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                next = Instant::now() + reporter.redraw();
            }
            reporter.redraw();
        })?;
        Ok(Self { sender: Some(sender), thread: Some(thread), plan_len })
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &self.sender {
            // fails only if the reporter has panicked
            sender.send(message).ok();
        }
    }
}

impl Sink for SinkThread {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        if plan.len() != self.plan_len {
            self.plan_len = plan.len();
            self.send(Message::Plan(Arc::clone(plan)));
        }
        self.send(Message::Event(recorded.clone()));
    }

    fn on_notice(&mut self, text: &str) {
        self.send(Message::Notice(text.to_owned()));
    }

    fn flush(&mut self) {
        self.send(Message::Flush);
    }
}

impl Drop for SinkThread {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // the panic hook has reported a panic of the thread
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::{Agenda, OpIx, RunEvent, RunTime};
    use pop_contract::LaunchType;
    use pop_registry::Catalog;
    use serde_json::json;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Blocks until the gate opens, then forwards the time of each event.
    struct BlockedSink {
        gate: Receiver<()>,
        times: Sender<RunTime>,
    }

    impl Sink for BlockedSink {
        fn on_event(&mut self, _: &Arc<Plan>, recorded: &EventRecord) {
            self.gate.recv().ok();
            self.times.send(recorded.at).unwrap();
        }
    }

    impl Redraw for BlockedSink {
        fn redraw(&mut self) -> Duration {
            Duration::from_hours(1)
        }
    }

    #[test]
    fn f19_f85_blocked_reporter_delays_nothing_and_misses_nothing() {
        let mut faults = Vec::new();
        let agenda = Agenda::parse(json!({"operations": []}), &mut faults).unwrap();
        let plan =
            Arc::new(Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap());
        let (open, gate) = channel();
        let (times, received) = channel();
        let mut sink = SinkThread::new(Arc::clone(&plan), BlockedSink { gate, times }).unwrap();
        for at in 0..1_000 {
            let event = RunEvent::AttemptStarted { op: OpIx(0), attempt: 1 };
            sink.on_event(&plan, &EventRecord { at: RunTime(at), event });
            sink.flush();
        }
        assert!(received.try_recv().is_err());
        drop(open);
        drop(sink);
        assert!(received.iter().map(|at| at.0).eq(0..1_000));
    }
}
