//! Items that a second thread makes while this one uses them.

use std::mem::replace;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

/// Items that are handed over at once.
const BATCH: usize = 256;
/// Most batches that wait.
const WAITING: usize = 16;

/// Whether a text of so many bytes takes far longer to read than a thread to start.
pub(crate) fn is_long(bytes: u64) -> bool {
    bytes >= 256 * 1024
}

/// Gives the items that `make` makes to `take`, in order. Returns the results of both. If it `is_worth_a_thread`, `make`
/// runs on one of its own at the same time. Else, or without resources for a thread, it runs before `take`.
///
/// A `take` that returns early ignores the other items.
pub(crate) fn piped<T: Send, R: Send, U>(
    is_worth_a_thread: bool,
    make: impl Fn(&mut dyn FnMut(T)) -> R + Sync,
    take: impl FnOnce(&mut dyn Iterator<Item = T>) -> U,
) -> (R, U) {
    let (sender, batches) = sync_channel(WAITING);
    let make = &make;
    let make_batches = move || {
        let mut batch = Vec::with_capacity(BATCH);
        // the receiver is gone if `take` has ended
        let result = make(&mut |item| {
            batch.push(item);
            if batch.len() == BATCH {
                sender.send(replace(&mut batch, Vec::with_capacity(BATCH))).ok();
            }
        });
        sender.send(batch).ok();
        result
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("read".to_owned());
        let maker = is_worth_a_thread.then(|| thread.spawn_scoped(scope, make_batches).ok()).flatten();
        let Some(maker) = maker else {
            let mut items = Vec::new();
            let result = make(&mut |item| items.push(item));
            return (result, take(&mut items.into_iter()));
        };
        let taken = take(&mut batches.into_iter().flatten());
        (maker.join().unwrap_or_else(|panic| resume_unwind(panic)), taken)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_with_the_result() {
        for (count, is_worth_a_thread) in [(0, true), (1, true), (256, true), (20_000, true), (20_000, false)]
        {
            let make = |each: &mut dyn FnMut(i32)| {
                (0..count).for_each(each);
                "done"
            };
            let (result, taken) = piped(is_worth_a_thread, make, |items| items.collect::<Vec<_>>());
            assert_eq!(result, "done");
            assert!(taken.into_iter().eq(0..count));
        }
    }

    #[test]
    fn a_taker_may_stop_early() {
        let make = |each: &mut dyn FnMut(i32)| (0..20_000).for_each(each);
        assert_eq!(piped(true, make, |items| items.next()), ((), Some(0)));
    }

    #[test]
    #[should_panic(expected = "of the maker")]
    fn a_panic_of_the_maker_continues_here() {
        piped(true, |_: &mut dyn FnMut(())| panic!("of the maker"), |items| items.count());
    }

    #[test]
    #[should_panic(expected = "of the taker")]
    fn a_panic_of_the_taker_ends_the_maker() {
        piped(true, |each: &mut dyn FnMut(i32)| (0..20_000).for_each(each), |_| panic!("of the taker"));
    }
}
