//! What operations may refer to, and how deep they are nested.

use super::names::Known;
use crate::document::{AgendaFiles, InputSpecs};

/// Maximum depth of nested generators, and of nested operations of type `agenda`.
pub(super) const MOST_LEVELS: u32 = 32;

/// What operations may refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s> {
    pub(super) known: Known<'s>,
    pub(super) inputs: &'s InputSpecs,
    /// Whether an operation around them has `forEach`.
    pub(super) has_items: bool,
    /// Number of operations of type `agenda` around them.
    pub(super) depth: u32,
    /// Name of their document.
    pub(super) document: &'s str,
    /// Names of the documents that use this one.
    pub(super) documents: &'s [&'s str],
    pub(super) files: &'s AgendaFiles,
}
