//! One registry entry: how a type is launched and configured, each field with where it came from.

use crate::pod_config::{PodConfig, SourcedValue};
use crate::secret::Secret;
use pop_contract::{Capability, Description};
use pop_policy::HandlerPolicies;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How it is learnt what a handler says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Describe {
    /// Its program is asked by `--describe`.
    Ask,
    /// It stands in this file, beside the registry.
    File(String),
}

/// What a descriptor says of a handler, and a registry does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptorFields {
    /// The name of the descriptor.
    pub descriptor: String,
    /// The group of actions that the handler takes on.
    pub capability: Capability,
    /// A program, or a handler inside the executor.
    pub class: String,
}

/// One handler of an operation type, as a registry or a descriptor has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// What it is called: its key in the registry, or `DESCRIPTOR/CAPABILITY.TYPE`.
    pub id: String,
    /// The operation type that it serves.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// The actions that it takes on; none: all.
    pub actions: Option<Vec<String>>,
    /// The streams that it takes operations from; none: all.
    pub inputs: Option<Vec<String>>,
    /// What only a descriptor says; none: it stands in the registry.
    pub declared: Option<DescriptorFields>,
    /// The argv for the local launcher.
    pub command: Option<Vec<String>>,
    /// The folder in which the local launcher starts it; none: the folder pop was started in.
    pub working_directory: Option<String>,
    /// Environment for every launcher.
    pub env_vars: Vec<(String, String)>,
    /// Configuration given to the handler.
    pub properties: Vec<(String, String)>,
    /// Variables of the handler whose values stand elsewhere and are shown nowhere.
    pub secrets: Vec<Secret>,
    /// Policies that hold for the operations it carries out.
    pub policies: HandlerPolicies,
    /// How it is learnt what its handler says about itself, if at all.
    pub describe: Option<Describe>,
    /// What its handler says about itself, if that was learnt.
    pub description: Option<Arc<Description>>,
    /// The config map that the pod mounts.
    pub config_map_name: Option<String>,
    /// How its pod or container is made; without a podConfig of its own, the core defaults.
    pub pod: Arc<PodConfig>,
    /// The same field by field, each with the layer that gave it.
    pub pod_config: BTreeMap<String, SourcedValue>,
}

impl Entry {
    /// The group of actions that a descriptor gives it.
    pub fn capability(&self) -> Option<Capability> {
        self.declared.as_ref().map(|declared| declared.capability)
    }

    /// The image of its container, if it has one.
    pub fn image(&self) -> Option<&str> {
        self.pod.image.as_deref()
    }
}
