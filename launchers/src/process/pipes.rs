//! The output pipes of a child: waits for output and reads it.

use super::AsyncDescriptor;
use crate::output::Output;
use crate::port::Stream;
use crate::transcript::Transcript;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::unix::AsyncFdReadyGuard;
use tokio::time::Instant;

/// Bytes per read.
const PIECE_BYTES: usize = 64 * 1024;
/// Most bytes read from a stream after its program has ended; a pipe holds less.
const AFTER_END: usize = 1024 * 1024;

/// The read ends of both pipes, registered with the event loop.
pub(super) struct Pipes<'p> {
    streams: [AsyncDescriptor<BorrowedFd<'p>>; 2],
    pub(super) is_open: [bool; 2],
}

impl<'p> Pipes<'p> {
    pub(super) fn watch(stdout: &'p OwnedFd, stderr: &'p OwnedFd) -> io::Result<Self> {
        let streams = [AsyncDescriptor::new(stdout.as_fd())?, AsyncDescriptor::new(stderr.as_fd())?];
        Ok(Self { streams, is_open: [true, true] })
    }

    /// Whether another process holds the write end of one of the pipes.
    pub(super) fn are_open(&self) -> bool {
        self.is_open.contains(&true)
    }

    /// Waits until a pipe is readable or has ended.
    pub(super) async fn ready(&self) -> (Stream, io::Result<AsyncFdReadyGuard<'_, BorrowedFd<'p>>>) {
        tokio::select! {
            biased;
            ready = self.streams[0].readable(), if self.is_open[0] => (Stream::Stdout, ready),
            ready = self.streams[1].readable(), if self.is_open[1] => (Stream::Stderr, ready),
            else => std::future::pending().await,
        }
    }

    /// Reads the bytes in both pipes, without waiting.
    pub(super) async fn read_rest(&mut self, output: &mut Output<'_>) {
        for (at, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            if self.is_open[at] {
                self.is_open[at] = read_rest(&mut output.transcript, self.streams[at].get(), stream);
                output.say_all().await;
            }
        }
    }
}

thread_local! {
    /// Each read is consumed before the next: one buffer per thread is enough.
    static PIECE: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE_BYTES]);
}

/// Reads a piece; false at the end of the stream.
pub(super) async fn read(
    output: &mut Output<'_>,
    mut ready: AsyncFdReadyGuard<'_, BorrowedFd<'_>>,
    stream: Stream,
) -> bool {
    match read_piece(&mut output.transcript, ready.get_inner(), stream) {
        Ok(0) => return false,
        Ok(_) => output.say_all().await,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => return false,
    }
    true
}

fn read_piece(transcript: &mut Transcript, pipe: &impl AsFd, stream: Stream) -> io::Result<usize> {
    PIECE.with_borrow_mut(|piece| {
        let count = rustix::io::read(pipe, piece.as_mut_slice())?;
        if count > 0 {
            transcript.take(stream, &piece[..count], Instant::now());
        }
        Ok(count)
    })
}

/// Reads the bytes in a pipe, without waiting; false at the end of the stream.
pub(super) fn read_rest(transcript: &mut Transcript, pipe: &impl AsFd, stream: Stream) -> bool {
    let mut left = AFTER_END;
    loop {
        match read_piece(transcript, pipe, stream) {
            Ok(0) => return false,
            Ok(count) => {
                left = left.saturating_sub(count);
                if left == 0 {
                    return true;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}
