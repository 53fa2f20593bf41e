//! Items that a second thread makes while this one uses them.

use std::mem::replace;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

/// Items that are handed over at once.
const BATCH: usize = 256;
/// Most batches that wait.
const WAITING: usize = 16;

/// Runs `make` on a thread of its own, and gives each item that it makes to `take` here, in order. Returns the result of
/// `make`. Without resources for a thread, `make` runs here.
pub(crate) fn piped<T: Send, R: Send>(
    make: impl Fn(&mut dyn FnMut(T)) -> R + Sync,
    mut take: impl FnMut(T),
) -> R {
    let (sender, batches) = sync_channel(WAITING);
    let make = &make;
    thread::scope(|scope| {
        let maker = thread::Builder::new().name("read".to_owned()).spawn_scoped(scope, move || {
            let mut batch = Vec::with_capacity(BATCH);
            let result = make(&mut |item| {
                batch.push(item);
                if batch.len() == BATCH {
                    // the receiver is gone only if the other thread has panicked
                    sender.send(replace(&mut batch, Vec::with_capacity(BATCH))).ok();
                }
            });
            sender.send(batch).ok();
            result
        });
        let Ok(maker) = maker else { return make(&mut take) };
        batches.into_iter().flatten().for_each(take);
        maker.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_with_the_result() {
        for count in [0, 1, 256, 20_000] {
            let mut taken = Vec::new();
            let result = piped(
                |take| {
                    (0..count).for_each(take);
                    "done"
                },
                |item: i32| taken.push(item),
            );
            assert_eq!(result, "done");
            assert!(taken.into_iter().eq(0..count));
        }
    }

    #[test]
    #[should_panic(expected = "of the maker")]
    fn a_panic_of_the_maker_continues_here() {
        piped(|_: &mut dyn FnMut(())| panic!("of the maker"), |()| {});
    }

    #[test]
    #[should_panic(expected = "of the taker")]
    fn a_panic_of_the_taker_ends_the_maker() {
        piped(|take| (0..20_000).for_each(take), |_: i32| panic!("of the taker"));
    }
}
