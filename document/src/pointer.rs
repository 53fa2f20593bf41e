//! JSON pointers (RFC 6901): paths of values in a document.

use serde_json::Value;
use std::fmt;

/// The path of a value in a document, as RFC 6901 writes it: empty for the root, `/operations/0/name`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(String);

impl Pointer {
    /// The root of a document.
    pub fn root() -> Self {
        Self::default()
    }

    /// The pointer to member or element `step` of this pointer's value.
    #[must_use]
    pub fn join(&self, step: impl fmt::Display) -> Self {
        let mut path = self.clone();
        path.push(&step.to_string());
        path
    }

    /// Appends a step in place.
    pub fn push(&mut self, step: &str) {
        self.0.push('/');
        for c in step.chars() {
            match c {
                '~' => self.0.push_str("~0"),
                '/' => self.0.push_str("~1"),
                c => self.0.push(c),
            }
        }
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
