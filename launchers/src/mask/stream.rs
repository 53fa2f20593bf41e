//! Masks a byte stream; holds back only bytes that may still become a hidden value.

use super::{HIDDEN, Mask, Patterns};
use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton as _;
use std::ops::Range;

/// Hides values in a byte stream, however it is cut into pieces.
///
/// Passes on at once all bytes that cannot become a hidden value.
#[derive(Debug)]
pub struct MaskStream {
    mask: Mask,
    /// Bytes that may begin a hidden value.
    pub(super) held: Vec<u8>,
    /// Number of these bytes that belong to a hidden value whose replacement was already written.
    hidden: usize,
}

impl MaskStream {
    pub(super) fn new(mask: Mask) -> Self {
        Self { mask, held: Vec::new(), hidden: 0 }
    }

    /// Takes the next piece, and passes on the bytes that cannot become part of a hidden value.
    pub fn take(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        self.pass(piece, false, out);
    }

    /// Passes on the bytes held back; a new stream may begin.
    pub fn finish(&mut self, out: &mut impl FnMut(&[u8])) {
        self.pass(&[], true, out);
    }

    fn pass(&mut self, piece: &[u8], is_end: bool, out: &mut impl FnMut(&[u8])) {
        let Some(patterns) = &self.mask.0 else {
            if !piece.is_empty() {
                out(piece);
            }
            return;
        };
        self.held.extend_from_slice(piece);
        let (spans, open) = search(patterns, &self.held, self.hidden);
        let cut = self.held.len() - if is_end { 0 } else { open };
        let mut from = 0;
        let mut hidden = 0;
        for (index, span) in spans.iter().enumerate() {
            let is_announced = index == 0 && self.hidden > 0;
            // a match within the held part is found again
            if span.start >= cut && !is_announced {
                break;
            }
            if from < span.start {
                out(&self.held[from..span.start]);
            }
            if !is_announced {
                out(HIDDEN.as_bytes());
            }
            from = span.end.min(cut);
            hidden = span.end - from;
        }
        if from < cut {
            out(&self.held[from..cut]);
        }
        self.held.drain(..cut);
        self.hidden = hidden;
    }
}

/// The ranges to hide, overlapping ones merged, and the number of bytes at the end that may begin another. The
/// first `hidden` bytes belong to a range that began earlier.
fn search(patterns: &Patterns, bytes: &[u8], hidden: usize) -> (Vec<Range<usize>>, usize) {
    let automaton = &patterns.automaton;
    let mut spans: Vec<Range<usize>> = Vec::new();
    if hidden > 0 {
        spans.push(0..hidden);
    }
    let mut state = patterns.start;
    for (at, byte) in bytes.iter().enumerate() {
        state = automaton.next_state(Anchored::No, state, *byte);
        if !automaton.is_match(state) {
            continue;
        }
        let longest = (0..automaton.match_len(state))
            .map(|index| automaton.pattern_len(automaton.match_pattern(state, index)))
            .max()
            .unwrap_or_default();
        let mut found = at + 1 - longest..at + 1;
        while let Some(last) = spans.pop_if(|last| found.start < last.end) {
            found = found.start.min(last.start)..found.end.max(last.end);
        }
        spans.push(found);
    }
    (spans, patterns.depths.get(&state).copied().unwrap_or_default())
}
