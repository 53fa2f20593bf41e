//! What people and machines see of a run: bars on a terminal, lines elsewhere, JSON for programs, a summary at the end.

mod apart;
mod bars;
#[cfg(feature = "annotations")]
mod elsewhere;
mod followed;
mod json;
mod lines;
#[cfg(feature = "annotations")]
mod progress;
mod spool;
mod summary;
mod visible;
mod words;

pub use apart::Apart;
pub use bars::Bars;
#[cfg(feature = "annotations")]
pub use elsewhere::{Address, Elsewhere, NoAddress, Told};
pub use followed::{FollowedRun, Follower};
pub use json::{JsonEvents, operation_json, run_json};
pub use lines::Lines;
#[cfg(feature = "annotations")]
pub use progress::ProgressIds;
pub use spool::{Spool, SpoolLoss};
pub use summary::summary;
pub use visible::{visible, visible_text};
pub use words::{how_long, stop_words};
