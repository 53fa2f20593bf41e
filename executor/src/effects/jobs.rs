//! Jobs of the worker that may have to wait for a lock of another process.

use super::Ticket;
use super::cache_key::StampedKey;
use super::file_work::{ReadFiles, Verified};
use crate::dead_letter_queue::{DeadLetter, LettersLock};
use crate::host::{CommitOutcome, HeldLock, Host, HostError, ShortLock};
use pop_agenda::{Answer, FileRecord, OpIx};
use pop_contract::{Blame, Failure};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

/// Number of a wait for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct WaitId(pub(super) u64);

/// A lock that a thread waited for.
pub(super) enum Lock {
    Held(HeldLock),
    Short(ShortLock),
    Letters(LettersLock),
}

/// Work to do when a lock has been acquired.
pub(super) enum Job {
    /// Reply that the operation has the lock, and hold the lock.
    Hold { ticket: Ticket, op: OpIx },
    /// Read and replace the last start of a delay.
    Turn { ticket: Ticket, op: OpIx, id: Box<str>, ms: u64 },
    /// Reply with the answer of a thread for files.
    Files { ticket: Ticket, op: OpIx },
    /// Verify declared files, acquire the locks of the keys, then increment all versions.
    Commit(CommitJob),
    /// Delete the name of a commit from version files.
    Confirm { keys: Vec<Box<str>>, by: Box<str> },
    /// Write a dead letter to the queue.
    PutDeadLetter(Box<DeadLetter>),
    /// Remove a dead letter from the queue.
    RemoveDeadLetter(Box<str>),
}

/// A commit in progress. It acquires the short locks of all keys in name order, so that the commit is atomic.
pub(super) struct CommitJob {
    pub(super) ticket: Ticket,
    pub(super) op: OpIx,
    pub(super) attempt: u32,
    pub(super) versions: Vec<(Box<str>, u64)>,
    pub(super) by: Box<str>,
    pub(super) locks: Vec<ShortLock>,
    /// Files that the attempt has written; none if it declares none.
    pub(super) written: Option<Arc<[FileRecord]>>,
}

/// What a thread for files has done.
pub(super) enum FilesDone {
    /// The answer about the files that an operation reads or about the parent of a rerun, and the files that it reads.
    Read(Answer, Option<ReadFiles>),
    /// The answer of a cache, and the key.
    LookedUp(Box<StampedKey>, Answer),
    /// The files of an attempt are verified.
    Verified(Result<Verified, Box<Failure>>),
}

/// A job that waits for a lock.
pub(super) struct Waiting {
    pub(super) job: Job,
    /// Time at which the user is informed of the wait, with the cause of the wait. `None` if the user was informed or
    /// need not be.
    pub(super) say: Option<(Instant, String)>,
}

impl Job {
    /// The operation of the job. Jobs without an operation are finished before the run ends.
    pub(super) fn operation(&self) -> Option<OpIx> {
        match self {
            Self::Hold { op, .. }
            | Self::Turn { op, .. }
            | Self::Files { op, .. }
            | Self::Commit(CommitJob { op, .. }) => Some(*op),
            Self::Confirm { .. } | Self::PutDeadLetter(_) | Self::RemoveDeadLetter(_) => None,
        }
    }

    /// The request whose reply the scheduler waits for.
    pub(super) fn ticket(&self) -> Option<(Ticket, OpIx)> {
        match self {
            Self::Hold { ticket, op } | Self::Turn { ticket, op, .. } | Self::Files { ticket, op } => {
                Some((*ticket, *op))
            }
            Self::Commit(_) | Self::Confirm { .. } | Self::PutDeadLetter(_) | Self::RemoveDeadLetter(_) => {
                None
            }
        }
    }
}

impl CommitJob {
    /// Increments all versions or none; the commit holds their locks. It finds a conflict before it increments the
    /// first version.
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

/// The failure of an attempt because shared state cannot be read or written.
pub(super) fn failure(error: &HostError) -> Failure {
    Failure::new(Blame::Platform, "host", with_source(error))
}

/// An error and its cause, in one line.
pub(super) fn with_source(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}
