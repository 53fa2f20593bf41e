//! Walks over JSON text to find places.

use crate::Pointer;
use std::ops::Range;

pub(super) type ValueCallback<'s> = &'s mut dyn FnMut(&Pointer, Option<Range<usize>>, Range<usize>);

/// A walk over well-formed JSON that calls back for each value with the byte ranges of the value and its key.
pub(super) struct Walk<'t, 's> {
    text: &'t str,
    at: usize,
    pointer: Pointer,
    on_value: ValueCallback<'s>,
}

impl<'t, 's> Walk<'t, 's> {
    pub(super) fn over(text: &'t str, on_value: ValueCallback<'s>) {
        let mut walk = Walk { text, at: 0, pointer: Pointer::root(), on_value };
        walk.value(None);
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.byte() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn string(&mut self) -> Range<usize> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.byte() {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        start..self.at
    }

    // the depth is bounded, because the first pass rejects texts deeper than MAX_DEPTH
    fn value(&mut self, key: Option<Range<usize>>) {
        self.space();
        let start = self.at;
        let depth = self.pointer.len();
        match self.byte() {
            Some(b'{') => {
                self.at += 1;
                while !self.eat(b'}') && self.byte().is_some() {
                    let key = self.string();
                    let name: String = serde_json::from_str(&self.text[key.clone()]).unwrap_or_default();
                    self.eat(b':');
                    self.pointer.push(&name);
                    self.value(Some(key));
                    self.pointer.truncate(depth);
                    self.eat(b',');
                    self.space();
                }
            }
            Some(b'[') => {
                self.at += 1;
                let mut index = 0_usize;
                while !self.eat(b']') && self.byte().is_some() {
                    self.pointer.push(&index.to_string());
                    self.value(None);
                    self.pointer.truncate(depth);
                    self.eat(b',');
                    index += 1;
                }
            }
            Some(b'"') => drop(self.string()),
            _ => {
                while self
                    .byte()
                    .is_some_and(|b| !matches!(b, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n'))
                {
                    self.at += 1;
                }
            }
        }
        (self.on_value)(&self.pointer, key, start..self.at);
    }
}
