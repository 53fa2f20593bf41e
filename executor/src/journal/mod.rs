//! The journal: a run's events in a file, each line checked, written before the effect that it permits.
//!
//! *Guarantees.* A line that was written is read back exactly or not at all. A file that ends in a torn line, as
//! after a crash, is cut at the last good line; damage before that is an error with its place, never a silence.
//! What [`Journal::append`] returned from survives the death of this process; the disk has it at most 100 ms later,
//! or at once with [`Sync::Each`].

mod format;
mod reader;
mod storage;
mod syncer;
mod writer;

pub(crate) use reader::read_json;
pub use reader::{Opened, read_journal};
pub use writer::FileJournal;

use pop_agenda::EventRecord;
use std::io;
use std::path::PathBuf;

/// Where events are kept.
pub trait Journal: Send {
    /// Keeps events. When this returns, they survive the death of the process.
    fn append(&mut self, events: &[EventRecord]) -> Result<(), JournalError>;
}

/// When the disk is made to have what was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sync {
    /// In the background, at most 100 ms later: survives the death of the process, and nearly all of power loss.
    #[default]
    Behind,
    /// Before anything follows from it: survives power loss at every step.
    Each,
}

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("journal `{}` cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no room for what is to be written; none of it was. It may be tried again.
    #[error("there is no room for journal `{}`", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file does not begin like a journal.
    #[error("`{}` is no journal of this program", .path.display())]
    NoJournal {
        /// The file.
        path: PathBuf,
    },
    /// The journal was written in a format that this program does not read.
    #[error("journal `{}` has format {found}; this program reads format {known}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format read here.
        known: u32,
    },
    /// It tells of an operation that its agenda does not have.
    #[error("journal `{}` tells of operation {op}, of {count} in its agenda", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// The operation's number.
        op: u32,
        /// How many there are.
        count: usize,
    },
    /// A line is whole and has no event that this version knows.
    #[error(
        "journal `{}` has the event `{event}` in line {line}, which pop {} does not know (journal format {}): \
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
    #[error("journal `{}` is damaged at byte {offset} (line {line}), with good lines after it", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the bad line begins.
        offset: u64,
        /// Its number, from 1.
        line: u64,
    },
}
