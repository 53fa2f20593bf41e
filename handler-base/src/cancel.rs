//! Being asked to stop, as a value that work can look at and wait for.

use tokio::sync::watch;

/// Tells work that it is to stop; a clone tells the same.
#[derive(Debug, Clone)]
pub struct Cancellation(watch::Receiver<bool>);

/// Asks work to stop.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

impl Cancellation {
    /// A pair of the one who asks and what is asked.
    pub fn new() -> (Canceller, Self) {
        let (sender, receiver) = watch::channel(false);
        (Canceller(sender), Self(receiver))
    }

    /// Whether work is to stop.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until work is to stop; for ever if nobody can ask any more.
    pub async fn asked(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Canceller {
    /// Asks; asking again changes nothing.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }
}
