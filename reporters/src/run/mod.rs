//! What people and machines see of a run: bars on a terminal, lines elsewhere, JSON for programs, a summary at the end.

mod apart;
mod bars;
mod json;
mod lines;
mod spool;
mod summary;
mod words;

pub use apart::Apart;
pub use bars::Bars;
pub use json::{JsonEvents, operation_json, run_json};
pub use lines::Lines;
pub use spool::Spool;
pub use summary::{summary, visible};
pub use words::{how_long, stop_words};
