//! One handler of a registry or descriptor: how it is launched and configured.

use crate::payload_delivery::PayloadDelivery;
use crate::pod_config::{PodConfig, SourcedValue};
use crate::secret::Secret;
use pop_contract::{Capability, Description, PayloadForm};
use pop_policy::HandlerPolicies;
use pop_warm::PoolSettings;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Source of a handler's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Describe {
    /// The output of the handler's program for `--describe`.
    Ask,
    /// This file in the registry's folder.
    File(String),
}

/// The fields of a handler that only a descriptor has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptorFields {
    /// Name of the descriptor.
    pub descriptor: String,
    /// Capability: the group of actions that the handler supports.
    pub capability: Capability,
    /// A program, or a built-in type.
    pub class: String,
}

/// One handler of an operation type, from a registry or a descriptor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Id: the key in the registry, or `DESCRIPTOR/CAPABILITY.TYPE`.
    pub id: String,
    /// Operation type that the handler serves.
    pub name: String,
    /// Version of the handler.
    pub version: Option<String>,
    /// Supported actions; none means all, and so does [`ANY_ACTION`](Self::ANY_ACTION) among them.
    pub actions: Option<Vec<String>>,
    /// Types of the handlers that the actions call when the handler is served (`pop handler serve`), each once.
    pub dependencies: Vec<String>,
    /// Accepted streams; none means all.
    pub inputs: Option<Vec<String>>,
    /// Fields of the descriptor; none for a registry entry.
    pub descriptor: Option<DescriptorFields>,
    /// Program and arguments for the local launcher.
    pub command: Option<Vec<String>>,
    /// Working directory for the local launcher; none means the folder that pop was started in.
    pub working_directory: Option<String>,
    /// Environment variables for every launcher.
    pub env_vars: Vec<(String, String)>,
    /// Configuration passed to the handler in `POP_PROPERTIES`.
    pub properties: Vec<(String, String)>,
    /// Environment variables with secret values, which are stored elsewhere and never shown.
    pub secrets: Vec<Secret>,
    /// Default policies of the handler's operations.
    pub policies: HandlerPolicies,
    /// How the payload reaches its program; none for the forms that its description lists.
    pub payload: Option<PayloadDelivery>,
    /// Limits of the instances that serve the handler's operations; none if each operation starts its program.
    pub warm: Option<PoolSettings>,
    /// Source of the handler's description, if any.
    pub describe: Option<Describe>,
    /// The handler's description, if loaded.
    pub description: Option<Arc<Description>>,
    /// Config map that the pod mounts.
    pub config_map_name: Option<String>,
    /// Pod and container configuration; the core defaults if the entry has no podConfig.
    pub pod: Arc<PodConfig>,
    /// The fields of the podConfig, each with the layer that set it.
    pub pod_config: BTreeMap<String, SourcedValue>,
}

impl Entry {
    /// The action that stands for every action that is not listed.
    pub const ANY_ACTION: &str = "*";

    /// Whether it supports an action.
    pub fn has_action(&self, action: &str) -> bool {
        let is_it = |own: &String| own == action || own == Self::ANY_ACTION;
        self.actions.as_ref().is_none_or(|actions| actions.iter().any(is_it))
    }

    /// The capability that a descriptor declares.
    pub fn capability(&self) -> Option<Capability> {
        self.descriptor.as_ref().map(|fields| fields.capability)
    }

    /// Whether its program reads payloads in this form; none if neither entry nor description says so.
    pub fn reads(&self, form: PayloadForm) -> Option<bool> {
        match (self.payload, &self.description) {
            (Some(delivery), _) => Some(delivery.reads(form)),
            (None, Some(description)) => Some(description.reads(form)),
            (None, None) => None,
        }
    }

    /// The container image, if set.
    pub fn image(&self) -> Option<&str> {
        self.pod.image.as_deref()
    }
}
