//! JSON: parsed into a value without duplicate keys, and walked again to find places.

use crate::limits::MAX_DEPTH;
use crate::place::Spans;
use crate::spelling::{Spelling, may_differ};
use crate::{Fault, Pointer, Site};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// Parses JSON. A syntax error is one fault; each duplicate key is a fault.
pub(crate) fn read(text: &str) -> Result<Value, Vec<Fault>> {
    read_with(text, &ValueReader::default())
}

/// Parses JSON, and gives each element of the list `key` of the root to `each` instead of storing it. Also returns the
/// [`spellings`].
pub(crate) fn read_elements(
    text: &str,
    key: &str,
    each: &mut dyn FnMut(Value),
) -> Result<(Value, Vec<Spelling>), Vec<Fault>> {
    let reader = ValueReader { list: Some((key, RefCell::new(each))), ..ValueReader::default() };
    let root = read_with(text, &reader)?;
    let spellings = if reader.has_floats.get() { spellings(text) } else { Vec::new() };
    Ok((root, spellings))
}

fn read_with(text: &str, reader: &ValueReader<'_>) -> Result<Value, Vec<Fault>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = ValueSeed { reader, place: SeedPlace::Root }
        .deserialize(&mut json)
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| vec![syntax_fault(text, &error)])?;
    if reader.has_duplicates.get() {
        return Err(duplicate_faults(text));
    }
    if reader.has_floats.get()
        && let Some(at) = long_integer(text)
    {
        return Err(vec![long_integer_fault(&text[at.clone()], at)]);
    }
    Ok(value)
}

/// The first integer of a well-formed text that a value cannot hold exactly.
fn long_integer(text: &str) -> Option<Range<usize>> {
    numbers(text).find(|number| {
        let word = &text[number.clone()];
        is_long_integer(word)
    })
}

/// Whether a decimal number is an integer that a value cannot hold exactly.
pub(crate) fn is_long_integer(word: &str) -> bool {
    /// Numbers of this many digits always fit.
    const SAFE: usize = 18;
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    digits.len() > SAFE
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && word.parse::<i64>().is_err()
        && word.parse::<u64>().is_err()
}

pub(crate) fn long_integer_fault(word: &str, at: Range<usize>) -> Fault {
    let message = format!("the number {word} has more digits than a 64-bit integer");
    Fault::new("wrong-value", Site::Bytes(at), message).hint("quote it to keep its text")
}

/// The byte ranges of the numbers in a well-formed text.
fn numbers(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let bytes = text.as_bytes();
    let (mut at, mut is_text) = (0, false);
    std::iter::from_fn(move || {
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'\\' if is_text => at += 1,
                b'"' => is_text = !is_text,
                b'-' | b'0'..=b'9' if !is_text => {
                    let start = at - 1;
                    at = start + bytes[start..].iter().take_while(|byte| is_part(byte)).count();
                    return Some(start..at);
                }
                _ => {}
            }
        }
        None
    })
}

/// The numbers of a valid text that print differently from how they are written.
pub(crate) fn spellings(text: &str) -> Vec<Spelling> {
    let mut found = Vec::new();
    if numbers(text).any(|number| may_differ(&text[number])) {
        Walk::over(text, &mut |pointer, _, value| {
            let written = &text[value];
            if written.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
                let value = serde_json::from_str(written).unwrap_or_default();
                found.extend(Spelling::of(pointer, written, &value));
            }
        });
    }
    found
}

fn syntax_fault(text: &str, error: &serde_json::Error) -> Fault {
    let at = offset_of(text, error.line(), error.column());
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or(&message);
    if what.starts_with("recursion limit") {
        let message = format!("lists and maps are nested deeper than {MAX_DEPTH}");
        return Fault::new("too-deep", Site::Bytes(at..at + 1), message);
    }
    Fault::new("syntax", Site::Bytes(at..at + 1), format!("this is not JSON: {what}"))
}

/// The byte offset of a serde_json position: columns count bytes, and column 0 is the end of the previous line.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start = match line.checked_sub(2) {
        None => 0,
        Some(skip) => text.match_indices('\n').nth(skip).map_or(text.len(), |(at, _)| at + 1),
    };
    text.floor_char_boundary((start + column).saturating_sub(1).min(text.len()))
}

/// Receives the elements of a list.
type ElementCallback<'r> = RefCell<&'r mut dyn FnMut(Value)>;

/// What the values of one text have in common.
#[derive(Default)]
struct ValueReader<'r> {
    /// Whether a map has a duplicate key.
    has_duplicates: Cell<bool>,
    /// Whether a number is no 64-bit integer. Only such a number can be too long or print differently.
    has_floats: Cell<bool>,
    /// A list of the root by its key, and what receives its elements.
    list: Option<(&'r str, ElementCallback<'r>)>,
}

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SeedPlace {
    Root,
    /// The list whose elements are not stored.
    List,
    Inside,
}

/// Builds a value.
struct ValueSeed<'s, 'r> {
    reader: &'s ValueReader<'r>,
    place: SeedPlace,
}

impl ValueSeed<'_, '_> {
    fn inside(&self) -> Self {
        Self { reader: self.reader, place: SeedPlace::Inside }
    }

    /// The seed for a member of a map.
    fn member(&self, key: &str) -> Self {
        let is_list = self.reader.list.as_ref().is_some_and(|(list, _)| *list == key);
        if is_list && self.place == SeedPlace::Root {
            return Self { reader: self.reader, place: SeedPlace::List };
        }
        self.inside()
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        self.reader.has_floats.set(true);
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let each = self.reader.list.as_ref().filter(|_| self.place == SeedPlace::List);
        while let Some(item) = items.next_element_seed(self.inside())? {
            match each {
                Some((_, each)) => (each.borrow_mut())(item),
                None => list.push(item),
            }
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(self.member(&key))?;
            if map.insert(key, value).is_some() {
                self.reader.has_duplicates.set(true);
            }
        }
        Ok(Value::Object(map))
    }
}

fn duplicate_faults(text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut firsts: HashMap<Pointer, Range<usize>> = HashMap::new();
    Walk::over(text, &mut |pointer, key, _| {
        let Some(key) = key else { return };
        if let Some(first) = firsts.get(pointer) {
            let name = &text[key.clone()];
            let line = text[..first.start].matches('\n').count() + 1;
            let message = format!("duplicate key {}", name.replace('"', "`"));
            let fault = Fault::new("duplicate-key", Site::Bytes(key), message);
            faults.push(fault.label(format!("first on line {line}")));
        } else {
            firsts.insert(pointer.clone(), key);
        }
    });
    faults
}

/// Finds the spans of the wanted pointers.
pub(crate) fn find(text: &str, wanted: &mut HashMap<&str, Spans>) {
    Walk::over(text, &mut |pointer, key, value| {
        if let Some(spans) = wanted.get_mut(pointer.as_str()) {
            *spans = Spans { key, value: Some(value) };
        }
    });
}

type ValueCallback<'s> = &'s mut dyn FnMut(&Pointer, Option<Range<usize>>, Range<usize>);

/// A walk over well-formed JSON that calls back for each value with the byte ranges of the value and its key.
struct Walk<'t, 's> {
    text: &'t str,
    at: usize,
    pointer: Pointer,
    on_value: ValueCallback<'s>,
}

impl<'t, 's> Walk<'t, 's> {
    fn over(text: &'t str, on_value: ValueCallback<'s>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn only_fault(text: &str) -> (String, Range<usize>) {
        let faults = read(text).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        let Site::Bytes(bytes) = faults[0].site.clone() else { unreachable!() };
        (faults[0].message.clone(), bytes)
    }

    #[test]
    fn each_duplicate_key_is_a_fault_with_both_places() {
        let text = "{\"a\": 1,\n \"b\": {\"x\": 1, \"x\": 2},\n \"a\": 3}";
        let faults = read(text).unwrap_err();
        let found: Vec<_> = faults.iter().map(|f| (f.message.clone(), f.label.clone().unwrap())).collect();
        assert_eq!(
            found,
            [
                ("duplicate key `x`".to_owned(), "first on line 2".to_owned()),
                ("duplicate key `a`".to_owned(), "first on line 1".to_owned()),
            ]
        );
    }

    #[test]
    fn syntax_errors_point_at_the_byte() {
        let (message, bytes) = only_fault("{\n  \"a\": 1,\n  }");
        assert_eq!(message, "this is not JSON: trailing comma");
        assert_eq!(bytes.start, 14);
        assert_eq!(only_fault("{\"a\": tru}").1.start, 9);
        assert_eq!(only_fault("[\"a\n]").1.start, 3);
        assert_eq!(only_fault("").0, "this is not JSON: EOF while parsing a value");
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(200_000);
        assert_eq!(only_fault(&deep).0, "lists and maps are nested deeper than 127");
    }

    #[test]
    fn json_and_yaml_round_numbers_to_the_nearest() {
        for text in ["0.30000000000000004", "1.1844674407370955e+20", "1.1752144252037635e+214", "5e-324"] {
            let nearest = serde_json::json!([text.parse::<f64>().unwrap()]);
            let text = format!("[{text}]");
            assert_eq!((read(&text), crate::yaml::read(&text)), (Ok(nearest.clone()), Ok(nearest)), "{text}");
        }
    }

    #[test]
    fn whole_numbers_of_64_bits_stay_exact() {
        let value = read("[9223372036854775807, -9223372036854775808, 18446744073709551615]").unwrap();
        assert_eq!(value.to_string(), "[9223372036854775807,-9223372036854775808,18446744073709551615]");
    }
}
