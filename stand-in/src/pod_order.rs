//! Orders of the server to the workers of pods.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// An external event for a pod.
#[derive(Debug)]
pub(crate) enum PodOrder {
    /// End the pod within `grace` seconds, then remove it.
    Delete { grace: i64 },
    /// The pod was removed from the server before it ended.
    Gone,
    /// Fail the pod, because the node is short of a resource.
    Evict { message: String },
    /// Report the status: the server is reachable again.
    Report,
    /// Replace the tokens in its volumes; they were revoked.
    RenewToken,
}

/// The channels to the workers of pods, by pod uid.
#[derive(Debug, Default)]
pub(crate) struct PodOrders(Mutex<HashMap<String, mpsc::UnboundedSender<PodOrder>>>);

impl PodOrders {
    /// Opens the channel for a new pod.
    pub(crate) fn open(&self, uid: &str) -> mpsc::UnboundedReceiver<PodOrder> {
        let (sender, orders) = mpsc::unbounded_channel();
        self.locked().insert(uid.to_owned(), sender);
        orders
    }

    /// Sends an order. Returns whether a worker received it.
    pub(crate) fn send(&self, uid: &str, order: PodOrder) -> bool {
        self.locked().get(uid).is_some_and(|worker| worker.send(order).is_ok())
    }

    /// Closes the channel of a removed pod.
    pub(crate) fn close(&self, uid: &str) {
        self.locked().remove(uid);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, mpsc::UnboundedSender<PodOrder>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
