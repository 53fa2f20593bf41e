//! Delivers the latest of what is told, from a thread of its own: whoever tells is not held up by a slow network.

use std::io;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// A delivery under way; an error says in words why it failed.
pub type Delivery = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// How long a delivery may take.
const LONGEST: Duration = Duration::from_secs(30);
/// The part of the time for the end that a delivery under way still has: the last one needs some of it.
const UNDER_WAY: u32 = 2;
/// How long after one that failed the same is delivered again, if nothing newer is told before.
const AGAIN: Duration = Duration::from_secs(5);

/// How often a courier goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// At most once in this time.
    pub every: Duration,
    /// At least once in this time, with what it brought before if there is nothing new.
    pub beat: Option<Duration>,
    /// How the last delivery ends if it does not come through.
    pub closing: Closing,
}

/// How long whoever tells the last waits for its delivery.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// At most so long, with a delivery that is under way then.
    pub limit: Duration,
    /// Whether SIGINT or SIGTERM ends the wait.
    pub is_ended_by_signal: bool,
}

impl Closing {
    /// The last delivery has as much time as any other, and no signal ends it: a handler that is asked to stop
    /// reports just that.
    pub const PATIENT: Self = Self { limit: LONGEST, is_ended_by_signal: false };
}

/// Something to be delivered.
#[derive(Debug, Clone)]
struct Parcel<T> {
    load: T,
    /// When the wait for its delivery ends, if it is the last.
    last: Option<Instant>,
}

/// Delivers the latest of what it is told, at most once in a while; what is told last is always delivered.
#[derive(Debug)]
pub struct Courier<T> {
    closing: Closing,
    sender: Option<watch::Sender<Option<Parcel<T>>>>,
    answer: mpsc::Receiver<Result<(), String>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Clone + Send + std::marker::Sync + 'static> Courier<T> {
    /// A courier that goes at this pace. `deliver` is made on its thread, and told with each load whether it is the
    /// last.
    pub fn start<D>(pace: Pace, deliver: impl FnOnce() -> D + Send + 'static) -> io::Result<Self>
    where
        D: FnMut(T, bool) -> Delivery + 'static,
    {
        let (sender, receiver) = watch::channel(None);
        let (answered, answer) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let go = move || {
            let last = runtime.block_on(carry(pace, receiver, deliver()));
            if let Some(last) = last {
                // whoever does not wait does not want to know
                answered.send(last).ok();
            }
        };
        let thread = std::thread::Builder::new().name("courier".to_owned()).spawn(go)?;
        Ok(Self { closing: pace.closing, sender: Some(sender), answer, thread: Some(thread) })
    }

    /// Has this delivered, in place of what was told before and is still there.
    pub fn tell(&self, load: T) {
        if let Some(sender) = &self.sender {
            sender.send_replace(Some(Parcel { load, last: None }));
        }
    }

    /// Has this delivered as the last, and waits for that.
    pub fn tell_last(&mut self, load: T) -> Result<(), String> {
        let Some(sender) = self.sender.take() else { return Err("everything was told already".to_owned()) };
        sender.send_replace(Some(Parcel { load, last: Some(Instant::now() + self.closing.limit) }));
        let answer = self.answer.recv().unwrap_or_else(|_| Err("the courier is gone".to_owned()));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        answer
    }
}

async fn carry<T: Clone>(
    pace: Pace,
    mut told: watch::Receiver<Option<Parcel<T>>>,
    mut deliver: impl FnMut(T, bool) -> Delivery,
) -> Option<Result<(), String>> {
    let mut next = Instant::now();
    // when to go although nothing new is told
    let mut beat = None;
    loop {
        let anyway = async {
            match beat {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // an error: nobody can tell anything any more
            changed = told.changed() => changed.ok()?,
            () = anyway => {}
        }
        while last_of(&told).is_none() && Instant::now() < next {
            tokio::select! {
                changed = told.changed() => changed.ok()?,
                () = sleep_until(next) => {}
            }
        }
        let parcel = told.borrow_and_update().clone();
        let Some(Parcel { load, last }) = parcel else { continue };
        next = Instant::now() + pace.every;
        if let Some(until) = last {
            return Some(closed(pace.closing, until, deliver(load, true)).await);
        }
        let delivered = tokio::select! {
            delivered = timeout(LONGEST, deliver(load, false)) => delivered.unwrap_or_else(|_| Err(TOO_LONG.to_owned())),
            given_up = give_way(pace.closing, told.clone()) => given_up,
        };
        let wait = if delivered.is_ok() { pace.beat } else { Some(AGAIN) };
        beat = wait.map(|wait| Instant::now() + wait);
    }
}

const TOO_LONG: &str = "it took too long";
const BY_SIGNAL: &str = "a signal ended the wait for it";

/// When the wait for the last ends, once that is told.
fn last_of<T>(told: &watch::Receiver<Option<Parcel<T>>>) -> Option<Instant> {
    told.borrow().as_ref()?.last
}

/// The last delivery, until its time is over or a signal ends it.
async fn closed(closing: Closing, until: Instant, delivery: Delivery) -> Result<(), String> {
    tokio::select! {
        biased;
        delivered = timeout_at(until, delivery) => delivered.unwrap_or_else(|_| Err(TOO_LONG.to_owned())),
        () = interrupted(closing) => Err(BY_SIGNAL.to_owned()),
    }
}

/// Comes back when a delivery under way has to make room for the last: one that is not delivered is overtaken.
async fn give_way<T>(closing: Closing, mut told: watch::Receiver<Option<Parcel<T>>>) -> Result<(), String> {
    // an error: nobody tells the last any more, and there is nothing to make room for
    if told.wait_for(|parcel| parcel.as_ref().is_some_and(|parcel| parcel.last.is_some())).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::select! {
        () = sleep(closing.limit / UNDER_WAY) => Err(TOO_LONG.to_owned()),
        () = interrupted(closing) => Err(BY_SIGNAL.to_owned()),
    }
}

/// Comes back at the next SIGINT or SIGTERM, if these end the wait and this process does not ignore them.
async fn interrupted(closing: Closing) {
    let hear = async |kind: SignalKind| {
        // to listen to a signal is to stop ignoring it
        let heard = (closing.is_ended_by_signal && !is_ignored(kind)).then(|| signal(kind));
        match heard {
            Some(Ok(mut heard)) => drop(heard.recv().await),
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        () = hear(SignalKind::interrupt()) => {}
        () = hear(SignalKind::terminate()) => {}
    }
}

/// Whether this process was started to ignore a signal, as proc(5) tells in `SigIgn`.
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

    type Delivered = Arc<Mutex<Vec<(u32, bool)>>>;

    fn courier(every: Duration, beat: Option<Duration>) -> (Courier<u32>, Delivered) {
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&delivered);
        let deliver = move || {
            move |load, is_last| -> Delivery {
                let seen = Arc::clone(&seen);
                Box::pin(async move {
                    seen.lock().unwrap().push((load, is_last));
                    if load == 13 { Err("no".to_owned()) } else { Ok(()) }
                })
            }
        };
        (Courier::start(Pace { every, beat, closing: Closing::PATIENT }, deliver).unwrap(), delivered)
    }

    #[test]
    fn f23_many_tellings_become_few_deliveries_and_the_last_always_comes() {
        let (mut courier, delivered) = courier(Duration::from_hours(1), None);
        for load in 0..100_000 {
            courier.tell(load);
        }
        assert_eq!(courier.tell_last(7), Ok(()));
        let delivered = delivered.lock().unwrap();
        // the first goes at once, whichever it is by then
        assert!(delivered.len() <= 2, "{delivered:?}");
        assert_eq!(delivered.last(), Some(&(7, true)));
        assert!(courier.tell_last(8).is_err());
    }

    #[test]
    fn f86_what_is_not_new_is_delivered_again_at_every_beat() {
        let (mut courier, delivered) = courier(Duration::ZERO, Some(Duration::from_millis(1)));
        courier.tell(7);
        let deadline = Instant::now() + Duration::from_secs(10);
        while delivered.lock().unwrap().len() < 3 {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        assert_eq!(courier.tell_last(8), Ok(()));
        let delivered = delivered.lock().unwrap();
        assert_eq!(delivered[..3], [(7, false); 3]);
        assert_eq!(delivered.last(), Some(&(8, true)));
    }

    /// A courier whose deliveries never come through.
    fn stuck(closing: Closing) -> Courier<u32> {
        let pace = Pace { every: Duration::ZERO, beat: None, closing };
        Courier::start(pace, || |_, _| -> Delivery { Box::pin(std::future::pending()) }).unwrap()
    }

    #[test]
    fn fr_l7_the_end_is_bounded_with_a_delivery_that_is_under_way() {
        let limit = Duration::from_millis(200);
        for is_under_way in [false, true] {
            let mut courier = stuck(Closing { limit, is_ended_by_signal: false });
            if is_under_way {
                courier.tell(1);
            }
            let begun = std::time::Instant::now();
            assert_eq!(courier.tell_last(2), Err("it took too long".to_owned()));
            let took = begun.elapsed();
            assert!(took >= limit && took < Duration::from_secs(10), "{took:?}");
        }
    }

    #[test]
    fn f62_that_the_last_could_not_be_delivered_is_known() {
        let (mut courier, _) = courier(Duration::ZERO, None);
        courier.tell(13);
        assert_eq!(courier.tell_last(13), Err("no".to_owned()));
    }
}
