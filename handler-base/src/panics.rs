//! A panic in a handler caught as a value, with its place.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic: its message and where it happened.
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) place: String,
}

/// Runs a future to its end; a panic in it becomes an error.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Panic> {
    remember_places();
    let mut future = pin!(future);
    std::future::poll_fn(|task| {
        // a future that panicked is not polled again, so nobody sees what it left half done
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(cause) => Poll::Ready(Err(Panic {
                message: message_of(cause.as_ref()),
                place: PLACE.take().unwrap_or_default(),
            })),
        }
    })
    .await
}

fn message_of(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}

/// Has each panic of this thread note its place, besides what was done with it before.
fn remember_places() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PLACE.set(panic.location().map(ToString::to_string));
            before(panic);
        }));
    });
}
