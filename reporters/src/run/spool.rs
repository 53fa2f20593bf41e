//! A buffer between a run and the reader of its output, so that a slow or stopped reader does not delay the run.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Bytes that may wait for the reader. Beyond that the writer waits, because no output may be lost.
const SPOOL_LIMIT: usize = 64 * 1024 * 1024;
/// Bytes that a writable pipe accepts without blocking.
const CHUNK: usize = 4096;

/// Writes without blocking as far as possible; a thread writes the rest.
///
/// *Guarantees.* The order is kept, and no output is lost while the reader is open. Dropping this value waits until the
/// reader has taken all flushed output. When the reader has closed its end, writing succeeds and does nothing.
/// *Caveats.* A single flush may exceed the limit of 64 MiB.
#[derive(Debug)]
pub struct Spool<F> {
    /// Output since the last flush.
    unflushed: Vec<u8>,
    shared: Arc<Shared<F>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<F> {
    out: F,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Output that waits for the thread.
    queue: Vec<u8>,
    /// Bytes that the thread is writing now.
    writing: usize,
    is_closed: bool,
    /// Error that ended all writing, usually because the reader closed its end.
    failure: Option<Errno>,
}

/// Reports whether a spool lost output, also after the drop of the spool.
#[derive(Debug)]
pub struct SpoolLoss<F>(Arc<Shared<F>>);

impl<F> SpoolLoss<F> {
    /// The error that lost output. `None` if everything was written, or the reader closed its end.
    pub fn error(&self) -> Option<io::Error> {
        self.0.lock().failure.filter(|failure| *failure != Errno::PIPE).map(io::Error::from)
    }
}

impl<F: AsFd + Send + Sync + 'static> Spool<F> {
    /// Creates a spool for a pipe, a terminal or a file.
    pub fn new(out: F) -> Self {
        let shared = Shared { out, state: Mutex::default(), changed: Condvar::new() };
        Self { unflushed: Vec::new(), shared: Arc::new(shared), thread: None }
    }

    /// Returns a handle that reports lost output.
    pub fn loss(&self) -> SpoolLoss<F> {
        SpoolLoss(Arc::clone(&self.shared))
    }

    /// Writes without blocking. Returns the number of bytes.
    fn write_available(&self) -> Result<usize, Errno> {
        let mut written = 0;
        while written < self.unflushed.len() && is_ready(&self.shared.out, Some(&Timespec::default())) {
            let end = (written + CHUNK).min(self.unflushed.len());
            match rustix::io::write(&self.shared.out, &self.unflushed[written..end]) {
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    fn write_or_queue(&mut self) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.failure.is_none() && state.queue.is_empty() && state.writing == 0 {
            match self.write_available() {
                Ok(written) => drop(self.unflushed.drain(..written)),
                Err(failure) => state.failure = Some(failure),
            }
        }
        if state.failure.is_some() {
            self.unflushed.clear();
        }
        if self.unflushed.is_empty() {
            return Ok(());
        }
        if self.thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("spool".to_owned());
            self.thread = Some(thread.spawn(move || shared.write_queue())?);
        }
        while state.queue.len() + state.writing >= SPOOL_LIMIT {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.queue.append(&mut self.unflushed);
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl<F> Shared<F> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: AsFd> Shared<F> {
    fn write_queue(&self) {
        let mut state = self.lock();
        loop {
            while state.queue.is_empty() && !state.is_closed {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.queue.is_empty() {
                return;
            }
            let chunk = std::mem::take(&mut state.queue);
            state.writing = chunk.len();
            drop(state);
            let written = self.write_all(&chunk);
            state = self.lock();
            state.writing = 0;
            if let Err(failure) = written {
                state.failure = Some(failure);
                state.queue.clear();
            }
            self.changed.notify_all();
        }
    }

    fn write_all(&self, mut chunk: &[u8]) -> Result<(), Errno> {
        while !chunk.is_empty() {
            match rustix::io::write(&self.out, chunk) {
                Ok(count) => chunk = &chunk[count..],
                Err(Errno::INTR) => {}
                // another process may have set the shared descriptor to non-blocking
                Err(Errno::AGAIN) => drop(is_ready(&self.out, None)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_ready(out: &impl AsFd, timeout: Option<&Timespec>) -> bool {
    poll(&mut [PollFd::new(out, PollFlags::OUT)], timeout).is_ok_and(|count| count > 0)
}

impl<F: AsFd + Send + Sync + 'static> Write for Spool<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unflushed.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.unflushed.is_empty() { Ok(()) } else { self.write_or_queue() }
    }
}

impl<F> Drop for Spool<F> {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // the panic hook has reported a panic of the thread
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn f19_f85_stopped_reader_delays_nothing_and_loses_nothing() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut spool = Spool::new(writer);
        let mut wanted = Vec::new();
        for number in 0..200_000 {
            let line = format!("{number} and more words than a pipe has room for\n");
            spool.write_all(line.as_bytes()).unwrap();
            spool.flush().unwrap();
            wanted.extend_from_slice(line.as_bytes());
        }
        let mut read = vec![0; 1000];
        reader.read_exact(&mut read).unwrap();
        let rest = std::thread::spawn(move || {
            reader.read_to_end(&mut read).unwrap();
            read
        });
        drop(spool);
        assert!(rest.join().unwrap() == wanted);
    }

    #[test]
    fn fr_b5_full_device_is_reported_as_a_loss() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut spool = Spool::new(full);
        let loss = spool.loss();
        assert!(loss.error().is_none());
        spool.write_all(b"x\n").unwrap();
        spool.flush().unwrap();
        drop(spool);
        assert_eq!(loss.error().unwrap().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn f20_closed_reader_is_no_error() {
        let (reader, writer) = io::pipe().unwrap();
        let mut spool = Spool::new(writer);
        let loss = spool.loss();
        drop(reader);
        for _ in 0..3 {
            spool.write_all(b"x\n").unwrap();
            spool.flush().unwrap();
        }
        assert!(loss.error().is_none());
    }

    #[test]
    fn f20_reader_that_closes_ends_the_wait_of_the_writer() {
        let (reader, writer) = io::pipe().unwrap();
        let mut spool = Spool::new(writer);
        spool.write_all(&vec![b'x'; SPOOL_LIMIT]).unwrap();
        spool.flush().unwrap();
        let closing = std::thread::spawn(move || drop(reader));
        spool.write_all(b"x").unwrap();
        spool.flush().unwrap();
        drop(spool);
        closing.join().unwrap();
    }
}
