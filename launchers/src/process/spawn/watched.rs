//! Descriptors that the event loop watches.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::Child;

/// A child or the read end of a pipe, registered with the event loop of the current runtime.
#[derive(Debug)]
pub struct Watched<T: Watchable>(AsyncFd<T>);

/// Something with one descriptor that it keeps open and never exchanges.
pub trait Watchable: AsRawFd + sealed::Sealed {}

impl Watchable for OwnedFd {}
impl Watchable for BorrowedFd<'_> {}
impl Watchable for Child {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::OwnedFd {}
    impl Sealed for super::BorrowedFd<'_> {}
    impl Sealed for super::Child {}
}

impl<T: Watchable> Watched<T> {
    /// Registers for reading. A pipe must not block; a child's pidfd never does.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    pub fn new(inner: T) -> io::Result<Self> {
        // SAFETY: a `Watchable` (there are only those above) has its descriptor kept open until it is dropped,
        // always names the same one, and is lent out of here by shared reference only, so it cannot be
        // exchanged.
        let watched = unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE) }?;
        Ok(Self(watched))
    }

    /// Waits until there is something to read, the other end is closed, or the child has ended.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.0.readable().await
    }

    /// Returns what is watched.
    pub fn get(&self) -> &T {
        self.0.get_ref()
    }
}
