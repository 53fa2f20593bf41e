//! The settings of a running operator.

use pop_operator::{Backoff, ConfigError, LeaseSettings};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The settings of a running operator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The greatest number of syncs at the same time.
    pub most_syncs: usize,
    /// Times between failed syncs of one parent.
    pub backoff: Backoff,
    /// Time limit of an answer of the API server.
    pub request_timeout: Duration,
    /// Duration of one watch request. A dead connection is noticed at its end.
    pub watch_duration: Duration,
    /// The Lease that decides which replica works; none if there is only one replica.
    pub lease: Option<LeaseTarget>,
    /// The HTTP endpoints; none opens no port.
    pub http: Option<HttpSettings>,
}

impl Default for Settings {
    /// 16 syncs, the default back-off, requests of 60 s, watches of 290 s, no Lease and no port.
    fn default() -> Self {
        Self {
            most_syncs: 16,
            backoff: Backoff::default(),
            request_timeout: Duration::from_mins(1),
            watch_duration: Duration::from_secs(290),
            lease: None,
            http: None,
        }
    }
}

/// The Lease of an operator, and the part of this replica in it.
#[derive(Debug, Clone)]
pub struct LeaseTarget {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Identity of this replica, and the duration of the Lease.
    pub settings: LeaseSettings,
}

impl LeaseTarget {
    /// A Lease of 15 s. The identity is the name of this replica, for example of its pod, and a random number.
    pub fn new(namespace: &str, name: &str, replica: &str) -> Self {
        let identity = format!("{replica}_{}", uuid::Uuid::new_v4());
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            settings: LeaseSettings { identity, duration: Duration::from_secs(15) },
        }
    }
}

/// The HTTP endpoints.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Address to listen on; port 0 selects a free one.
    pub address: SocketAddr,
    /// Whether `/health` is served.
    pub has_health: bool,
    /// Whether `/ready` is served.
    pub has_ready: bool,
    /// Whether `/metrics` is served.
    pub has_metrics: bool,
}

impl HttpSettings {
    /// All endpoints at this address.
    pub fn all(address: SocketAddr) -> Self {
        Self { address, has_health: true, has_ready: true, has_metrics: true }
    }
}

/// The reason why an operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The configuration has faults.
    #[error("the operator is configured wrongly: {}", list(.0))]
    Config(Vec<ConfigError>),
    /// The address of the HTTP endpoints cannot be used.
    #[error("cannot listen on {address}: {source}; choose another address")]
    Listen {
        /// Address in the settings.
        address: SocketAddr,
        /// Reason.
        source: io::Error,
    },
    /// A task of the runtime ended.
    #[error("the {0} ended unexpectedly")]
    Task(&'static str),
}

fn list(faults: &[ConfigError]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
