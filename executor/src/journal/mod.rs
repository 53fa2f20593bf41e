//! The journal: a run's events in a file, each line with a checksum, written before the effect that it permits.
//!
//! *Guarantees.* A written line is read back exactly or not at all. A torn tail, as a crash leaves it, is cut at the last
//! good line. Damage before that is an error with its place. Events survive the death of this process once
//! [`Journal::append`] has returned. They are on disk at most 100 ms later, or at once with [`Sync::Each`].

mod event_lines;
mod format;
mod json;
mod named_file;
mod reader;
mod storage;
mod syncer;
mod tail;
mod writer;

pub(crate) use json::read_json;
pub use reader::{JournalContent, read_events, read_journal};
pub use tail::{JournalLine, JournalTail};
pub use writer::FileJournal;

use pop_agenda::EventRecord;
use std::io;
use std::path::PathBuf;

/// The record of a run's events.
pub trait Journal: Send {
    /// Appends events. When this returns, they survive the death of the process.
    fn append(&mut self, events: &[EventRecord]) -> Result<(), JournalError>;

    /// Syncs what is left. An error means that events may be lost, or that nobody can find them. Nothing is appended
    /// after that.
    fn close(&mut self) -> Result<(), JournalError>;
}

/// When writes are synced to disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sync {
    /// In the background, at most 100 ms later. Power loss loses at most the last 100 ms.
    #[default]
    Behind,
    /// Each write, before the run acts on it. Power loss loses nothing.
    Each,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("journal `{}` cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// There is no room for the events. None of them was written, and the write may be repeated.
    #[error("there is no room for journal `{}`", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file has no journal header.
    #[error("`{}` is not a journal of pop", .path.display())]
    NoJournal {
        /// The file.
        path: PathBuf,
    },
    /// The journal was written in a format that this program does not read.
    #[error("journal `{}` has format {found}; this program reads format {known}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format number.
        found: u32,
        /// The format number that this version reads.
        known: u32,
    },
    /// An event has an operation that the agenda does not have.
    #[error("journal `{}` names operation {op}, but its agenda has {count} operations", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// The operation's number, from 0.
        op: u32,
        /// Number of operations in the agenda.
        count: usize,
    },
    /// A complete line has an event that this version does not know.
    #[error(
        "journal `{}` has the event `{event}` in line {line}, unknown to pop {} (journal format {}): \
         another version wrote it", .path.display(), env!("CARGO_PKG_VERSION"), format::FORMAT
    )]
    UnknownEvent {
        /// The file.
        path: PathBuf,
        /// The name of the event.
        event: String,
        /// The number of the line, from 1.
        line: u64,
    },
    /// A line in the middle is damaged.
    #[error("journal `{}` is damaged at byte {offset} (line {line}); good lines follow", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset of the bad line in bytes.
        offset: u64,
        /// Number of the bad line, from 1.
        line: u64,
    },
}
