//! Waits for news of a run: a change of its journal or logs, or the end of its executor.

use pop_executor::{ExecutorProcess, RunFolder};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;
use std::io;
use std::os::fd::OwnedFd;

const EVENTS: inotify::WatchFlags = inotify::WatchFlags::MODIFY.union(inotify::WatchFlags::CREATE);

/// A watch of a run's folder and executor.
pub(super) struct RunWatch {
    changes: OwnedFd,
    executor: Option<ExecutorProcess>,
}

impl RunWatch {
    /// Starts to watch. Read the journal after this, so that no change between the two is missed.
    pub(super) fn new(folder: &RunFolder) -> io::Result<Self> {
        let watch = Self::of_journal(folder)?;
        inotify::add_watch(&watch.changes, folder.logs(), EVENTS)?;
        Ok(watch)
    }

    /// Like [`Self::new`], for the journal alone.
    pub(super) fn of_journal(folder: &RunFolder) -> io::Result<Self> {
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(&changes, folder.journal(), EVENTS)?;
        Ok(Self { changes, executor: folder.executor() })
    }

    /// Waits for a change, or for the end of the executor.
    pub(super) fn wait(&self) -> io::Result<()> {
        let mut watched = vec![PollFd::new(&self.changes, PollFlags::IN)];
        watched.extend(self.executor.iter().map(|executor| PollFd::new(executor, PollFlags::IN)));
        wait_for(&mut watched)?;
        let mut piece = vec![0; 16 * 1024];
        // drain the queue, so that the next wait is for new changes
        while rustix::io::read(&self.changes, &mut piece).is_ok_and(|count| count > 0) {}
        Ok(())
    }
}

/// Waits for the end of an executor.
pub(super) fn wait_for_end(executor: &ExecutorProcess) -> io::Result<()> {
    wait_for(&mut [PollFd::new(executor, PollFlags::IN)])
}

fn wait_for(watched: &mut [PollFd<'_>]) -> io::Result<()> {
    loop {
        match poll(watched, None) {
            // a signal that does not end this process, for example SIGCONT
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map(drop).map_err(io::Error::from),
        }
    }
}
