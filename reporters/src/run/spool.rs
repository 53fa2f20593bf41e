//! A spool between a run and whoever reads of it: a reader that is slow, or stands still, does not hold the run up.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How much is kept for a reader that does not read; one that is further behind holds the writer up after all, for
/// nothing may be lost.
const SPOOL_LIMIT: usize = 64 * 1024 * 1024;
/// What a pipe that has room at all takes without making its writer wait.
const PIECE: usize = 4096;

/// Writes at once what the other end takes at once, and has a thread write the rest.
///
/// *Guarantees.* Order is kept and nothing is lost while the reader is there; dropping it waits for the reader to take
/// what was flushed. When the reader is gone, writing succeeds and does nothing. *Caveats.* What is flushed at once beyond
/// 64 MiB is kept all the same.
#[derive(Debug)]
pub struct Spool<F> {
    /// What was written since the last flush.
    fresh: Vec<u8>,
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
    /// What the thread has to write.
    behind: Vec<u8>,
    /// How much the thread has taken out of that to write it.
    writing: usize,
    is_over: bool,
    /// Why nothing can be written any more. A reader that closed its end is the usual reason.
    failure: Option<Errno>,
}

/// Tells whether a spool lost something, also after the spool is gone.
#[derive(Debug)]
pub struct SpoolLoss<F>(Arc<Shared<F>>);

impl<F> SpoolLoss<F> {
    /// The error that lost what was written. `None` if everything was written, or the reader closed its end.
    pub fn error(&self) -> Option<io::Error> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failure.filter(|failure| *failure != Errno::PIPE).map(io::Error::from)
    }
}

impl<F: AsFd + Send + Sync + 'static> Spool<F> {
    /// A spool in front of a pipe, a terminal or a file.
    pub fn new(out: F) -> Self {
        let shared = Shared { out, state: Mutex::default(), changed: Condvar::new() };
        Self { fresh: Vec::new(), shared: Arc::new(shared), thread: None }
    }

    /// What was lost, to be asked when the spool is gone.
    pub fn loss(&self) -> SpoolLoss<F> {
        SpoolLoss(Arc::clone(&self.shared))
    }

    /// Writes what goes without waiting; gives how much.
    fn write_now(&self) -> Result<usize, Errno> {
        let mut written = 0;
        while written < self.fresh.len() && is_ready(&self.shared.out, Some(&Timespec::default())) {
            let end = (written + PIECE).min(self.fresh.len());
            match rustix::io::write(&self.shared.out, &self.fresh[written..end]) {
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.failure.is_none() && state.behind.is_empty() && state.writing == 0 {
            match self.write_now() {
                Ok(written) => drop(self.fresh.drain(..written)),
                Err(failure) => state.failure = Some(failure),
            }
        }
        if state.failure.is_some() {
            self.fresh.clear();
        }
        if self.fresh.is_empty() {
            return Ok(());
        }
        if self.thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("spool".to_owned());
            self.thread = Some(thread.spawn(move || shared.write_behind())?);
        }
        while state.behind.len() + state.writing >= SPOOL_LIMIT {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.behind.append(&mut self.fresh);
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl<F: AsFd> Shared<F> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_behind(&self) {
        let mut state = self.lock();
        loop {
            while state.behind.is_empty() && !state.is_over {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.behind.is_empty() {
                return;
            }
            let piece = std::mem::take(&mut state.behind);
            state.writing = piece.len();
            drop(state);
            let written = self.write_all(&piece);
            state = self.lock();
            state.writing = 0;
            if let Err(failure) = written {
                state.failure = Some(failure);
                state.behind.clear();
            }
            self.changed.notify_all();
        }
    }

    fn write_all(&self, mut piece: &[u8]) -> Result<(), Errno> {
        while !piece.is_empty() {
            match rustix::io::write(&self.out, piece) {
                Ok(count) => piece = &piece[count..],
                Err(Errno::INTR) => {}
                // whoever shares the other end may have asked not to be waited for
                Err(Errno::AGAIN) => drop(is_ready(&self.out, None)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_ready(out: &impl AsFd, patience: Option<&Timespec>) -> bool {
    poll(&mut [PollFd::new(out, PollFlags::OUT)], patience).is_ok_and(|count| count > 0)
}

impl<F: AsFd + Send + Sync + 'static> Write for Spool<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fresh.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.fresh.is_empty() { Ok(()) } else { self.hand_over() }
    }
}

impl<F> Drop for Spool<F> {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // a panic of that thread has nothing more to say here
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn f19_f85_a_reader_that_stands_still_holds_nobody_up_and_loses_nothing() {
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
    fn fr_b5_a_full_device_is_a_loss_with_its_error() {
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
    fn f20_a_reader_that_is_gone_is_no_error() {
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
    fn f20_a_reader_that_leaves_while_much_is_behind_ends_the_wait_for_it() {
        let (reader, writer) = io::pipe().unwrap();
        let mut spool = Spool::new(writer);
        spool.write_all(&vec![b'x'; SPOOL_LIMIT]).unwrap();
        spool.flush().unwrap();
        let leaves = std::thread::spawn(move || drop(reader));
        spool.write_all(b"x").unwrap();
        spool.flush().unwrap();
        drop(spool);
        leaves.join().unwrap();
    }
}
