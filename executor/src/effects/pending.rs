//! The driver's requests that have no reply yet.

use super::{EffectReply, Ticket};
use pop_agenda::OpIx;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Requests without a reply, and the sender for the replies.
pub(crate) struct PendingEffects {
    pub(crate) sender: mpsc::UnboundedSender<EffectReply>,
    /// The current request of each operation that waits for a reply.
    tickets: BTreeMap<OpIx, Ticket>,
    next: u64,
    /// Whether everything that was requested before the close is done.
    pub(crate) is_closed: bool,
}

impl PendingEffects {
    /// No requests, and the receiver of replies.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<EffectReply>) {
        let (sender, replies) = mpsc::unbounded_channel();
        (Self { sender, tickets: BTreeMap::new(), next: 0, is_closed: false }, replies)
    }

    /// Withdraws the current request of an operation: its reply will be dropped.
    pub(crate) fn withdraw(&mut self, op: OpIx) {
        self.tickets.remove(&op);
    }

    /// A number for a new request of an operation.
    pub(crate) fn issue(&mut self, op: OpIx) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.tickets.insert(op, ticket);
        ticket
    }

    /// Whether a reply is to the current request of its operation. The request is over unless it `stays`.
    pub(crate) fn redeem(&mut self, op: OpIx, ticket: Ticket, stays: bool) -> bool {
        let is_current = self.tickets.get(&op) == Some(&ticket);
        if is_current && !stays {
            self.tickets.remove(&op);
        }
        is_current
    }
}
