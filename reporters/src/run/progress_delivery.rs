//! Progress delivery: sends a run's progress to annotations of the executor's own pod, and to an agenda service.
//!
//! *Guarantees.* Progress delivery never blocks or fails a run: a separate thread builds and sends progress, at most
//! once a second. The end is always sent; pop waits at most 10 s for each receiver. *Caveats.* A failed delivery is
//! reported once while the run continues, and at its end.

use super::agenda_progress::{Detail, ProgressIds, executor_result, progress_text};
use super::followed_run::FollowedRun;
use super::service_client::{ServiceAddress, ServiceClient};
use crate::status::{Annotations, ConnectFuture, Delivery, DeliveryThread, FinalWait, OwnPod, Pace};
use pop_agenda::{EventRecord, Plan, RunEvent, Sink};
use pop_contract::{PROGRESS, RESULT};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Shortest time between two deliveries.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest time between two posts to a service, which otherwise would consider the run dead.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Longest document in an annotation, in bytes: all annotations of a pod together may have 256 KiB.
const LONGEST_ANNOTATION: usize = 200 * 1024;
/// Attempts to send the last report.
const LAST_ATTEMPTS: u32 = 6;
/// Wait after the first attempt; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// Wait for the last delivery; Ctrl-C or SIGTERM ends it.
const FINAL_WAIT: FinalWait = FinalWait { limit: Duration::from_secs(10), is_ended_by_signal: true };

/// The source of progress: a followed run and its ids.
#[derive(Debug, Clone)]
pub struct ProgressSource {
    /// The run. Its [`Follower`](super::Follower) must receive each event before [`ProgressDelivery`] does.
    pub run: Arc<Mutex<FollowedRun>>,
    /// The ids in the progress.
    pub ids: ProgressIds,
}

/// Delivers a run's progress to one receiver.
#[derive(Debug)]
pub struct ProgressDelivery {
    thread: DeliveryThread<()>,
    /// Prints a warning for the user.
    say: fn(&str),
    has_events: bool,
    has_ended: bool,
}

impl ProgressDelivery {
    /// Delivers to annotations of the named pod, in the namespace that `connect` returns.
    pub fn own_pod(
        source: ProgressSource,
        name: String,
        connect: impl Fn() -> ConnectFuture + Send + 'static,
        say: fn(&str),
    ) -> io::Result<Self> {
        Self::start(Pace { interval: INTERVAL, heartbeat: None, final_wait: FINAL_WAIT }, say, move || {
            let pod = Rc::new(OwnPod::new(name, connect));
            move |is_last| -> Delivery {
                let (pod, forms) = (Rc::clone(&pod), annotations(&source, is_last));
                Box::pin(async move { pod.annotate(forms, is_last).await })
            }
        })
    }

    /// Delivers to a service by posts to `/updateAgendaProgress` below its address.
    pub fn service(source: ProgressSource, address: &ServiceAddress, say: fn(&str)) -> io::Result<Self> {
        let service = ServiceClient::new(address);
        Self::start(
            Pace { interval: INTERVAL, heartbeat: Some(HEARTBEAT), final_wait: FINAL_WAIT },
            say,
            move || {
                let service = Rc::new(service);
                move |is_last| -> Delivery {
                    let service = Rc::clone(&service);
                    let text = progress_text(&source.run, &source.ids, Detail::Service, usize::MAX);
                    let body = format!("{{\"agendaProgress\":{}}}", text.unwrap_or_default());
                    Box::pin(async move { post(&service, body.into_bytes(), is_last).await })
                }
            },
        )
    }

    fn start<D>(pace: Pace, say: fn(&str), make: impl FnOnce() -> D + Send + 'static) -> io::Result<Self>
    where
        D: FnMut(bool) -> Delivery + 'static,
    {
        let thread = DeliveryThread::start(pace, move || {
            let mut deliver = make();
            let has_warned = Rc::new(Cell::new(false));
            move |(), is_last| -> Delivery {
                let (delivery, has_warned) = (deliver(is_last), Rc::clone(&has_warned));
                Box::pin(async move {
                    let delivered = delivery.await;
                    // the drop of `ProgressDelivery` warns about a failure of the last one
                    if let Err(error) = &delivered
                        && !is_last
                        && !has_warned.replace(true)
                    {
                        say(&format!("warning: {error}; the run continues, pop tries again"));
                    }
                    delivered
                })
            }
        })?;
        Ok(Self { thread, say, has_events: false, has_ended: false })
    }
}

impl Sink for ProgressDelivery {
    fn on_event(&mut self, _: &Arc<Plan>, recorded: &EventRecord) {
        self.has_events = true;
        self.has_ended = matches!(recorded.event, RunEvent::RunEnded { .. });
    }

    fn flush(&mut self) {
        // `drop` sends the end, once
        if self.has_events && !self.has_ended {
            self.thread.send(());
        }
    }
}

impl Drop for ProgressDelivery {
    fn drop(&mut self) {
        if self.has_events
            && let Err(error) = self.thread.send_last(())
        {
            (self.say)(&format!("warning: the end of the run was not delivered: {error}"));
        }
    }
}

/// The candidates for a pod's annotations, from the most to the least detailed.
fn annotations(source: &ProgressSource, is_last: bool) -> Vec<Annotations> {
    let result = is_last.then(|| {
        let run = source.run.lock().unwrap_or_else(PoisonError::into_inner);
        executor_result(&run.plan, &run.history).to_string()
    });
    let details = [Detail::Whole, Detail::WithoutResults, Detail::WithoutOperations].into_iter();
    let texts =
        details.filter_map(|detail| progress_text(&source.run, &source.ids, detail, LONGEST_ANNOTATION));
    let with = |text| {
        let result = result.clone().map(|result| (RESULT, result));
        std::iter::once((PROGRESS, text)).chain(result).collect()
    };
    texts.map(with).collect()
}

/// Posts progress, and again if that may help.
async fn post(service: &ServiceClient, body: Vec<u8>, is_last: bool) -> Result<(), String> {
    let failure = |reason: &str| format!("cannot send progress to {}: {reason}", service.address());
    let mut wait = FIRST_WAIT;
    let mut left = if is_last { LAST_ATTEMPTS } else { 1 };
    loop {
        left -= 1;
        let (reason, is_retryable) = match service.post("/updateAgendaProgress", body.clone()).await {
            Ok(200..=299) => return Ok(()),
            Ok(status) => {
                let is_retryable = matches!(status, 408 | 409 | 429 | 500..);
                let status = http::StatusCode::from_u16(status)
                    .map_or_else(|_| status.to_string(), |status| status.to_string());
                (format!("the service answers {status}"), is_retryable)
            }
            Err(error) => (error, true),
        };
        if left == 0 || !is_retryable {
            return Err(failure(&reason));
        }
        sleep(wait).await;
        wait *= 2;
    }
}
