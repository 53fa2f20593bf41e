//! The files that operations declare in `reads` and `writes`: finds them, computes their digests, and compares them with
//! records of an earlier time.
//!
//! [`changed_reads`] and [`changed_writes`] answer whether the files that a run has recorded
//! ([`OperationHistory::files`](pop_agenda::OperationHistory::files)) are still the same, for `pop rerun` and
//! `pop plan --cached`. Only contents count, never times.

mod digests;
mod find;

pub(crate) use digests::{Digests, Stamp, open_regular};
pub(crate) use find::{FoundFile, find};

use pop_agenda::{DeclaredFiles, FileRecord, RecordedFiles};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Maximum number of files that the patterns of one list match.
pub const MOST_FILES: usize = 10_000;
/// Maximum length of the paths of these files together, in bytes.
pub const MOST_PATH_BYTES: usize = 1 << 20;

/// Why declared files cannot be found or read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// No file matches a pattern.
    #[error("no file matches `{pattern}` in `{}`", .folder.display())]
    Unmatched {
        /// The pattern.
        pattern: Box<str>,
        /// Folder to which the pattern is relative.
        folder: PathBuf,
    },
    /// A file or folder cannot be read.
    #[error("`{}` cannot be read: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Reason of the system.
        source: io::Error,
    },
    /// The name of a file is not UTF-8, so it cannot be recorded.
    #[error("the name of `{}` is not UTF-8", .path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// The patterns match more files than a run records.
    #[error(
        "its patterns match more than {MOST_FILES} files, or their paths have more than {MOST_PATH_BYTES} bytes"
    )]
    TooMany,
}

/// A difference between a recorded file and the file that is there now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileChange {
    /// The file is missing.
    Missing(Box<str>),
    /// The file has another content.
    Changed(Box<str>),
    /// A pattern matches this file, but did not match it before.
    New(Box<str>),
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "`{path}` is missing"),
            Self::Changed(path) => write!(f, "`{path}` has changed"),
            Self::New(path) => write!(f, "`{path}` is new"),
        }
    }
}

/// The folder to which the patterns of an operation are relative. `start` is the folder in which programs start.
pub(crate) fn folder(start: &Path, declared: &DeclaredFiles) -> PathBuf {
    if declared.folder.is_empty() { start.to_owned() } else { start.join(&*declared.folder) }
}

/// Records of the files that match these patterns, in the order of their paths. A pattern without a file is an error.
pub(crate) fn record(
    digests: &Digests,
    folder: &Path,
    patterns: &[Box<str>],
) -> Result<Vec<FileRecord>, FilesError> {
    let found = find(folder, patterns)?;
    found.into_iter().map(|file| digests.record(&file)).collect()
}

/// The stamps of recorded files.
pub(crate) fn stamps(folder: &Path, records: &[FileRecord]) -> Vec<Option<Stamp>> {
    records.iter().map(|file| Stamp::of(&folder.join(&*file.path))).collect()
}

/// How the files that an operation reads differ from those that its run recorded; empty if they are the same. `start` is
/// the folder in which programs start. A file that cannot be read has changed.
pub fn changed_reads(start: &Path, recorded: &RecordedFiles) -> Vec<FileChange> {
    let folder = folder(start, &recorded.declared);
    changes_of_reads(&Digests::default(), &folder, &recorded.declared.reads, recorded.read.as_deref())
}

/// How the files that an operation wrote differ from those that its run recorded. Further files that `writes` matches by
/// now do not count.
pub fn changed_writes(start: &Path, recorded: &RecordedFiles) -> Vec<FileChange> {
    let folder = folder(start, &recorded.declared);
    let files = recorded.written.iter().flat_map(|files| files.iter());
    files.filter_map(|file| change(&Digests::default(), &folder, file)).collect()
}

/// The difference between a recorded file and the file that is there now.
pub(crate) fn change(digests: &Digests, folder: &Path, recorded: &FileRecord) -> Option<FileChange> {
    let file = FoundFile { path: recorded.path.clone(), full: folder.join(&*recorded.path) };
    match digests.record(&file) {
        Ok(now) if now == *recorded => None,
        Err(FilesError::Io { source, .. })
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Some(FileChange::Missing(file.path))
        }
        _ => Some(FileChange::Changed(file.path)),
    }
}

fn changes_of_reads(
    digests: &Digests,
    folder: &Path,
    patterns: &[Box<str>],
    recorded: Option<&[FileRecord]>,
) -> Vec<FileChange> {
    let recorded = recorded.unwrap_or_default();
    let mut changes: Vec<FileChange> =
        recorded.iter().filter_map(|file| change(digests, folder, file)).collect();
    let known: BTreeSet<&str> = recorded.iter().map(|file| &*file.path).collect();
    for pattern in patterns {
        // a pattern without a file has a missing file, which is listed
        let found = find(folder, std::slice::from_ref(pattern)).unwrap_or_default();
        let new = found.into_iter().filter(|file| !known.contains(&*file.path));
        changes.extend(new.map(|file| FileChange::New(file.path)));
    }
    changes.sort_unstable();
    changes.dedup();
    changes
}

#[cfg(test)]
mod tests;
