//! Files that an operation declares in `reads` and `writes`: patterns, and records of the files that matched.

mod pattern;

pub(crate) use pattern::quote;
pub use pattern::{FilePattern, PatternStep};

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Patterns of the files that an attempt reads and writes, with their references replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeclaredFiles {
    /// Working directory of the operation, relative to the folder in which the run's programs start; empty for that folder.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub folder: Box<str>,
    /// Patterns of files that must exist before the attempt starts.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub reads: Box<[Box<str>]>,
    /// Patterns of files that must exist after the attempt has succeeded.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub writes: Box<[Box<str>]>,
}

/// A file as it was at one time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRecord {
    /// Path, relative to the working directory of the operation unless its pattern is absolute.
    pub path: Box<str>,
    /// Size in bytes.
    pub size: u64,
    /// BLAKE3 digest of the content, in 64 hexadecimal digits.
    pub digest: Box<str>,
    /// Whether its owner may execute it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// Files of one operation, as its run has recorded them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedFiles {
    /// The patterns.
    pub declared: Arc<DeclaredFiles>,
    /// Files that `reads` matched before the latest attempt, or before its result was taken from the cache; none until then.
    pub read: Option<Arc<[FileRecord]>>,
    /// Files that `writes` matched after the success, or that the cached result has; none until then.
    pub written: Option<Arc<[FileRecord]>>,
}
