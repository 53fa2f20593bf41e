//! Keeps a thread on its processor while it starts a program and waits for it.
//!
//! The kernel starts a new process on an idle processor, because that of the thread is busy, and wakes the thread on one
//! processor when the program ends on another. In a chain of short programs, each of them then costs two interrupts to
//! idle processors and begins with cold caches, although the thread only waits. Programs that run at the same time use
//! all processors, so their threads are better left to the kernel.

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Every processor, also those that are added later.
static ALL: LazyLock<CpuSet> = LazyLock::new(|| {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| all.set(processor));
    all
});

/// This thread on its present processor, until this is dropped.
#[derive(Debug)]
pub(super) struct Stay {
    began: Instant,
    /// The processors that the thread could use before.
    pub(super) before: &'static CpuSet,
}

impl Stay {
    /// Keeps this thread on its present processor. `None` if there is no other, or if the thread must not use all: a
    /// restriction cannot be restored exactly, because the kernel does not tell who set it.
    pub(super) fn begin() -> Option<Self> {
        static ONLINE: LazyLock<u32> = LazyLock::new(online);
        let allowed = sched_getaffinity(None).ok()?.count();
        if allowed < 2 || allowed < *ONLINE {
            return None;
        }
        let here = sched_getcpu();
        if here >= CpuSet::MAX_CPU {
            return None;
        }
        let mut present = CpuSet::new();
        present.set(here);
        sched_setaffinity(None, &present).ok().map(|()| Self { began: Instant::now(), before: &ALL })
    }

    /// Ends the stay and returns how long it was.
    pub(super) fn end(self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        // what was permitted before is permitted now
        sched_setaffinity(None, self.before).ok();
    }
}

/// Number of processors that the system uses; more than any set has if it is unknown.
fn online() -> u32 {
    let listed = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    count_listed(listed.trim()).unwrap_or(u32::MAX)
}

/// Number of processors in a list of the kernel: `0-3,8`.
fn count_listed(list: &str) -> Option<u32> {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_on_its_processor_and_is_free_after_it() {
        let before = sched_getaffinity(None).unwrap();
        let during = Stay::begin().map(|_stay| (sched_getaffinity(None).unwrap(), sched_getcpu()));
        assert_eq!(during.is_some(), before.count() > 1 && before.count() >= online());
        if let Some((during, processor)) = during {
            assert_eq!(during.count(), 1);
            assert!(during.is_set(processor));
        }
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }

    #[test]
    fn a_restricted_thread_keeps_its_restriction() {
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        sched_setaffinity(None, &one).unwrap();
        assert!(Stay::begin().is_none());
        assert_eq!(sched_getaffinity(None).unwrap(), one);
    }

    #[test]
    fn lists_of_the_kernel_are_counted() {
        for (list, count) in
            [("0", Some(1)), ("0-3", Some(4)), ("0,2-3,8", Some(4)), ("", None), ("3-1", None)]
        {
            assert_eq!(count_listed(list), count, "{list}");
        }
    }
}
