//! JSON pointers (RFC 6901): paths of values in a document.

use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// The path of a value in a document, as RFC 6901 writes it: empty for the root, `/operations/0/name`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(String);

/// Bytes that two or three more steps often need.
const LIKELY_STEPS: usize = 24;

/// Writes a step of a pointer.
struct Escaped<'p>(&'p mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        push_escaped(self.0, part);
        Ok(())
    }
}

fn push_escaped(path: &mut String, step: &str) {
    if !step.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
        return path.push_str(step);
    }
    for c in step.chars() {
        match c {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            c => path.push(c),
        }
    }
}

impl Pointer {
    /// The root of a document.
    pub fn root() -> Self {
        Self::default()
    }

    /// The pointer to member or element `step` of this pointer's value.
    #[must_use]
    pub fn join(&self, step: impl fmt::Display) -> Self {
        let mut path = Self(String::with_capacity(self.0.len() + LIKELY_STEPS));
        path.0.push_str(&self.0);
        path.0.push('/');
        // writing to a string does not fail
        let _ = fmt::write(&mut Escaped(&mut path.0), format_args!("{step}"));
        path
    }

    /// Appends a step in place.
    pub fn push(&mut self, step: &str) {
        self.0.push('/');
        push_escaped(&mut self.0, step);
    }

    /// Cuts the pointer back to an earlier [`Pointer::len`].
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Length of the pointer's text, in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the pointer is the root.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pointer as RFC 6901 text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value at this pointer inside `root`.
    pub fn find<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        root.pointer(&self.0)
    }
}

/// The pointer to an element of a list. All elements of a list share the pointer to the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementPointer {
    list: Arc<Pointer>,
    index: u32,
}

impl ElementPointer {
    /// The pointer to the element with this index.
    pub fn new(list: Arc<Pointer>, index: u32) -> Self {
        Self { list, index }
    }

    /// The pointers to the elements of a list, in order, without end.
    pub fn all(list: Pointer) -> impl Iterator<Item = Self> {
        let list = Arc::new(list);
        (0..).map(move |index| Self::new(Arc::clone(&list), index))
    }

    /// The pointer to the element.
    pub fn pointer(&self) -> Pointer {
        self.list.join(self.index)
    }

    /// The pointer to a member of the element.
    pub fn join(&self, step: &str) -> Pointer {
        let mut path = self.pointer();
        path.push(step);
        path
    }
}

impl From<&str> for Pointer {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Pointer {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_escaped_and_can_be_cut_off() {
        let mut pointer = Pointer::root().join("a/b").join("~").join(0);
        assert_eq!(pointer.as_str(), "/a~1b/~0/0");
        let len = pointer.len();
        pointer.push("x");
        pointer.truncate(len);
        assert_eq!(pointer.find(&serde_json::json!({"a/b": {"~": [7]}})), Some(&serde_json::json!(7)));
    }
}
