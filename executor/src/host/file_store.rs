//! The files of cached results, each stored once under the digest of its content.
//!
//! *Guarantees.* A stored file is complete, because it is renamed when it is complete. Its digest is verified each time
//! it is put back, and a damaged one is removed. Several processes may store, put back and remove files at once.

use super::{Host, HostError, at};
use crate::atomic_file;
use crate::files::open_regular;
use pop_agenda::FileRecord;
use pop_launchers::make_private_folder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

const FILES: &str = "files";
/// Ending of files that are being written.
const UNFINISHED: &str = "new";
/// Bytes that are copied at once.
const CHUNK: usize = 256 << 10;
/// Default limit of all stored files together, in bytes.
pub const FILES_LIMIT: u64 = 10 << 30;

/// One stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Path of the stored file.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// Time at which it was last stored or put back.
    pub used: SystemTime,
}

/// Why a file was not stored or put back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Reason of the system.
        source: io::Error,
    },
    /// The file changed while it was read, or the stored file is damaged.
    #[error("`{}` does not have the recorded content", .path.display())]
    Differs {
        /// The file.
        path: PathBuf,
    },
}

impl Host {
    /// Sets the limit of all stored files together, in bytes.
    #[must_use]
    pub fn with_files_limit(mut self, bytes: u64) -> Self {
        self.files_limit = bytes;
        self
    }

    /// The limit of all stored files together, in bytes.
    pub fn files_limit(&self) -> u64 {
        self.files_limit
    }

    fn stored(&self, digest: &str) -> PathBuf {
        self.folder.join(FILES).join(digest.get(..2).unwrap_or_default()).join(digest)
    }

    /// Whether a file with this digest is stored.
    pub(crate) fn has_file(&self, record: &FileRecord) -> bool {
        fs::metadata(self.stored(&record.digest)).is_ok_and(|found| found.len() == record.size)
    }

    /// Stores the content of a file, which must have the recorded digest.
    pub(crate) fn store_file(&self, file: &Path, record: &FileRecord) -> Result<(), StoreError> {
        let target = self.stored(&record.digest);
        if self.has_file(record) {
            // its next use is later than that of others
            File::open(&target).and_then(|stored| stored.set_modified(SystemTime::now())).ok();
            return Ok(());
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| StoreError::Io { path, source }
        };
        let (from, _) = open_regular(file).map_err(failed(file))?;
        if let Some(folder) = target.parent() {
            make_private_folder(folder).map_err(failed(folder))?;
        }
        copy(from, &target, record, 0o600).map_err(|error| error.at(&target, file))
    }

    /// Puts a stored file back in its place. The file there is replaced at once, or stays if this fails.
    pub(crate) fn put_back(&self, record: &FileRecord, target: &Path) -> Result<(), StoreError> {
        let stored = self.stored(&record.digest);
        let from = match open_regular(&stored) {
            Ok((from, _)) => from,
            Err(source) => return Err(StoreError::Io { path: stored, source }),
        };
        from.set_modified(SystemTime::now()).ok();
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)
                .map_err(|source| StoreError::Io { path: folder.to_owned(), source })?;
        }
        let mode = if record.executable { 0o777 } else { 0o666 };
        copy(from, target, record, mode).map_err(|error| {
            if matches!(error, CopyError::Differs) {
                fs::remove_file(&stored).ok();
            }
            error.at(target, &stored)
        })
    }

    /// All stored files, the least recently used first.
    pub fn stored_files(&self) -> Result<Vec<StoredFile>, HostError> {
        let mut all = Vec::new();
        for folder in atomic_file::files(&self.folder.join(FILES)).map_err(at(&self.folder))? {
            for path in atomic_file::files(&folder).map_err(at(&folder))? {
                // another process may remove it, or has not finished it
                let Ok(found) = fs::metadata(&path) else { continue };
                if path.extension().is_none()
                    && let Ok(used) = found.modified()
                {
                    all.push(StoredFile { path, bytes: found.size(), used });
                }
            }
        }
        all.sort_by(|one, other| (one.used, &one.path).cmp(&(other.used, &other.path)));
        Ok(all)
    }

    /// Removes the least recently used files until the rest has at most `limit` bytes, but none that was used since
    /// `before`. Returns the removed files.
    pub fn evict_files(&self, limit: u64, before: Option<SystemTime>) -> Result<Vec<StoredFile>, HostError> {
        let mut all = self.stored_files()?;
        let mut total: u64 = all.iter().map(|file| file.bytes).sum();
        let mut count = 0;
        for file in &all {
            if total <= limit || before.is_some_and(|before| file.used >= before) {
                break;
            }
            match fs::remove_file(&file.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(&file.path)(error)),
                _ => {}
            }
            total -= file.bytes;
            count += 1;
        }
        all.truncate(count);
        Ok(all)
    }
}

enum CopyError {
    Read(io::Error),
    Write(io::Error),
    Differs,
}

impl CopyError {
    fn at(self, target: &Path, from: &Path) -> StoreError {
        match self {
            Self::Read(source) => StoreError::Io { path: from.to_owned(), source },
            Self::Write(source) => StoreError::Io { path: target.to_owned(), source },
            Self::Differs => StoreError::Differs { path: from.to_owned() },
        }
    }
}

/// Replaces a file by a copy with the recorded content.
fn copy(mut from: File, target: &Path, record: &FileRecord, mode: u32) -> Result<(), CopyError> {
    let (unfinished, mut into) = unfinished(target, mode).map_err(CopyError::Write)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK.min(record.size as usize + 1)];
    let mut step = || -> Result<bool, CopyError> {
        match from.read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(count) => {
                hasher.update(&chunk[..count]);
                into.write_all(&chunk[..count]).map_err(CopyError::Write)?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(CopyError::Read(error)),
        }
    };
    let copied = loop {
        match step() {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let copied = copied.and_then(|()| {
        if *hasher.finalize().to_hex() == *record.digest {
            fs::rename(&unfinished, target).map_err(CopyError::Write)
        } else {
            Err(CopyError::Differs)
        }
    });
    if copied.is_err() {
        fs::remove_file(&unfinished).ok();
    }
    copied
}

/// Creates a hidden file beside another, under a name that no other process uses.
fn unfinished(target: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // names that are too long for a prefix have no place in it
        let path = target.with_file_name(format!(".pop-{}-{number}.{UNFINISHED}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
            // a killed process with this number left the file, or a process in another container uses it
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            opened => return Ok((path, opened?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    fn record(path: &str, content: &str) -> FileRecord {
        FileRecord {
            path: path.into(),
            size: content.len() as u64,
            digest: blake3::hash(content.as_bytes()).to_hex().as_str().into(),
            executable: false,
        }
    }

    #[test]
    fn fr_d2_stored_file_is_put_back_with_its_content_and_mode() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path().join("host"));
        let file = folder.path().join("tool");
        fs::write(&file, "#!/bin/sh\n").unwrap();
        let record = FileRecord { executable: true, ..record("tool", "#!/bin/sh\n") };
        host.store_file(&file, &record).unwrap();
        host.store_file(&file, &record).unwrap();
        fs::remove_file(&file).unwrap();
        let target = folder.path().join("new/place/tool");
        host.put_back(&record, &target).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "#!/bin/sh\n");
        assert_ne!(fs::metadata(&target).unwrap().permissions().mode() & 0o100, 0);
        assert_eq!(fs::read_dir(folder.path().join("new/place")).unwrap().count(), 1);
        assert_eq!(host.stored_files().unwrap().len(), 1);
    }

    #[test]
    fn fr_d2_changed_file_is_not_stored_and_a_damaged_one_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path().join("host"));
        let file = folder.path().join("f");
        fs::write(&file, "other").unwrap();
        let wanted = record("f", "wanted");
        assert!(matches!(host.store_file(&file, &wanted), Err(StoreError::Differs { .. })));
        assert!(host.stored_files().unwrap().is_empty());
        fs::write(&file, "wanted").unwrap();
        host.store_file(&file, &wanted).unwrap();
        fs::write(&host.stored_files().unwrap()[0].path, "damage").unwrap();
        fs::write(&file, "stays").unwrap();
        assert!(matches!(host.put_back(&wanted, &file), Err(StoreError::Differs { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "stays");
        assert!(!host.has_file(&wanted));
        assert!(matches!(host.put_back(&wanted, &file), Err(StoreError::Io { .. })));
    }

    #[test]
    fn fr_d2_least_recently_used_files_are_evicted_first() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path().join("host"));
        let file = folder.path().join("f");
        for (content, age) in [("old", 30), ("mid", 20), ("new", 10)] {
            fs::write(&file, content).unwrap();
            let record = record("f", content);
            host.store_file(&file, &record).unwrap();
            let stored = File::open(host.stored(&record.digest)).unwrap();
            stored.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        // a use makes it the newest
        host.put_back(&record("f", "old"), &file).unwrap();
        assert_eq!(host.evict_files(9, None).unwrap(), []);
        let removed = host.evict_files(4, None).unwrap();
        assert_eq!(removed.len(), 2);
        assert!(host.has_file(&record("f", "old")) && !host.has_file(&record("f", "mid")));
    }

    #[test]
    fn fr_d2_files_are_stored_put_back_and_evicted_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path().join("host"));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (host, folder) = (&host, folder.path());
                scope.spawn(move || {
                    for round in 0..50 {
                        let content = format!("content {}", round % 5).repeat(1_000);
                        let (file, record) = (folder.join(format!("f{thread}")), record("f", &content));
                        fs::write(&file, &content).unwrap();
                        host.store_file(&file, &record).unwrap();
                        if thread == 0 {
                            host.evict_files(10_000, None).unwrap();
                        }
                        let target = folder.join(format!("t{thread}"));
                        // another thread may have evicted it, but what comes back is whole
                        if host.put_back(&record, &target).is_ok() {
                            assert_eq!(fs::read_to_string(&target).unwrap(), content);
                        }
                    }
                });
            }
        });
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().ends_with(UNFINISHED)));
    }
}
