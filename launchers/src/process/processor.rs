//! Keeps a thread on its processor while it starts programs one after the other and waits for them.
//!
//! The kernel starts a new process on an idle processor, because that of the thread is busy, and wakes the thread on one
//! processor when the program ends on another. In a chain of short programs, each of them then costs two interrupts to
//! idle processors and begins with cold caches, although the thread only waits. Programs that run at the same time use
//! all processors, so their threads are better left to the kernel.

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::cell::Cell;
use std::sync::LazyLock;

/// Every processor, also those that are added later.
static ALL: LazyLock<CpuSet> = LazyLock::new(|| {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| all.set(processor));
    all
});

thread_local! {
    /// The set with the one processor on which this thread is kept; `None` if it is not kept.
    static KEPT_ON: Cell<Option<CpuSet>> = const { Cell::new(None) };
}

/// Keeps this thread on its present processor until [`leave`]. Returns the processors that it could use before, which a
/// program is to get. `None` if there is no other processor, or if the thread must not use all: a restriction cannot be
/// restored exactly, because the kernel does not tell who set it.
pub(super) fn stay() -> Option<&'static CpuSet> {
    static ONLINE: LazyLock<u32> = LazyLock::new(online);
    let allowed = sched_getaffinity(None).ok()?;
    if let Some(kept_on) = KEPT_ON.take() {
        // if somebody else has set other processors meanwhile, those count
        let is_kept = kept_on == allowed;
        KEPT_ON.set(is_kept.then_some(kept_on));
        return is_kept.then_some(&ALL);
    }
    let count = allowed.count();
    if count < 2 || count < *ONLINE {
        return None;
    }
    let here = sched_getcpu();
    if here >= CpuSet::MAX_CPU {
        return None;
    }
    let mut present = CpuSet::new();
    present.set(here);
    sched_setaffinity(None, &present).ok()?;
    KEPT_ON.set(Some(present));
    Some(&ALL)
}

/// Lets this thread use all processors again.
pub(super) fn leave() {
    let Some(kept_on) = KEPT_ON.take() else { return };
    if sched_getaffinity(None).is_ok_and(|allowed| allowed == kept_on) {
        // what was permitted before is permitted now
        sched_setaffinity(None, &ALL).ok();
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
        let can_stay = before.count() > 1 && before.count() >= online();
        for _ in 0..2 {
            assert_eq!(stay().is_some(), can_stay);
            let during = sched_getaffinity(None).unwrap();
            assert_eq!(during.count(), if can_stay { 1 } else { before.count() });
            assert!(during.is_set(sched_getcpu()));
        }
        leave();
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }

    #[test]
    fn a_restricted_thread_keeps_its_restriction() {
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        sched_setaffinity(None, &one).unwrap();
        assert_eq!(stay(), None);
        leave();
        assert_eq!(sched_getaffinity(None).unwrap(), one);
    }

    #[test]
    fn a_restriction_set_during_the_stay_counts() {
        let all = sched_getaffinity(None).unwrap();
        if stay().is_none() {
            return;
        }
        sched_setaffinity(None, &all).unwrap();
        assert_eq!(stay(), None);
        let kept_on = stay().map(|_| sched_getaffinity(None).unwrap()).unwrap();
        let mut other = CpuSet::new();
        other.set((0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu) && !kept_on.is_set(*cpu)).unwrap());
        sched_setaffinity(None, &other).unwrap();
        leave();
        assert_eq!(sched_getaffinity(None).unwrap(), other);
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
