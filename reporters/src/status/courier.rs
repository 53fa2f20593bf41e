//! Delivers the latest of what is told, from a thread of its own: whoever tells is not held up by a slow network.

use std::io;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// A delivery under way; an error says in words why it failed.
pub type Delivery = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// How long a delivery may take.
const LONGEST: Duration = Duration::from_secs(30);
/// How long after one that failed the same is delivered again, if nothing newer is told before.
const AGAIN: Duration = Duration::from_secs(5);

/// How often a courier goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// At most once in this time.
    pub every: Duration,
    /// At least once in this time, with what it brought before if there is nothing new.
    pub beat: Option<Duration>,
}

/// Something to be delivered.
#[derive(Debug, Clone)]
struct Parcel<T> {
    load: T,
    is_last: bool,
}

/// Delivers the latest of what it is told, at most once in a while; what is told last is always delivered.
#[derive(Debug)]
pub struct Courier<T> {
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
        Ok(Self { sender: Some(sender), answer, thread: Some(thread) })
    }

    /// Has this delivered, in place of what was told before and is still there.
    pub fn tell(&self, load: T) {
        if let Some(sender) = &self.sender {
            sender.send_replace(Some(Parcel { load, is_last: false }));
        }
    }

    /// Has this delivered as the last, and waits for that.
    pub fn tell_last(&mut self, load: T) -> Result<(), String> {
        let Some(sender) = self.sender.take() else { return Err("everything was told already".to_owned()) };
        sender.send_replace(Some(Parcel { load, is_last: true }));
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
        let is_last = |told: &watch::Receiver<Option<Parcel<T>>>| {
            told.borrow().as_ref().is_some_and(|parcel: &Parcel<T>| parcel.is_last)
        };
        while !is_last(&told) && Instant::now() < next {
            tokio::select! {
                changed = told.changed() => changed.ok()?,
                () = sleep_until(next) => {}
            }
        }
        let parcel = told.borrow_and_update().clone();
        let Some(Parcel { load, is_last }) = parcel else { continue };
        next = Instant::now() + pace.every;
        let delivered = timeout(LONGEST, deliver(load, is_last)).await;
        let delivered = delivered.unwrap_or_else(|_| Err("it took too long".to_owned()));
        if is_last {
            return Some(delivered);
        }
        let wait = if delivered.is_ok() { pace.beat } else { Some(AGAIN) };
        beat = wait.map(|wait| Instant::now() + wait);
    }
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
        (Courier::start(Pace { every, beat }, deliver).unwrap(), delivered)
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

    #[test]
    fn f62_that_the_last_could_not_be_delivered_is_known() {
        let (mut courier, _) = courier(Duration::ZERO, None);
        courier.tell(13);
        assert_eq!(courier.tell_last(13), Err("no".to_owned()));
    }
}
