//! Reuse of results of an earlier run, the parent: what a run says about it in its events.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The earlier run whose results a run may reuse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRun {
    /// Name of the parent.
    pub run: Box<str>,
    /// Names of operations that run even if nothing changed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forced: BTreeSet<Box<str>>,
    /// Names of operations that run together with all that depends on them, also with operations that are generated
    /// later.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forced_with_dependants: BTreeSet<Box<str>>,
    /// Names of operations that the parent skipped because of a condition.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub skipped: BTreeSet<Box<str>>,
}

/// A file or folder that an operation names: its program, or a text in its command or payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedFile {
    /// Path, relative to the folder in which programs start if it is inside.
    pub path: Box<str>,
    /// Size and times of the file after the attempt; `folder` for a folder.
    pub stamp: Box<str>,
    /// Whether the file existed before the attempt and changed while it ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}
