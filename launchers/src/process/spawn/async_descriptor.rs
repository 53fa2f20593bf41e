//! Descriptors registered with the event loop.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::Child;

/// A child, a socket or one end of a pipe, registered with the event loop of the current runtime.
#[derive(Debug)]
pub struct AsyncDescriptor<T: Descriptor>(AsyncFd<T>);

/// A type that owns one descriptor and never replaces it.
pub trait Descriptor: AsRawFd + sealed::Sealed {}

impl Descriptor for OwnedFd {}
impl Descriptor for BorrowedFd<'_> {}
impl Descriptor for Child {}
impl Descriptor for UnixStream {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::OwnedFd {}
    impl Sealed for super::BorrowedFd<'_> {}
    impl Sealed for super::Child {}
    impl Sealed for super::UnixStream {}
}

impl<T: Descriptor> AsyncDescriptor<T> {
    /// Registers for reading. A pipe or socket must be non-blocking; a child's pidfd always is.
    ///
    /// # Panics
    /// Panics outside a runtime with I/O enabled.
    pub fn new(inner: T) -> io::Result<Self> {
        Self::of(inner, Interest::READABLE)
    }

    /// Registers for writing.
    ///
    /// # Panics
    /// Panics outside a runtime with I/O enabled.
    pub fn for_writing(inner: T) -> io::Result<Self> {
        Self::of(inner, Interest::WRITABLE)
    }

    fn of(inner: T, interest: Interest) -> io::Result<Self> {
        // SAFETY: a `Descriptor` (the trait is sealed) keeps its descriptor open until it is dropped and always
        // names the same one. It is only handed out by shared reference, so it cannot be replaced.
        let watched = unsafe { AsyncFd::register_with_interest(inner, interest) }?;
        Ok(Self(watched))
    }

    /// Waits until there is something to read, the other end is closed, or the child has ended.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.0.readable().await
    }

    /// Waits until there is room to write, or the other end is closed. The descriptor must be registered for writing.
    pub async fn writable(&self) -> io::Result<()> {
        self.0.writable().await.map(drop)
    }

    /// Reads without waiting. If `read` finds nothing ([`WouldBlock`](io::ErrorKind::WouldBlock)),
    /// [`readable`](Self::readable) waits for more; until then `read` is not called again.
    pub fn try_read<R>(&self, read: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.try_io(Interest::READABLE, read)
    }

    /// Returns the inner value.
    pub fn get(&self) -> &T {
        self.0.get_ref()
    }
}
