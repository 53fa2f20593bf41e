//! A thread that syncs the journal's file to disk (`fdatasync`) in the background, at most 100 ms after each write.

use super::storage::Storage;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between the first write that is not synced and the sync. Further writes within it share that sync.
const GATHER: Duration = Duration::from_millis(60);

/// A thread that syncs a file shortly after each write.
#[derive(Debug)]
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_dirty: bool,
    is_urgent: bool,
    is_over: bool,
    error: Option<io::Error>,
}

impl Syncer {
    pub(super) fn start(storage: Arc<dyn Storage>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("journal-sync".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(storage.as_ref())
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Wakes the thread after a write that is to be synced without the wait of [`GATHER`]. The caller does not wait for the
    /// sync. Returns the error of an earlier sync, as [`written`](Self::written) does.
    pub(super) fn sync_now(&self) -> io::Result<()> {
        self.shared.lock().is_urgent = true;
        self.written()
    }

    /// Wakes the thread after a write to the file; the thread syncs the file soon. Returns the error of an earlier sync, if
    /// there was one and it has not been returned yet.
    pub(super) fn written(&self) -> io::Result<()> {
        let mut state = self.shared.lock();
        if !state.is_dirty {
            state.is_dirty = true;
            self.shared.changed.notify_one();
        }
        state.error.take().map_or(Ok(()), Err)
    }

    /// Syncs what is left, and ends. Returns the first error of a sync that no write has returned.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.end();
        self.shared.lock().error.take().map_or(Ok(()), Err)
    }

    fn end(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // the result is only an error if the thread panicked, and then the panic has been printed
            thread.join().ok();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, storage: &dyn Storage) {
        let mut state = self.lock();
        loop {
            while !state.is_dirty && !state.is_over {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if !state.is_over && !std::mem::take(&mut state.is_urgent) {
                // the wait ends early when the journal is closed
                let waited = self.changed.wait_timeout_while(state, GATHER, |state| !state.is_over);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if !state.is_dirty {
                return;
            }
            state.is_dirty = false;
            drop(state);
            let synced = storage.sync();
            state = self.lock();
            if let Err(error) = synced {
                state.error.get_or_insert(error);
            }
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.end();
    }
}
