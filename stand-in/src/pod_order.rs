//! What the server tells those who look after pods.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// What happens to a pod from outside.
#[derive(Debug)]
pub(crate) enum PodOrder {
    /// It is to end within so many seconds and then to go.
    Delete { grace: i64 },
    /// It is gone from the server without having ended.
    Gone,
    /// It is to fail because the node lacks something.
    Evict { message: String },
    /// The server can be reached again.
    Report,
    /// The tokens in its volumes are worthless.
    RenewToken,
}

/// The ways to those who look after pods, by the pods' uids.
#[derive(Debug, Default)]
pub(crate) struct PodOrders(Mutex<HashMap<String, mpsc::UnboundedSender<PodOrder>>>);

impl PodOrders {
    /// The orders for a new pod.
    pub(crate) fn open(&self, uid: &str) -> mpsc::UnboundedReceiver<PodOrder> {
        let (sender, orders) = mpsc::unbounded_channel();
        self.locked().insert(uid.to_owned(), sender);
        orders
    }

    /// Gives an order; whether there was somebody who hears it.
    pub(crate) fn give(&self, uid: &str, order: PodOrder) -> bool {
        self.locked().get(uid).is_some_and(|worker| worker.send(order).is_ok())
    }

    /// The pod is no more.
    pub(crate) fn close(&self, uid: &str) {
        self.locked().remove(uid);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, mpsc::UnboundedSender<PodOrder>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
