//! Takes agendas from the agenda service and starts an executor for each (docs/service.md).
//!
//! [`Puller`] is the loop: it asks the service for agendas while there is room, launches executors through the launch
//! port, renews their leases, and gives back what does not end. [`ServiceClient`] speaks to the service.

mod client;
mod executor;
mod health;
mod last_report;
mod pulled;
mod puller;
mod reaper;

pub use client::{ClientError, ServiceClient, post};
pub use executor::ExecutorProgram;
pub use health::Health;
pub use puller::{Puller, PullerSettings};
pub use reaper::{ReapSettings, Reaped, reap_containers, reap_pods};
