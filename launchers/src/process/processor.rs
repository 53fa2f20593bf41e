//! Keeps a thread that waits for one short program after the other on its processor.
//!
//! The kernel starts a short program on the processor of the thread that waits for it. When the program ends, this processor
//! is still busy, so the kernel may wake the thread on an idle one. If this happens with each program, each begins with cold
//! caches and an interrupt to another processor, and a chain of programs takes a quarter longer. Programs that run at the same time use
//! all processors, so their threads are better left to the kernel.

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::cell::Cell;

/// Number of waits for which a thread stays on its processor after the kernel has moved it.
const WAITS: u32 = 32;

thread_local! {
    /// The processor of this thread at its last wait, and the number of waits for which it stays.
    static LAST: Cell<(usize, u32)> = const { Cell::new((usize::MAX, 0)) };
}

/// Runs `wait` on the present processor if the kernel has moved this thread during one of its last waits.
///
/// Only this thread stays, and only during the wait: a program started before has the processors that it had.
pub(super) fn wait_here<T>(wait: impl FnOnce() -> T) -> T {
    let here = sched_getcpu();
    let (last, waits) = LAST.get();
    let waits = if last == here || last == usize::MAX { waits } else { WAITS };
    LAST.set((here, waits.saturating_sub(1)));
    // without permission, the thread only waits
    let Some(allowed) = (waits > 0).then(|| sched_getaffinity(None).ok()).flatten() else { return wait() };
    if here >= CpuSet::MAX_CPU {
        return wait();
    }
    let mut present = CpuSet::new();
    present.set(here);
    let stays = sched_setaffinity(None, &present).is_ok();
    let waited = wait();
    if stays {
        sched_setaffinity(None, &allowed).ok();
    }
    waited
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_was_moved_stays_during_the_wait_and_is_free_after_it() {
        let before = sched_getaffinity(None).unwrap();
        assert_eq!(wait_here(|| sched_getaffinity(None).unwrap()), before);
        LAST.set((usize::MAX - 1, 0));
        let (during, processor) = wait_here(|| (sched_getaffinity(None).unwrap(), sched_getcpu()));
        assert_eq!(during.count(), 1);
        assert!(during.is_set(processor));
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
