//! Gates: conditions on shared resources that an attempt must pass before it starts.

use crate::files::{DeclaredFiles, FileRecord, RecordedFiles};
use crate::reuse::NamedFile;
use pop_contract::{Failure, Millis};
use pop_policy::KeyInput;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// One condition before an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gate {
    /// Compares the operation with the operation of that name in the parent, whose result may be reused.
    #[serde(rename_all = "camelCase")]
    Reuse {
        /// Name of the parent.
        run: Box<str>,
        /// Whether the operation reads the result of one that ran again, or of one after such an operation. The values
        /// are the same, but files may have changed.
        reads_repeated: bool,
    },
    /// Acquires a lock, which is held until the attempt has ended.
    Lock {
        /// Name of the lock.
        name: Box<str>,
    },
    /// Finds the files that the operation reads. An operation that only writes files passes it without a request.
    Files(Arc<DeclaredFiles>),
    /// Looks up the result in a cache. The lock before it lets only one operation compute the result.
    Cache(Arc<CacheAsk>),
    /// Reads the version of a key, for the comparison after the attempt has ended.
    Version {
        /// Name of the key.
        name: Box<str>,
    },
    /// Waits until the minimum interval since the last start is over.
    Delay {
        /// Name of the delay (`delayId`); none: the delay applies to this operation only and needs no request.
        id: Option<Box<str>>,
        /// Minimum interval, in milliseconds.
        ms: u64,
    },
}

/// A cache lookup, and the entry to write afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheAsk {
    /// Name of the cache.
    pub state: Box<str>,
    /// Digests of the value of `cacheKeyPattern`, or of the payload.
    pub input: KeyInput,
    /// Maximum age of an entry, in milliseconds; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Whether a new result is written to the cache.
    pub write: bool,
    /// Whether the files of a new result are stored with it, and those of a cached result are put back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub files: bool,
}

/// The answer of the executor to a gate request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The gate is passed.
    Granted,
    /// An operation of another run holds the lock; another answer follows.
    Busy {
        /// Description of the holder.
        holder: Box<str>,
    },
    /// The gate must be requested again later.
    Later {
        /// Wait before the next request, in milliseconds.
        ms: u64,
    },
    /// The current version of the key.
    Version(u64),
    /// The files that the operation reads.
    Read {
        /// Files that `reads` matched, in the order of their paths.
        files: Arc<[FileRecord]>,
    },
    /// The cache has the result.
    Hit {
        /// The cached result.
        result: Arc<Value>,
        /// Run and operation that computed the result.
        by: Box<str>,
        /// Time of writing by the wall clock, in epoch milliseconds.
        written: Millis,
        /// Files of the result, which exist with these digests; none for a result without declared files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<Arc<[FileRecord]>>,
        /// Number of these files that were put back from the cache.
        #[serde(default, skip_serializing_if = "is_zero")]
        restored: u32,
    },
    /// The result of the parent is reused.
    #[serde(rename_all = "camelCase")]
    Reused {
        /// The result.
        result: Arc<Value>,
        /// The run in which the operation ran.
        run: Box<str>,
        /// The files that the operation names.
        #[serde(default, skip_serializing_if = "<[NamedFile]>::is_empty")]
        named_files: Arc<[NamedFile]>,
        /// The files that the operation declares, as its attempt found and left them; none if it declares none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<Box<RecordedFiles>>,
    },
    /// There is no result to take: not in the cache, or not in the parent.
    Miss {
        /// Reason for the miss.
        why: Box<str>,
        /// Digest of the key that was looked up. A later executor writes the result only under the same key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Box<str>>,
    },
    /// The request failed, so the attempt fails before it begins.
    Failed(Box<Failure>),
}

impl Answer {
    /// A miss of a key that nobody will write.
    pub fn miss(why: impl Into<Box<str>>) -> Self {
        Self::Miss { why: why.into(), key: None }
    }

    /// Whether the operation passes the gate and reaches the next one.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Granted | Self::Version(_) | Self::Read { .. } | Self::Miss { .. })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
