//! A stop request that work can check and await.

use tokio::sync::watch;

/// The receiver of a stop request. Clones receive the same request.
#[derive(Debug, Clone)]
pub struct Cancellation(watch::Receiver<bool>);

/// The sender of a stop request.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

impl Cancellation {
    /// Creates a sender and its receiver.
    pub fn new() -> (Canceller, Self) {
        let (sender, receiver) = watch::channel(false);
        (Canceller(sender), Self(receiver))
    }

    /// Whether the work must stop.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the stop request; for ever if the sender is dropped without one.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|is_cancelled| *is_cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Canceller {
    /// Sends the stop request. Further calls change nothing.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}
