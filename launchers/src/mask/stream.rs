//! A stream of bytes through a mask: only what may still become a hidden value is held back.

use super::{HIDDEN, Mask, Patterns};
use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton as _;
use std::ops::Range;

/// A stream of bytes from which values are hidden, however it is cut into pieces.
///
/// Whatever cannot become a hidden value any more is handed on at once.
#[derive(Debug)]
pub struct MaskStream {
    mask: Mask,
    /// What may be the beginning of something hidden.
    pub(super) held: Vec<u8>,
    /// How many of these belong to something hidden whose place was already taken.
    hidden: usize,
}

impl MaskStream {
    pub(super) fn new(mask: Mask) -> Self {
        Self { mask, held: Vec::new(), hidden: 0 }
    }

    /// Takes the next piece in, and hands on what is certain.
    pub fn take(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        self.pass(piece, false, out);
    }

    /// Hands on what was held back; the stream may begin anew.
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
            // what lies in the part that is kept is found again
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

/// The stretches to hide, those that overlap as one, and how many bytes at the end may be the beginning of another.
/// The first `hidden` bytes belong to a stretch that began earlier.
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
