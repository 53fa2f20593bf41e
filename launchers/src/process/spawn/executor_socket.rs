//! The socket to the executor of this process: inherited, or connected by a path.

use super::AsyncDescriptor;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, FdFlags};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the socket was taken.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// The socket to the executor: read without blocking the event loop, written with blocking.
#[derive(Debug)]
pub struct ExecutorSocket(AsyncDescriptor<OwnedFd>);

impl ExecutorSocket {
    /// Opens the socket that a variable names: the number of an inherited descriptor ([`take`](Self::take)), or the absolute
    /// path of a socket to connect to.
    ///
    /// # Panics
    /// Panics outside a runtime with I/O enabled.
    pub fn open(place: &str) -> io::Result<Self> {
        if place.starts_with('/') {
            return Self::of(UnixStream::connect(place)?.into());
        }
        let number = place.parse();
        Self::take(number.map_err(|_| io::Error::other("it is neither a descriptor nor an absolute path"))?)
    }

    /// Takes descriptor `number`, which must be an open socket above standard error. A process can do this once, before it
    /// opens other descriptors.
    ///
    /// # Panics
    /// Panics outside a runtime with I/O enabled.
    pub fn take(number: i32) -> io::Result<Self> {
        if number <= libc::STDERR_FILENO {
            return Err(io::Error::other(format!("descriptor {number} is a standard stream")));
        }
        // SAFETY: the descriptor is borrowed for the checks below only; an unused number is an error of the kernel.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(borrowed)?.st_mode);
        if kind != rustix::fs::FileType::Socket {
            return Err(io::Error::other(format!("descriptor {number} is not a socket")));
        }
        if IS_TAKEN.swap(true, Ordering::AcqRel) {
            return Err(io::Error::other("the socket was taken before"));
        }
        // SAFETY: the descriptor is open, the parent of this process opened it for this purpose, and the flag above lets
        // one caller own it.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        Self::of(socket)
    }

    fn of(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self(AsyncDescriptor::new(socket)?))
    }

    /// Waits for bytes and reads them; 0 at the end of the stream.
    pub async fn read(&self, piece: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match rustix::io::read(self.0.get(), &mut *piece) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                read => {
                    let count = read?;
                    // the kernel had no more: the next wait needs no read that only says so
                    if (1..piece.len()).contains(&count) {
                        ready.clear_ready();
                    }
                    return Ok(count);
                }
            }
        }
    }

    /// Writes everything, and blocks while the other end takes nothing.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let socket = self.0.get();
        while !bytes.is_empty() {
            match rustix::io::write(socket, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    // an interrupted or failed wait is followed by another write
                    poll(&mut [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::OUT)], None).ok();
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
