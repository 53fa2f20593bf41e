//! The configuration of a stand-in.

use crate::kind::Kind;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How pods run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backend {
    /// Local processes; images are only names.
    #[default]
    Process,
    /// Containers of the local Docker Engine.
    Docker,
}

/// The node.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Name.
    pub name: String,
    /// CPUs for pods, as a quantity.
    pub cpu: String,
    /// Memory for pods, as a quantity.
    pub memory: String,
    /// The greatest number of pods.
    pub pods: u32,
    /// Additional labels, besides hostname and operating system.
    pub labels: BTreeMap<String, String>,
}

/// The configuration of a stand-in.
#[derive(Debug, Clone)]
pub struct Config {
    /// How pods run.
    pub backend: Backend,
    /// The node.
    pub node: NodeConfig,
    /// Additional namespaces, besides those of every cluster.
    pub namespaces: Vec<String>,
    /// Additional kinds without a schema, besides the built-in ones.
    pub kinds: Vec<Kind>,
    /// CustomResourceDefinitions that are established at the start.
    pub definitions: Vec<Value>,
    /// How long a new CustomResourceDefinition takes until its kind is served.
    pub establish_after: Duration,
    /// Port to listen on; 0 selects a free one.
    pub port: u16,
    /// Additional names and addresses of the certificate.
    pub names: Vec<String>,
    /// Number of changes in the history; a watch or list of an older version gets 410.
    pub remembered_changes: usize,
    /// Interval of bookmarks in watches that allow them.
    pub bookmark_every: Duration,
    /// Whether watches support `sendInitialEvents`.
    pub has_streaming_lists: bool,
    /// How long a log stream stays open after its container ended.
    pub log_linger: Duration,
    /// Size at which a container's log is rotated, in bytes.
    pub log_limit: usize,
    /// First back-off before a container or an image pull is retried; it doubles each time.
    pub backoff: Duration,
    /// Images that exist for [`Backend::Process`]; all if none are listed.
    pub images: Option<Vec<String>>,
    /// Images whose registry is unreachable.
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
            definitions: Vec::new(),
            establish_after: Duration::from_millis(50),
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
