//! Delivers the latest message from its own thread, so that a slow network does not delay the sender.

use std::io;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// The future of a delivery. The error is the reason for the user.
pub type Delivery = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// Timeout of a delivery.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Divisor of the final wait: a delivery in progress may use this part, and the last delivery needs the rest.
const IN_PROGRESS_PART: u32 = 2;
/// Wait before a failed delivery is repeated, unless a newer message arrives.
const RETRY_WAIT: Duration = Duration::from_secs(5);

/// The pace of deliveries.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Shortest time between the starts of two deliveries.
    pub interval: Duration,
    /// Time after which the same message is delivered again if there is no new one.
    pub heartbeat: Option<Duration>,
    /// The wait for the last delivery.
    pub final_wait: FinalWait,
}

/// The sender's wait for the last delivery.
#[derive(Debug, Clone, Copy)]
pub struct FinalWait {
    /// Longest wait, including the end of a delivery in progress.
    pub limit: Duration,
    /// Whether SIGINT or SIGTERM ends the wait.
    pub is_ended_by_signal: bool,
}

impl FinalWait {
    /// The time of a normal delivery, not ended by signals: a cancelled handler must still report its cancellation.
    pub const FULL: Self = Self { limit: DELIVERY_TIMEOUT, is_ended_by_signal: false };
}

/// A message to deliver.
#[derive(Debug, Clone)]
struct Message<T> {
    content: T,
    /// Deadline of the delivery, if this message is the last.
    deadline: Option<Instant>,
}

/// Delivers the latest message at a limited pace, and always the last message.
#[derive(Debug)]
pub struct DeliveryThread<T> {
    final_wait: FinalWait,
    sender: Option<watch::Sender<Option<Message<T>>>>,
    answer: mpsc::Receiver<Result<(), String>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Clone + Send + std::marker::Sync + 'static> DeliveryThread<T> {
    /// Starts the thread. `deliver` creates the delivery function on that thread; its flag says whether a message is
    /// the last.
    pub fn start<D>(pace: Pace, deliver: impl FnOnce() -> D + Send + 'static) -> io::Result<Self>
    where
        D: FnMut(T, bool) -> Delivery + 'static,
    {
        let (sender, receiver) = watch::channel(None);
        let (answer_sender, answer) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            let last = runtime.block_on(deliver_all(pace, receiver, deliver()));
            if let Some(last) = last {
                // fails if the sender does not wait
                answer_sender.send(last).ok();
            }
        };
        let thread = std::thread::Builder::new().name("delivery".to_owned()).spawn(run)?;
        Ok(Self { final_wait: pace.final_wait, sender: Some(sender), answer, thread: Some(thread) })
    }

    /// Queues a message. It replaces an undelivered one.
    pub fn send(&self, content: T) {
        if let Some(sender) = &self.sender {
            sender.send_replace(Some(Message { content, deadline: None }));
        }
    }

    /// Delivers the last message and waits for the end of the delivery.
    pub fn send_last(&mut self, content: T) -> Result<(), String> {
        let Some(sender) = self.sender.take() else {
            return Err("the last message was sent already".to_owned());
        };
        sender
            .send_replace(Some(Message { content, deadline: Some(Instant::now() + self.final_wait.limit) }));
        let answer = self.answer.recv().unwrap_or_else(|_| Err("the delivery thread has ended".to_owned()));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        answer
    }
}

async fn deliver_all<T: Clone>(
    pace: Pace,
    mut messages: watch::Receiver<Option<Message<T>>>,
    mut deliver: impl FnMut(T, bool) -> Delivery,
) -> Option<Result<(), String>> {
    let mut next = Instant::now();
    // time of the next delivery without a new message
    let mut heartbeat = None;
    loop {
        let repeat = async {
            match heartbeat {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // an error: the sender was dropped
            changed = messages.changed() => changed.ok()?,
            () = repeat => {}
        }
        while last_deadline(&messages).is_none() && Instant::now() < next {
            tokio::select! {
                changed = messages.changed() => changed.ok()?,
                () = sleep_until(next) => {}
            }
        }
        let message = messages.borrow_and_update().clone();
        let Some(Message { content, deadline }) = message else { continue };
        next = Instant::now() + pace.interval;
        if let Some(deadline) = deadline {
            return Some(deliver_last(pace.final_wait, deadline, deliver(content, true)).await);
        }
        let delivered = tokio::select! {
            delivered = timeout(DELIVERY_TIMEOUT, deliver(content, false)) => delivered.unwrap_or_else(|_| Err(TIMED_OUT.to_owned())),
            abandoned = abandoned_for_last(pace.final_wait, messages.clone()) => abandoned,
        };
        let wait = if delivered.is_ok() { pace.heartbeat } else { Some(RETRY_WAIT) };
        heartbeat = wait.map(|wait| Instant::now() + wait);
    }
}

const TIMED_OUT: &str = "timed out";
const BY_SIGNAL: &str = "a signal ended the wait";

/// Returns the deadline of the last message, if it was sent.
fn last_deadline<T>(messages: &watch::Receiver<Option<Message<T>>>) -> Option<Instant> {
    messages.borrow().as_ref()?.deadline
}

/// Runs the last delivery until its deadline or a signal.
async fn deliver_last(wait: FinalWait, deadline: Instant, delivery: Delivery) -> Result<(), String> {
    tokio::select! {
        biased;
        delivered = timeout_at(deadline, delivery) => delivered.unwrap_or_else(|_| Err(TIMED_OUT.to_owned())),
        () = interrupted(wait) => Err(BY_SIGNAL.to_owned()),
    }
}

/// Returns when a delivery in progress must end so that the last message still has time.
async fn abandoned_for_last<T>(
    wait: FinalWait,
    mut messages: watch::Receiver<Option<Message<T>>>,
) -> Result<(), String> {
    // an error: the sender was dropped without a last message
    if messages
        .wait_for(|message| message.as_ref().is_some_and(|message| message.deadline.is_some()))
        .await
        .is_err()
    {
        std::future::pending::<()>().await;
    }
    tokio::select! {
        () = sleep(wait.limit / IN_PROGRESS_PART) => Err(TIMED_OUT.to_owned()),
        () = interrupted(wait) => Err(BY_SIGNAL.to_owned()),
    }
}

/// Returns at the next SIGINT or SIGTERM, if these end the wait and this process does not ignore them.
async fn interrupted(wait: FinalWait) {
    let receive = async |kind: SignalKind| {
        // a listener would stop ignoring the signal, so check first
        let listener = (wait.is_ended_by_signal && !is_ignored(kind)).then(|| signal(kind));
        match listener {
            Some(Ok(mut listener)) => drop(listener.recv().await),
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        () = receive(SignalKind::interrupt()) => {}
        () = receive(SignalKind::terminate()) => {}
    }
}

/// Whether this process ignores a signal, from `SigIgn` of proc(5).
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    type Deliveries = Arc<Mutex<Vec<(u32, bool)>>>;

    fn delivery_thread(interval: Duration, heartbeat: Option<Duration>) -> (DeliveryThread<u32>, Deliveries) {
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&delivered);
        let deliver = move || {
            move |content, is_last| -> Delivery {
                let seen = Arc::clone(&seen);
                Box::pin(async move {
                    seen.lock().unwrap().push((content, is_last));
                    if content == 13 { Err("no".to_owned()) } else { Ok(()) }
                })
            }
        };
        (
            DeliveryThread::start(Pace { interval, heartbeat, final_wait: FinalWait::FULL }, deliver)
                .unwrap(),
            delivered,
        )
    }

    #[test]
    fn f23_many_messages_make_few_deliveries_and_always_the_last() {
        let (mut thread, delivered) = delivery_thread(Duration::from_hours(1), None);
        for content in 0..100_000 {
            thread.send(content);
        }
        assert_eq!(thread.send_last(7), Ok(()));
        let delivered = delivered.lock().unwrap();
        // the first delivery starts at once, with the latest message at that time
        assert!(delivered.len() <= 2, "{delivered:?}");
        assert_eq!(delivered.last(), Some(&(7, true)));
        assert!(thread.send_last(8).is_err());
    }

    #[test]
    fn f86_heartbeat_delivers_the_same_message_again() {
        let (mut thread, delivered) = delivery_thread(Duration::ZERO, Some(Duration::from_millis(1)));
        thread.send(7);
        let deadline = Instant::now() + Duration::from_secs(10);
        while delivered.lock().unwrap().len() < 3 {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        assert_eq!(thread.send_last(8), Ok(()));
        let delivered = delivered.lock().unwrap();
        assert_eq!(delivered[..3], [(7, false); 3]);
        assert_eq!(delivered.last(), Some(&(8, true)));
    }

    /// A thread whose deliveries never end.
    fn stuck(final_wait: FinalWait) -> DeliveryThread<u32> {
        let pace = Pace { interval: Duration::ZERO, heartbeat: None, final_wait };
        DeliveryThread::start(pace, || |_, _| -> Delivery { Box::pin(std::future::pending()) }).unwrap()
    }

    #[test]
    fn fr_l7_final_wait_includes_a_delivery_in_progress() {
        let limit = Duration::from_millis(200);
        for is_in_progress in [false, true] {
            let mut thread = stuck(FinalWait { limit, is_ended_by_signal: false });
            if is_in_progress {
                thread.send(1);
            }
            let begun = std::time::Instant::now();
            assert_eq!(thread.send_last(2), Err("timed out".to_owned()));
            let took = begun.elapsed();
            assert!(took >= limit && took < Duration::from_secs(10), "{took:?}");
        }
    }

    #[test]
    fn f62_failure_of_the_last_delivery_is_returned() {
        let (mut thread, _) = delivery_thread(Duration::ZERO, None);
        thread.send(13);
        assert_eq!(thread.send_last(13), Err("no".to_owned()));
    }
}
