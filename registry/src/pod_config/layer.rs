//! Where a field of a podConfig comes from.

use pop_document::Pointer;
use serde_json::Value;
use std::fmt;

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
pub struct SourcedValue {
    /// The value in force.
    pub value: Value,
    /// The layer that gave it.
    pub layer: Layer,
    /// Where it stands in the registry file; the root for core defaults.
    pub pointer: Pointer,
}
