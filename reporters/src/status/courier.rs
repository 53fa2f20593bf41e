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

/// How long the last delivery may take.
const LAST: Duration = Duration::from_secs(30);

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
    /// A courier that goes at most once in `every`. `deliver` is made on its thread, and told with each load whether
    /// it is the last.
    pub fn start<D>(every: Duration, deliver: impl FnOnce() -> D + Send + 'static) -> io::Result<Self>
    where
        D: FnMut(T, bool) -> Delivery + 'static,
    {
        let (sender, receiver) = watch::channel(None);
        let (answered, answer) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let go = move || {
            let last = runtime.block_on(carry(every, receiver, deliver()));
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
    every: Duration,
    mut told: watch::Receiver<Option<Parcel<T>>>,
    mut deliver: impl FnMut(T, bool) -> Delivery,
) -> Option<Result<(), String>> {
    let mut next = Instant::now();
    loop {
        // an error: nobody can tell anything any more
        told.changed().await.ok()?;
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
        next = Instant::now() + every;
        let delivered = timeout(LAST, deliver(load, is_last)).await;
        let delivered = delivered.unwrap_or_else(|_| Err("it took too long".to_owned()));
        if is_last {
            return Some(delivered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    type Delivered = Arc<Mutex<Vec<(u32, bool)>>>;

    fn courier(every: Duration) -> (Courier<u32>, Delivered) {
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
        (Courier::start(every, deliver).unwrap(), delivered)
    }

    #[test]
    fn f23_many_tellings_become_few_deliveries_and_the_last_always_comes() {
        let (mut courier, delivered) = courier(Duration::from_hours(1));
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
    fn f62_that_the_last_could_not_be_delivered_is_known() {
        let (mut courier, _) = courier(Duration::ZERO);
        courier.tell(13);
        assert_eq!(courier.tell_last(13), Err("no".to_owned()));
    }
}
