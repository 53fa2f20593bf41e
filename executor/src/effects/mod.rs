//! Effects that may block: locks, delays, versions, cached results and dead letters, all outside the driver's thread.
//!
//! The driver sends a [`EffectRequest`] and goes on; the [`EffectReply`] comes back through a channel and becomes an input of the
//! scheduler. So a neighbour process that is stopped, a slow disk or a full one never holds up the run's other
//! operations, its signals or its limits.
//!
//! *Guarantees.* Requests are carried out in the order in which they were sent, except that a request which waits for
//! another process lets later ones pass. *Assumes* that the driver records what permits a request before it sends it.

mod ancestry;
mod cache_key;
mod host_effects;
mod jobs;
mod pending;
mod worker;

pub use cache_key::ExecProgram;
pub use host_effects::HostEffects;
pub(crate) use pending::PendingEffects;

use crate::dead_letter_queue::DeadLetter;
use pop_agenda::{Answer, CacheAsk, Gate, OpIx, Plan};
use pop_contract::Failure;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The number of a request that is answered. A reply to a request that was withdrawn is recognised by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One effect to carry out.
#[derive(Debug)]
pub enum EffectRequest {
    /// Ask for what a gate needs; answered by [`EffectReply::Answered`].
    Ask {
        /// The number of this request.
        ticket: Ticket,
        /// The operation at the gate.
        op: OpIx,
        /// The gate.
        gate: Gate,
        /// The command of an `exec` operation with its references filled, for the key of a cached result.
        exec: Option<Box<ExecProgram>>,
        /// The plan with the operation.
        plan: Arc<Plan>,
    },
    /// Take again what an earlier executor held for an attempt that still runs. What another process holds by now stays
    /// with that process. Not answered.
    Reclaim {
        /// The operation.
        op: OpIx,
        /// The gates that it had passed.
        gates: Arc<[Gate]>,
        /// The command of an `exec` operation, as for [`EffectRequest::Ask`].
        exec: Option<Box<ExecProgram>>,
        /// The plan with the operation.
        plan: Arc<Plan>,
    },
    /// Release the locks that the operation holds, and withdraw its waits. Not answered.
    Release {
        /// The operation.
        op: OpIx,
    },
    /// Keep a result in the cache under the key that was looked up. Not answered; problems are notices.
    Fill {
        /// The operation.
        op: OpIx,
        /// Its name, for the entry and for notices.
        operation: Box<str>,
        /// Where it is stored.
        ask: Arc<CacheAsk>,
        /// The result.
        result: Arc<Value>,
    },
    /// Make the next version of each key, unless another commit came first; answered by [`EffectReply::Committed`].
    Commit {
        /// The number of this request.
        ticket: Ticket,
        /// The operation whose attempt succeeded.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// The keys with the versions that the attempt read.
        versions: Vec<(Box<str>, u64)>,
        /// The name of the commit, the same for every request.
        by: Box<str>,
    },
    /// Forget the name of a commit whose outcome is on record. Not answered.
    Confirm {
        /// The keys.
        keys: Vec<Box<str>>,
        /// The name of the commit.
        by: Box<str>,
    },
    /// Put a dead letter into the queue unless it is there already. Not answered; problems are notices.
    PutDeadLetter(Box<DeadLetter>),
    /// Finish what was sent before and say [`EffectReply::Closed`].
    Close,
}

/// What came of a request.
#[derive(Debug)]
pub enum EffectReply {
    /// What a gate's owner says. `Busy` is followed by a second reply with the same ticket.
    Answered {
        /// The number of the request.
        ticket: Ticket,
        /// The operation.
        op: OpIx,
        /// The answer.
        answer: Answer,
    },
    /// All versions were made, or the first reason why one was not.
    Committed {
        /// The number of the request.
        ticket: Ticket,
        /// The operation.
        op: OpIx,
        /// The attempt.
        attempt: u32,
        /// `Err` holds the failure of the attempt: `conflict`, or `host` if the version file cannot be used.
        outcome: Result<(), Box<Failure>>,
    },
    /// Words for people about something that the run does not depend on.
    Notice(String),
    /// Everything that was sent before [`EffectRequest::Close`] is done.
    Closed,
}

/// Carries out effects that may block.
pub trait Effects: Send {
    /// Accepts a request and returns at once; replies go to `replies`.
    fn request(&mut self, request: EffectRequest, replies: &mpsc::UnboundedSender<EffectReply>);
}
