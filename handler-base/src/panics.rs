//! Catches a panic of a handler as a value with its place in the code.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

thread_local! {
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic: its message and its place in the code.
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) location: String,
}

/// Runs a future to its end. Returns a panic in it as an error.
pub(crate) async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Panic> {
    record_locations();
    let mut future = pin!(future);
    std::future::poll_fn(|task| {
        // unwind safe: a future that panicked is never polled again
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(cause) => Poll::Ready(Err(Panic {
                message: message_of(cause.as_ref()),
                location: LOCATION.take().unwrap_or_default(),
            })),
        }
    })
    .await
}

fn message_of(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}

/// Installs a panic hook that records the place of each panic and calls the previous hook.
fn record_locations() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            LOCATION.set(panic.location().map(ToString::to_string));
            previous(panic);
        }));
    });
}
