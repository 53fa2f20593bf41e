//! Masks secret values in stored and shown text, in any spelling and however the bytes arrive.
//!
//! A mask finds a value plain, in base64, percent-encoded, as JSON text (also within JSON text), with HTML entities, in
//! UTF-16 and in hexadecimal. It does not find a value that a program changed in another way (compressed, encrypted,
//! reversed, base64 broken into lines), or a value whose parts are printed separately (half on each output stream). In
//! base64 up to six bits on either side of it remain visible.

mod spelling;
mod stream;

pub use stream::MaskStream;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, Input, MatchKind};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Replacement of a hidden value.
const HIDDEN: &str = "***";
/// Shortest line of a multi-line value that is hidden by itself, in bytes.
const SHORTEST_LINE: usize = 8;

/// The values to hide. Cloning is cheap; an empty mask costs nothing.
#[derive(Clone, Default)]
pub struct Mask(Option<Arc<Patterns>>);

/// Every spelling of every value, as one automaton.
struct Patterns {
    automaton: NFA,
    start: StateID,
    /// For each state, the number of last bytes that may begin a longer match.
    depths: HashMap<StateID, usize>,
}

impl Mask {
    /// Shortest value that is hidden, in bytes: a shorter one would match everywhere.
    pub const SHORTEST: usize = 4;

    /// A mask that hides nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// A mask of these values. Each is hidden as a whole without surrounding blanks, and by its lines of eight
    /// bytes or more. A value of fewer than four bytes ([`Mask::SHORTEST`]) is not hidden.
    ///
    /// Memory: about four KiB for each byte of the values.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut spellings: Vec<Vec<u8>> = Vec::new();
        for value in values {
            let value = value.trim();
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
            for part in std::iter::once(value).filter(|value| value.len() >= Self::SHORTEST).chain(lines) {
                spelling::spellings(part, &mut spellings);
            }
        }
        spellings.sort_unstable();
        spellings.dedup();
        Self(Patterns::new(&spellings).map(Arc::new))
    }

    /// Whether the mask hides nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The text with every value hidden.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.is_in(text) {
            return Cow::Borrowed(text);
        }
        let mut hidden = Vec::with_capacity(text.len());
        let mut out = |bytes: &[u8]| hidden.extend_from_slice(bytes);
        let mut stream = self.stream();
        stream.take(text.as_bytes(), &mut out);
        stream.finish(&mut out);
        // spellings are valid UTF-8, so removing them leaves valid UTF-8
        Cow::Owned(String::from_utf8_lossy(&hidden).into_owned())
    }

    /// Hides every value in the strings and keys of a JSON value, and numbers that equal a value. A number that only
    /// contains the digits of a value is unchanged: masking it would falsify a result.
    pub fn value(&self, value: &mut Value) {
        if self.is_empty() {
            return;
        }
        // an explicit list instead of recursion: a result may be of any depth
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match value {
                Value::String(text) => {
                    if let Cow::Owned(hidden) = self.text(text) {
                        *text = hidden;
                    }
                }
                Value::Number(number) => {
                    let number = number.to_string();
                    if self.is_in(&number) && self.text(&number) == HIDDEN {
                        *value = Value::String(HIDDEN.to_owned());
                    }
                }
                Value::Array(items) => open.extend(items),
                Value::Object(members) => {
                    let found: Vec<String> = members.keys().filter(|key| self.is_in(key)).cloned().collect();
                    for key in found {
                        let Some(member) = members.remove(&key) else { continue };
                        let mut hidden = self.text(&key).into_owned();
                        while members.contains_key(&hidden) {
                            hidden.push('*');
                        }
                        members.insert(hidden, member);
                    }
                    open.extend(members.values_mut());
                }
                Value::Null | Value::Bool(_) => {}
            }
        }
    }

    /// A byte stream with this mask.
    pub fn stream(&self) -> MaskStream {
        MaskStream::new(self.clone())
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|patterns| {
            patterns.automaton.try_find(&Input::new(text)).is_ok_and(|found| found.is_some())
        })
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Mask(nothing)" } else { "Mask(***)" })
    }
}

impl Patterns {
    /// None if there is nothing to hide.
    fn new(spellings: &[Vec<u8>]) -> Option<Self> {
        if spellings.is_empty() {
            return None;
        }
        let automaton = NFA::builder().match_kind(MatchKind::Standard).build(spellings).ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let follow = |bytes: &[u8]| {
            bytes.iter().fold(start, |state, byte| automaton.next_state(Anchored::No, state, *byte))
        };
        let mut depths = HashMap::new();
        for spelling in spellings {
            let mut state = start;
            for (read, byte) in spelling.iter().enumerate() {
                state = automaton.next_state(Anchored::No, state, *byte);
                depths.insert(state, read + 1);
            }
        }
        // a complete spelling may still end with the beginning of another, shorter one
        let next = spellings.iter().skip(1).map(Vec::as_slice).chain([&[][..]]);
        let mut ends: Vec<&[u8]> = spellings
            .iter()
            .map(Vec::as_slice)
            .zip(next)
            .filter(|(one, next)| !next.starts_with(one))
            .map(|(one, _)| one)
            .collect();
        ends.sort_by_key(|end| end.len());
        for end in ends {
            let depth = depths.get(&follow(&end[1..])).copied().unwrap_or_default();
            depths.insert(follow(end), depth);
        }
        Some(Self { automaton, start, depths })
    }
}

#[cfg(test)]
mod tests;
