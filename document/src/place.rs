//! A place in a text, for editors and for the caret.

use std::ops::Range;

/// A place in a text: what editors need, and what the caret needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes meant.
    pub bytes: Range<usize>,
}

/// The bytes of a value and of its key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spans {
    pub(crate) key: Option<Range<usize>>,
    pub(crate) value: Option<Range<usize>>,
}
