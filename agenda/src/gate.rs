//! Gates: what an attempt must be granted before it starts, by those with whom it shares something.

use pop_contract::{Failure, Millis};
use pop_policy::KeyInput;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// One thing to be granted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gate {
    /// Nobody else holds this lock; it is held until the attempt has ended.
    Lock {
        /// Its name.
        name: Box<str>,
    },
    /// The result is not in the cache already. The lock before it makes others wait for whoever computes it.
    Cache(Arc<CacheAsk>),
    /// The version of this key is read, to be compared when the attempt has ended.
    Version {
        /// The key.
        name: Box<str>,
    },
    /// Long enough has passed since the last start of those that share this.
    Delay {
        /// What they share; none: the operation keeps apart only from itself, and nobody is asked.
        id: Option<Box<str>>,
        /// The least time, in milliseconds.
        ms: u64,
    },
}

/// What is looked up in a cache, and kept there afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheAsk {
    /// The cache.
    pub state: Box<str>,
    /// What of the input makes the key: the value of `cacheKeyPattern`, or the payload; by digests.
    pub input: KeyInput,
    /// For how long an entry is good, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Whether a new result is kept.
    pub write: bool,
}

/// What the world says about a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The way is free.
    Granted,
    /// Somebody else, of another run, holds the lock; it is waited for.
    Busy {
        /// Who, as far as it is known.
        holder: Box<str>,
    },
    /// Not before so many milliseconds have passed.
    Later {
        /// How many.
        ms: u64,
    },
    /// The version that the key has.
    Version(u64),
    /// The result is there.
    Hit {
        /// It.
        result: Arc<Value>,
        /// Who computed it: run and operation.
        by: Box<str>,
        /// When, by the wall clock.
        written: Millis,
    },
    /// The result is not there.
    Miss {
        /// Why not.
        why: Box<str>,
    },
    /// It could not be asked: the attempt has failed before it began.
    Failed(Box<Failure>),
}
