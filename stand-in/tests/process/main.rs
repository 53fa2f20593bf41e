//! The stand-in through a real client, over real HTTPS, with pods as processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod played;
mod pods;
mod refusals;
