//! Origin of the fields of a podConfig.

use pop_document::Pointer;
use serde_json::Value;
use std::fmt;

/// The layer that set a field. A later layer replaces the whole field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// pop's own defaults.
    Core,
    /// `basePodConfig`.
    Base,
    /// The handler's entry.
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

/// A field's value and its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct SourcedValue {
    /// The effective value.
    pub value: Value,
    /// The layer that set the value.
    pub layer: Layer,
    /// Pointer into the registry; the root for core defaults.
    pub pointer: Pointer,
}
