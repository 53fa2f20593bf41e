//! The stand-in through a real client, over real HTTPS, with pods that really run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod custom;
mod definitions;
mod disruptions;
mod docker;
mod events;
mod kubelet;
mod objects;
mod pods;
mod program;
mod refusals;
mod streams;
mod test_cluster;
