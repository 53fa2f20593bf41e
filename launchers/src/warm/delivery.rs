//! What a change of the pools leaves to be done without their lock.

use crate::port::{LaunchId, LaunchOrder, LaunchUpdate};
use tokio::sync::mpsc;

/// Something to do without the lock.
pub(super) enum Delivery {
    /// Send an update.
    Update(mpsc::Sender<LaunchUpdate>, LaunchUpdate),
    /// Launch a program once.
    Launch(LaunchId, Box<LaunchOrder>, mpsc::Sender<LaunchUpdate>),
}
