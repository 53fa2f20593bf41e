//! The storage port of the journal. Tests implement it with a disk that is full or loses power.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write as _};

/// An append-only file.
pub(super) trait Storage: Debug + Send + Sync {
    /// Appends bytes. After an error, the file may contain any part of them.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Syncs the appended bytes to disk.
    fn sync(&self) -> io::Result<()>;

    /// Truncates the file to this length in bytes.
    fn cut(&self, length: u64) -> io::Result<()>;
}

impl Storage for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}
