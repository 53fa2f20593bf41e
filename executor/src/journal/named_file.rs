//! A locked file that notices when its name no longer leads to it.

use super::storage::Storage;
use std::fs::{File, Metadata, OpenOptions, TryLockError, symlink_metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A file, open for appending, with the path by which others find it.
///
/// A file that was removed, moved or replaced still takes writes, but nobody reads them. So each sync looks the path up
/// again, and fails if it leads to another file or to none.
#[derive(Debug)]
pub(super) struct NamedFile {
    file: File,
    path: PathBuf,
    id: FileId,
}

/// Device and inode number.
type FileId = (u64, u64);

fn id_of(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

impl NamedFile {
    /// Creates a file that does not exist yet and locks it.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Self::of(file, path),
            Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Opens an existing file. The lock of its run includes it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::of(OpenOptions::new().append(true).open(path)?, path)
    }

    fn of(file: File, path: &Path) -> io::Result<Self> {
        let id = id_of(&file.metadata()?);
        Ok(Self { file, path: path.to_owned(), id })
    }

    /// Fails if the path leads to another file or to none.
    pub(super) fn check_name(&self) -> io::Result<()> {
        match symlink_metadata(&self.path) {
            Ok(found) if id_of(&found) == self.id => Ok(()),
            Ok(_) => {
                Err(io::Error::other("another file has replaced it, so nobody can read what is written"))
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                let message = "it was removed or moved, so nobody can read what is written";
                Err(io::Error::new(ErrorKind::NotFound, message))
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for NamedFile {
    /// Unlocks a created file at once, see [`LockedFile`](crate::locked_file::LockedFile). An opened file has no lock.
    fn drop(&mut self) {
        self.file.unlock().ok();
    }
}

impl Storage for NamedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()?;
        self.check_name()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn fr_h10_a_file_without_its_name_fails_to_sync() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let moved = folder.path().join("moved");
        let file = NamedFile::create(&path).unwrap();
        file.append(b"a line\n").unwrap();
        file.sync().unwrap();

        fs::rename(&path, &moved).unwrap();
        assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(&path, "a line\n").unwrap();
        assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Other);
        std::os::unix::fs::symlink(&moved, folder.path().join("link")).unwrap();
        fs::rename(folder.path().join("link"), &path).unwrap();
        assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Other, "a link is another file");
        fs::rename(&moved, &path).unwrap();
        file.sync().unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::NotFound);
    }
}
