//! Places in a text, for editors and for the caret.

use std::ops::Range;

/// A place in a text: line and column for editors, bytes for the caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line number, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Byte range in the text.
    pub bytes: Range<usize>,
}

/// Byte ranges of a value and its key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spans {
    pub(crate) key: Option<Range<usize>>,
    pub(crate) value: Option<Range<usize>>,
}
