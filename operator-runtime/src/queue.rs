//! Which parent is synced when: one sync per parent at a time, at most one more waiting, and timers.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The waiting and running syncs of all parents, by uid.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    line: VecDeque<String>,
    waiting: HashSet<String>,
    running: HashSet<String>,
    timers: BTreeSet<(Instant, String)>,
    timer_of: HashMap<String, Instant>,
}

impl Queue {
    /// Asks for a sync of a parent. It replaces a timer. During a sync it leads to exactly one more.
    pub(crate) fn add(&mut self, uid: &str) {
        self.clear_timer(uid);
        if self.waiting.insert(uid.to_owned()) && !self.running.contains(uid) {
            self.line.push_back(uid.to_owned());
        }
    }

    /// Asks for a sync at a time. An earlier one stays.
    pub(crate) fn add_at(&mut self, uid: &str, at: Instant) {
        let is_earlier = self.timer_of.get(uid).is_some_and(|timer| *timer <= at);
        if is_earlier || self.waiting.contains(uid) {
            return;
        }
        self.clear_timer(uid);
        self.timers.insert((at, uid.to_owned()));
        self.timer_of.insert(uid.to_owned(), at);
    }

    /// Starts the next sync if there is one.
    pub(crate) fn start(&mut self, now: Instant) -> Option<String> {
        while let Some((at, uid)) = self.timers.first().cloned() {
            if at > now {
                break;
            }
            self.add(&uid);
        }
        let uid = self.line.pop_front()?;
        self.waiting.remove(&uid);
        self.clear_timer(&uid);
        self.running.insert(uid.clone());
        Some(uid)
    }

    /// Ends a sync.
    pub(crate) fn end(&mut self, uid: &str) {
        if self.running.remove(uid) && self.waiting.contains(uid) {
            self.line.push_back(uid.to_owned());
        }
    }

    /// Time of the next timer.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Numbers of running and of waiting syncs.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.running.len(), self.waiting.len())
    }

    fn clear_timer(&mut self, uid: &str) {
        if let Some(at) = self.timer_of.remove(uid) {
            self.timers.remove(&(at, uid.to_owned()));
        }
    }
}

/// The queue that watches fill and the loop empties.
#[derive(Debug, Default)]
pub(crate) struct Work {
    queue: Mutex<Queue>,
    /// Wakes the loop.
    pub(crate) changed: Notify,
}

impl Work {
    /// Asks for syncs and wakes the loop.
    pub(crate) fn add<'u>(&self, uids: impl IntoIterator<Item = &'u String>) {
        let mut queue = self.queue();
        for uid in uids {
            queue.add(uid);
        }
        drop(queue);
        self.changed.notify_one();
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn events_during_a_sync_lead_to_one_more() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!((queue.counts(), queue.start(now).as_deref()), ((0, 2), Some("a")));
        queue.add("a");
        queue.add("a");
        assert_eq!((queue.start(now).as_deref(), queue.start(now)), (Some("b"), None));
        queue.end("a");
        assert_eq!((queue.start(now).as_deref(), queue.start(now)), (Some("a"), None));
        queue.end("a");
        queue.end("b");
        assert_eq!(queue.start(now), None);
    }

    #[test]
    fn timers_fire_once_and_events_replace_them() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        queue.add_at("a", after(5));
        queue.add_at("a", after(9));
        queue.add_at("b", after(7));
        assert_eq!((queue.start(after(4)), queue.deadline()), (None, Some(after(5))));
        assert_eq!((queue.start(after(5)).as_deref(), queue.start(after(6))), (Some("a"), None));
        queue.add("b");
        assert_eq!((queue.deadline(), queue.start(now).as_deref()), (None, Some("b")));
        // a timer that fires during a sync waits for its end
        queue.add_at("a", after(8));
        assert_eq!(queue.start(after(8)), None);
        queue.end("a");
        assert_eq!(queue.start(after(8)).as_deref(), Some("a"));
    }
}
