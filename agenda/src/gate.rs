//! Gates: conditions on shared resources that an attempt must pass before it starts.

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
    /// The cache has the result.
    Hit {
        /// The cached result.
        result: Arc<Value>,
        /// Run and operation that computed the result.
        by: Box<str>,
        /// Time of writing by the wall clock, in epoch milliseconds.
        written: Millis,
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
    },
    /// There is no result to take: not in the cache, or not in the parent.
    Miss {
        /// Reason for the miss.
        why: Box<str>,
    },
    /// The request failed, so the attempt fails before it begins.
    Failed(Box<Failure>),
}
