//! The scheduler over random agendas: invariants after every step, crashes at every journal prefix, an oracle.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod cases;
mod clean_up;
mod conditions;
mod dispatch;
mod files;
mod fold;
mod limits;
mod packing;
mod policies;
mod prior;
mod properties;
mod rerun;
mod resources;
mod run;
mod world;
