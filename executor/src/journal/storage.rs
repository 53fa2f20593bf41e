//! The file below a journal, as far as a journal needs one; tests put in its place a disk that is full or loses power.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write as _};

/// A file that grows at its end.
pub(super) trait Storage: Debug + Send + Sync {
    /// Appends bytes; after an error any part of them may stand there.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the disk have what was appended.
    fn sync(&self) -> io::Result<()>;

    /// Cuts off what stands beyond a length.
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
