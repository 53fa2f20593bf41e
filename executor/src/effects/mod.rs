//! Effects that may block: locks, delays, versions, files, cached results and dead letters, all outside the driver's thread.
//!
//! The driver sends an [`EffectRequest`] and continues; the [`EffectReply`] comes back through a channel and becomes an
//! input of the scheduler. So a stopped process of another run, or a slow or full disk, never delays the run's other
//! operations, signals or time limits.
//!
//! *Guarantees.* Requests are carried out in the order in which they were sent, but a request that waits for another
//! process does not delay later ones. *Assumption.* The driver records the event that permits a request before it sends
//! the request.

mod ancestry;
mod cache_key;
mod file_threads;
mod file_work;
mod host_effects;
mod jobs;
mod pending;
mod worker;

pub(crate) use file_work::{FileContext, LookUp};
pub use host_effects::HostEffects;
pub(crate) use pending::PendingEffects;

use crate::dead_letter_queue::DeadLetter;
use crate::exec_program::ExecProgram;
use pop_agenda::{Answer, BoundPayload, CacheAsk, DeclaredFiles, FileRecord, Gate, OpIx, Plan};
use pop_contract::Failure;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Number of a request that gets a reply. By this number the driver recognises a reply to a request that it has
/// withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One effect to carry out.
#[derive(Debug)]
pub enum EffectRequest {
    /// Request a gate (a lock, a cached result, a version or a delay); the reply is [`EffectReply::Answered`].
    Ask {
        /// Number of this request.
        ticket: Ticket,
        /// The operation at the gate.
        op: OpIx,
        /// The gate.
        gate: Gate,
        /// The command of an `exec` operation, after its references were replaced, for the key of a cached result.
        exec: Option<Box<ExecProgram>>,
        /// The payload after its references were replaced, for the comparison with the parent of a rerun.
        payload: Option<BoundPayload>,
        /// The files that the operation declares, for its cached result and for the same comparison.
        files: Option<Arc<DeclaredFiles>>,
        /// The plan with the operation.
        plan: Arc<Plan>,
    },
    /// Acquire again the locks that an earlier executor held for an attempt that still runs. A lock that another
    /// process holds by now is skipped. There is no reply.
    Reclaim {
        /// The operation.
        op: OpIx,
        /// The gates that the attempt had passed.
        gates: Arc<[Gate]>,
        /// Digest of the key that missed in the cache; the result is written only under the same key.
        key: Option<Box<str>>,
        /// The command of an `exec` operation, as for [`EffectRequest::Ask`].
        exec: Option<Box<ExecProgram>>,
        /// The plan with the operation.
        plan: Arc<Plan>,
    },
    /// Release the locks that the operation holds, and stop waiting for locks on its behalf. There is no reply.
    Release {
        /// The operation.
        op: OpIx,
    },
    /// Write a result to the cache, under the key that was looked up. There is no reply; problems are notices.
    Fill {
        /// The operation.
        op: OpIx,
        /// Name of the operation, for the cache entry and for notices.
        operation: Box<str>,
        /// Cache and key of the entry.
        ask: Arc<CacheAsk>,
        /// The result.
        result: Arc<Value>,
    },
    /// Verify the files of an attempt, then increment the version of each key, unless another commit came first; the reply
    /// is [`EffectReply::Committed`].
    Commit {
        /// Number of this request.
        ticket: Ticket,
        /// The operation whose attempt succeeded.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// The keys with the versions that the attempt read.
        versions: Vec<(Box<str>, u64)>,
        /// Name of the commit; a repeated request has the same name.
        by: Box<str>,
        /// The files that the operation declares.
        files: Option<Arc<DeclaredFiles>>,
        /// Whether the files that it writes are stored for its cached result.
        stores_files: bool,
    },
    /// Delete the name of a commit from the version files, because the journal has the outcome. There is no reply.
    Confirm {
        /// The keys.
        keys: Vec<Box<str>>,
        /// The name of the commit.
        by: Box<str>,
    },
    /// Write a dead letter to the queue, unless the queue has it already. There is no reply; problems are notices.
    PutDeadLetter(Box<DeadLetter>),
    /// Remove the dead letter of an operation, because the operation has the result of its replay. There is no reply;
    /// problems are notices.
    RemoveDeadLetter {
        /// Name of the operation.
        operation: Box<str>,
    },
    /// Finish all earlier requests, then reply [`EffectReply::Closed`].
    Close,
}

/// The reply to a request.
#[derive(Debug)]
pub enum EffectReply {
    /// Reply to [`EffectRequest::Ask`]. After the answer `Busy` a second reply with the same ticket follows.
    Answered {
        /// Number of the request.
        ticket: Ticket,
        /// The operation.
        op: OpIx,
        /// The answer.
        answer: Answer,
    },
    /// Reply to [`EffectRequest::Commit`]: all versions were incremented, or none.
    Committed {
        /// Number of the request.
        ticket: Ticket,
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// The files that the attempt has written, if it declares any. `Err` has the failure of the attempt:
        /// `missing-output`, `file`, `conflict`, or `host` if a version file cannot be used.
        outcome: Result<Option<Arc<[FileRecord]>>, Box<Failure>>,
    },
    /// Message for the user about a problem that does not affect the outcome of the run.
    Notice(String),
    /// All requests before [`EffectRequest::Close`] are done.
    Closed,
}

/// Carries out effects that may block.
pub trait Effects: Send {
    /// Accepts a request and returns at once; replies go to `replies`.
    fn request(&mut self, request: EffectRequest, replies: &mpsc::UnboundedSender<EffectReply>);
}
