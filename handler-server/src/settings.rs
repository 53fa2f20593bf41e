//! What a server needs to know.

use crate::kind::ServeKind;
use crate::peers::Endpoint;
use pop_launchers::HandlerProgram;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a server.
pub struct ServeSettings {
    /// The name under which it is managed.
    pub id: String,
    /// Type of the handler; SDS calls it the category.
    pub category: String,
    /// How it serves callers.
    pub kind: ServeKind,
    /// The address for requests and triggers, or of the peer.
    pub bind: Endpoint,
    /// The address for subscribers of a publisher, and for receivers of a pusher.
    pub send_to: Endpoint,
    /// Instances at the beginning.
    pub instances: u32,
    /// Most instances of a replier.
    pub max_instances: u32,
    /// Most requests that wait.
    pub queue: usize,
    /// Longest time of one request.
    pub limit: Option<Duration>,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Folder for the logs of instances.
    pub logs: Option<PathBuf>,
    /// The program; none for kinds that send requests on.
    pub program: Option<HandlerProgram>,
}

/// Largest number of waiting requests that can be set.
pub const MAX_QUEUE: u32 = 100_000;
/// Number of waiting requests, if it is not set.
pub const DEFAULT_QUEUE: u32 = 1_000;
