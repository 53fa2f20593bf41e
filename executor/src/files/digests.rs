//! Digests of files.
//!
//! A wrong digest would lead to a wrong cached result, so a known digest is reused only if the kernel guarantees that
//! the content is the same: the file has the same identity, size and times, its last change was long ago, and its file
//! system changes the time at every write, also through a memory mapping. All other files are read each time.

use super::{FilesError, FoundFile};
use pop_agenda::FileRecord;
use rustix::fs::{OFlags, fstatfs};
use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// Age of the last change after which the kernel has written all mapped pages, so that another write changes the time.
const SETTLED: Duration = Duration::from_mins(2);
/// Local file systems that change the time at every write, by their number in statfs(2): ext4, XFS, Btrfs.
const EXACT: [u32; 3] = [0xef53, 0x5846_5342, 0x9123_683e];
/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// What stays the same while a file does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Identity, size and time of the last write of a file. If a stamp is the same before and after a program, the program has
/// read the content that the file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// The stamp of a file; none if it cannot be examined.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        // the time of the last change is left out: a new hard link changes it
        let Signature { device, inode, size, modified, changed: _ } =
            Signature::of(&std::fs::metadata(path).ok()?);
        Some(Self { device, inode, size, modified })
    }
}

impl Signature {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let changed = u64::try_from(self.changed.0).unwrap_or_default();
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed);
        now.duration_since(changed).is_ok_and(|age| age >= SETTLED)
    }
}

/// Computes digests, and keeps those of files that cannot have changed since.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    known: Mutex<HashMap<PathBuf, (Signature, String)>>,
}

impl Digests {
    /// The record of a file.
    pub(crate) fn record(&self, file: &FoundFile) -> Result<FileRecord, FilesError> {
        let failed = |source| FilesError::Io { path: file.full.clone(), source };
        let (opened, found) = open_regular(&file.full).map_err(failed)?;
        let (digest, size) = self.read(&file.full, opened, &found).map_err(failed)?;
        Ok(FileRecord {
            path: file.path.clone(),
            size,
            digest: digest.into(),
            executable: found.mode() & 0o100 != 0,
        })
    }

    /// The digest of a file's content.
    pub(crate) fn digest(&self, path: &Path) -> io::Result<String> {
        let (file, found) = open_regular(path)?;
        Ok(self.read(path, file, &found)?.0)
    }

    fn read(&self, path: &Path, mut file: File, found: &Metadata) -> io::Result<(String, u64)> {
        let signature = Signature::of(found);
        if let Ok(known) = self.known.lock()
            && let Some((_, digest)) = known.get(path).filter(|(of, _)| *of == signature)
        {
            return Ok((digest.clone(), signature.size));
        }
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; CHUNK.min(found.len() as usize + 1)];
        let mut size = 0;
        loop {
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&chunk[..count]);
                    size += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let digest = hasher.finalize().to_hex().to_string();
        let is_exact = || fstatfs(&file).is_ok_and(|about| EXACT.contains(&(about.f_type as u32)));
        if signature.is_settled(SystemTime::now())
            && Signature::of(&file.metadata()?) == signature
            && is_exact()
            && let Ok(mut known) = self.known.lock()
        {
            known.insert(path.to_owned(), (signature, digest.clone()));
        }
        Ok((digest, size))
    }
}

/// Opens a regular file for reading. A pipe or a device is an error, and is never waited for.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let file =
        OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let found = file.metadata()?;
    if found.is_file() {
        return Ok((file, found));
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn fr_d2_digest_is_reused_only_for_a_file_that_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "one").unwrap();
        let signature = Signature::of(&fs::metadata(&path).unwrap());
        let now = SystemTime::now();
        assert!(!signature.is_settled(now));
        assert!(signature.is_settled(now + SETTLED + Duration::from_secs(2)));
        // a clock that was set back says nothing about the age
        assert!(!signature.is_settled(now - SETTLED));
        let digests = Digests::default();
        let first = digests.digest(&path).unwrap();
        assert!(digests.known.lock().unwrap().is_empty());
        fs::write(&path, "two").unwrap();
        assert_ne!(digests.digest(&path).unwrap(), first);
    }

    #[test]
    fn fr_d2_known_digest_of_another_signature_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "one").unwrap();
        let digests = Digests::default();
        let of = |path: &Path| Signature::of(&fs::metadata(path).unwrap());
        digests.known.lock().unwrap().insert(path.clone(), (of(&path), "known".to_owned()));
        assert_eq!(digests.digest(&path).unwrap(), "known");
        fs::write(folder.path().join("g"), "one").unwrap();
        fs::rename(folder.path().join("g"), &path).unwrap();
        assert_eq!(digests.digest(&path).unwrap(), blake3::hash(b"one").to_hex().as_str());
    }

    #[test]
    fn pipe_is_refused_and_not_waited_for() {
        let error = open_regular(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
