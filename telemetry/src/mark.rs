//! The mark of a run: up to which event of its journal spans have arrived.
//!
//! The mark is moved only after the collector has taken the spans. It names the event also by the checksum of its line,
//! because power loss can take events away whose spans had arrived.

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A position in the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Number of events.
    pub(crate) events: u64,
    /// Checksum of the line of the last of them.
    pub(crate) checksum: u32,
}

/// The mark of a run, locked for one sender.
#[derive(Debug)]
pub struct Mark {
    file: File,
    position: Position,
}

/// Why a mark cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// Another process sends the spans of the run.
    #[error("another process sends the spans of this run")]
    Busy,
    /// The file cannot be used.
    #[error("the file `{}` cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl Drop for Mark {
    fn drop(&mut self) {
        // closing the file is not enough: a child that is being started has a copy of the descriptor until its exec
        flock(&self.file, FlockOperation::Unlock).ok();
    }
}

impl Mark {
    /// Opens the mark in a file, or creates it. An unreadable one counts as new: then every span is sent again.
    pub fn open(path: &Path) -> Result<Self, MarkError> {
        let failed = |source| MarkError::Io { path: path.to_owned(), source };
        let options =
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = options.map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(MarkError::Busy),
            Err(error) => return Err(failed(error.into())),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok();
        Ok(Self { file, position: serde_json::from_str(&text).unwrap_or_default() })
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Moves the mark. A kill in between leaves it unreadable at worst.
    pub(crate) fn move_to(&mut self, position: Position) -> io::Result<()> {
        let text = serde_json::to_string(&position)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)?;
        self.position = position;
        Ok(())
    }

    /// Forgets what has arrived, so that every span is sent again.
    pub fn reset(&mut self) -> io::Result<()> {
        self.move_to(Position::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_is_kept_and_belongs_to_one_sender() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("traces");
        let mut mark = Mark::open(&path).unwrap();
        assert_eq!(mark.position(), Position::default());
        assert!(matches!(Mark::open(&path), Err(MarkError::Busy)));
        mark.move_to(Position { events: 1_000, checksum: u32::MAX }).unwrap();
        mark.move_to(Position { events: 2_000, checksum: 1 }).unwrap();
        drop(mark);
        assert_eq!(Mark::open(&path).unwrap().position(), Position { events: 2_000, checksum: 1 });
        std::fs::write(&path, "{\"events\":20").unwrap();
        assert_eq!(Mark::open(&path).unwrap().position(), Position::default());
    }
}
