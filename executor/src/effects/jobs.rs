//! Jobs of the worker that may have to wait for a lock of another process.

use super::Ticket;
use crate::dead_letter_queue::{DeadLetter, LettersLock};
use crate::host::{CommitOutcome, HeldLock, Host, HostError, ShortLock};
use pop_agenda::OpIx;
use pop_contract::{Blame, Failure};
use std::error::Error;
use std::time::Instant;

/// The number of a wait for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct WaitId(pub(super) u64);

/// A lock that a thread waited for.
pub(super) enum Lock {
    Held(HeldLock),
    Short(ShortLock),
    Letters(LettersLock),
}

/// What is done when a lock has come.
pub(super) enum Job {
    /// Report that an operation has its lock, and hold the lock.
    Hold { ticket: Ticket, op: OpIx },
    /// Ask for a delay's turn.
    Turn { ticket: Ticket, op: OpIx, id: Box<str>, ms: u64 },
    /// Take the other keys' locks, then make all versions.
    Commit(CommitJob),
    /// Forget the name of a commit.
    Confirm { keys: Vec<Box<str>>, by: Box<str> },
    /// Put a dead letter into the queue.
    PutDeadLetter(Box<DeadLetter>),
}

/// A commit in progress. It takes the short locks of all keys in their order, so that the commit is atomic.
pub(super) struct CommitJob {
    pub(super) ticket: Ticket,
    pub(super) op: OpIx,
    pub(super) attempt: u32,
    pub(super) versions: Vec<(Box<str>, u64)>,
    pub(super) by: Box<str>,
    pub(super) locks: Vec<ShortLock>,
}

/// A job that waits for a lock.
pub(super) struct Waiting {
    pub(super) job: Job,
    /// When the run says that it waits, and for what. `None` if it has said so or need not.
    pub(super) say: Option<(Instant, String)>,
}

impl Job {
    /// The operation on whose behalf the job waits. Jobs of no operation are finished before the run ends.
    pub(super) fn operation(&self) -> Option<OpIx> {
        match self {
            Self::Hold { op, .. } | Self::Turn { op, .. } | Self::Commit(CommitJob { op, .. }) => Some(*op),
            Self::Confirm { .. } | Self::PutDeadLetter(_) => None,
        }
    }

    /// The request that waits, if the scheduler knows of the wait.
    pub(super) fn ticket(&self) -> Option<(Ticket, OpIx)> {
        match self {
            Self::Hold { ticket, op } | Self::Turn { ticket, op, .. } => Some((*ticket, *op)),
            Self::Commit(_) | Self::Confirm { .. } | Self::PutDeadLetter(_) => None,
        }
    }
}

impl CommitJob {
    /// Raises all versions or none; the commit holds their locks. A conflict is found before the first version is raised.
    pub(super) fn make_versions(&self) -> Result<(), Box<Failure>> {
        let keys = || self.versions.iter().zip(&self.locks);
        for ((name, seen), lock) in keys() {
            let checked =
                Host::check_commit(lock, *seen, &self.by).map_err(|error| Box::new(failure(&error)))?;
            if let CommitOutcome::Conflict { version, by } = checked {
                let message = format!(
                    "`{name}` was changed meanwhile: version {seen} was read, and {by} has made version {version}"
                );
                return Err(Box::new(Failure::new(Blame::Handler, "conflict", message)));
            }
        }
        for ((name, seen), lock) in keys() {
            Host::commit_locked(lock, name, *seen, &self.by).map_err(|error| Box::new(failure(&error)))?;
        }
        Ok(())
    }
}

/// The failure of an attempt that needs shared state which cannot be used.
pub(super) fn failure(error: &HostError) -> Failure {
    Failure::new(Blame::Platform, "host", with_source(error))
}

/// An error and its cause, in one line.
pub(super) fn with_source(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}
