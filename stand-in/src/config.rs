//! How a stand-in is set up.

use crate::kind::Kind;
use std::collections::BTreeMap;
use std::time::Duration;

/// What pods are run as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backend {
    /// Processes of this machine; images are only names.
    #[default]
    Process,
    /// Containers of the local Docker Engine.
    Docker,
}

/// The one node.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Its name.
    pub name: String,
    /// CPUs that pods can have, as a quantity.
    pub cpu: String,
    /// Memory that pods can have, as a quantity.
    pub memory: String,
    /// How many pods it takes.
    pub pods: u32,
    /// Its labels, besides its name and system.
    pub labels: BTreeMap<String, String>,
}

/// How a stand-in is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// What pods are run as.
    pub backend: Backend,
    /// The node.
    pub node: NodeConfig,
    /// Namespaces besides those that every cluster has.
    pub namespaces: Vec<String>,
    /// Kinds besides those that are always there.
    pub kinds: Vec<Kind>,
    /// Port to listen on; 0 for any that is free.
    pub port: u16,
    /// Names and addresses of its certificate besides its own.
    pub names: Vec<String>,
    /// How many changes are remembered.
    pub remembered_changes: usize,
    /// How often a watch that wants bookmarks gets one.
    pub bookmark_every: Duration,
    /// Whether a watch may begin with the objects that are there.
    pub has_streaming_lists: bool,
    /// How long a log stream that is open when its container ends stays open after that.
    pub log_linger: Duration,
    /// After how many bytes a container's log is begun anew.
    pub log_limit: usize,
    /// The first wait before a container is started again or an image is tried again; it doubles.
    pub backoff: Duration,
    /// The images that processes may name; all if it is not given.
    pub images: Option<Vec<String>>,
    /// Images whose registry does not answer.
    pub unreachable_images: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let node = NodeConfig {
            name: "stand-in".to_owned(),
            cpu: "64".to_owned(),
            memory: "64Gi".to_owned(),
            pods: 110,
            labels: BTreeMap::new(),
        };
        Self {
            backend: Backend::default(),
            node,
            namespaces: vec!["pop".to_owned()],
            kinds: Vec::new(),
            port: 0,
            names: Vec::new(),
            remembered_changes: 10_000,
            bookmark_every: Duration::from_mins(1),
            has_streaming_lists: true,
            log_linger: Duration::from_millis(350),
            log_limit: 10 * 1024 * 1024,
            backoff: Duration::from_secs(10),
            images: None,
            unreachable_images: Vec::new(),
        }
    }
}
