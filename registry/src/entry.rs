//! One registry entry: how a type is launched and configured, each field with where it came from.

use crate::contract::Description;
use crate::{PodConfig, Secret};
use pop_document::Pointer;
use pop_policy::PolicyLayer;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The layer that gave a field its value; a later one replaces the whole field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// pop's own defaults.
    Core,
    /// `basePodConfig`.
    Base,
    /// The entry itself.
    Entry,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "core default",
            Self::Base => "basePodConfig",
            Self::Entry => "entry",
        })
    }
}

/// A field's value and the place that gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sourced {
    /// The value in force.
    pub value: Value,
    /// The layer that gave it.
    pub layer: Layer,
    /// Where it stands in the registry file; the root for core defaults.
    pub pointer: Pointer,
}

/// How it is learnt what a handler says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Describe {
    /// Its program is asked by `--describe`.
    Ask,
    /// It stands in this file, beside the registry.
    File(String),
}

/// What a registry says about one operation type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// The operation type.
    pub name: String,
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
    /// Policies that hold for every operation of this type.
    pub policies: PolicyLayer,
    /// How it is learnt what its handler says about itself, if at all.
    pub describe: Option<Describe>,
    /// What its handler says about itself, if that was learnt.
    pub description: Option<Arc<Description>>,
    /// The config map that the pod mounts.
    pub config_map_name: Option<String>,
    /// How its pod or container is made; without a podConfig of its own, the core defaults.
    pub pod: Arc<PodConfig>,
    /// The same field by field, each with the layer that gave it.
    pub pod_config: BTreeMap<String, Sourced>,
}

impl Entry {
    /// The image of its container, if it has one.
    pub fn image(&self) -> Option<&str> {
        self.pod.image.as_deref()
    }
}
