//! Sends documents about a run, made for people, to an agenda service.
//!
//! *Guarantees.* The run neither waits for these documents nor fails because of them. They are sent at most once a second,
//! and once more at the end, for which pop waits a few seconds. A service that does not know the path, or a lease that is
//! over, ends the delivery. *Caveats.* A failure is not reported: the run and its progress do not depend on documents.

use super::service_client::{ServiceAddress, ServiceClient};
use super::sink_thread::Redraw;
use crate::status::{Delivery, DeliveryThread, FinalWait, Pace};
use pop_agenda::{EventRecord, Plan, RunEvent, Sink};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Shortest time between two deliveries.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time after which documents are made again without an event: a log may have grown.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Wait for the last delivery; Ctrl-C or SIGTERM ends it.
const FINAL_WAIT: FinalWait = FinalWait { limit: Duration::from_secs(5), is_ended_by_signal: true };
/// Time for which the thread of the reporter may sleep if there are no events.
const IDLE: Duration = Duration::from_hours(1);

/// A document for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Path below the address of the service.
    pub path: String,
    /// Body, as JSON text.
    pub body: String,
}

/// Makes the documents that have changed since the last call.
pub trait MakeDocuments: Send + 'static {
    /// The documents after so many events. `is_last`: nothing changes any more.
    fn make(&mut self, events: u64, is_last: bool) -> Vec<Document>;
}

/// Delivers documents. `follower` gets each event first.
pub struct DocumentDelivery {
    follower: super::Follower,
    thread: DeliveryThread<u64>,
    events: u64,
    has_ended: bool,
}

impl DocumentDelivery {
    /// Delivers to a service.
    pub fn service(
        address: &ServiceAddress,
        follower: super::Follower,
        mut documents: impl MakeDocuments,
    ) -> io::Result<Self> {
        let service = ServiceClient::new(address);
        let pace = Pace { interval: INTERVAL, heartbeat: Some(HEARTBEAT), final_wait: FINAL_WAIT };
        let thread = DeliveryThread::start(pace, move || {
            let service = Rc::new(service);
            let is_over = Rc::new(Cell::new(false));
            move |events, is_last| -> Delivery {
                let (service, is_over) = (Rc::clone(&service), Rc::clone(&is_over));
                let made = if is_over.get() { Vec::new() } else { documents.make(events, is_last) };
                Box::pin(async move {
                    for Document { path, body } in made {
                        // a document that is lost is part of the next ones, or of no interest then
                        if let Ok(400..=407 | 410..=428) = service.post(&path, body.into_bytes()).await {
                            is_over.set(true);
                            break;
                        }
                    }
                    Ok(())
                })
            }
        })?;
        Ok(Self { follower, thread, events: 0, has_ended: false })
    }
}

impl Sink for DocumentDelivery {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        self.follower.on_event(plan, recorded);
        self.events += 1;
        self.has_ended = matches!(recorded.event, RunEvent::RunEnded { .. });
    }

    fn flush(&mut self) {
        // `drop` sends the end, once
        if self.events > 0 && !self.has_ended {
            self.thread.send(self.events);
        }
    }
}

impl Redraw for DocumentDelivery {
    fn redraw(&mut self) -> Duration {
        IDLE
    }
}

impl Drop for DocumentDelivery {
    fn drop(&mut self) {
        if self.events > 0 {
            // nobody misses the documents of a run whose service is away
            self.thread.send_last(self.events).ok();
        }
    }
}
