//! Operators against the stand-in, over real HTTPS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod endings;
mod endpoints;
mod gaps;
mod life;
mod many;
mod replicas;
mod scenes;
mod world;
