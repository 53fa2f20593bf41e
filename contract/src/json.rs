//! JSON that a program gives, read so that nothing of it is lost or changed in silence, in bounded memory.

use super::{PARSED_LIMIT, TOO_LARGE, VALUE_LIMIT};
use pop_document::Source;
use serde_json::Value;
use std::fmt;

/// How many bytes of an unreadable text its message shows.
const SHOWN: usize = 60;
/// Memory of one item of a list. A list that grows holds its old and its new items for a moment.
const ITEM_BYTES: usize = 2 * size_of::<Value>();
/// Memory of a map with one member: a node of the tree has room for eleven members.
const MAP_BYTES: usize = 640;
/// Memory of each further member of a map.
const MEMBER_BYTES: usize = 110;
/// Memory of a text besides its bytes.
const TEXT_BYTES: usize = 16;

/// Bytes that are not the value that they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Failure code: `contract` or [`TOO_LARGE`].
    pub code: &'static str,
    /// One sentence fragment for people; control characters are escaped.
    pub message: String,
    /// The bytes, given back.
    pub bytes: Vec<u8>,
}

impl Unreadable {
    fn contract(message: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { code: "contract", message: message.into(), bytes }
    }

    /// A value of more than [`VALUE_LIMIT`] bytes.
    pub fn too_long(bytes: Vec<u8>) -> Self {
        Self { code: TOO_LARGE, message: format!("it has more than {VALUE_LIMIT} bytes"), bytes }
    }

    /// A value with more parts than fit into memory in proportion to its text.
    pub fn too_many_parts(bytes: Vec<u8>) -> Self {
        let message = format!("its parts would take more than {PARSED_LIMIT} bytes of memory");
        Self { code: TOO_LARGE, message, bytes }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Reads JSON. A key that stands twice in one map, and a number that cannot be kept exactly, are refused.
pub fn read_json(bytes: &[u8]) -> Result<Value, String> {
    read_value(bytes.to_vec()).map_err(|error| error.message)
}

/// Reads JSON without copying its text. A value beyond the limits is refused before it is built.
pub fn read_value(bytes: Vec<u8>) -> Result<Value, Unreadable> {
    if bytes.len() > VALUE_LIMIT {
        return Err(Unreadable::too_long(bytes));
    }
    let mut text = utf8(bytes)?;
    if parsed_size(text.as_bytes()) > PARSED_LIMIT {
        return Err(Unreadable::too_many_parts(text.into_bytes()));
    }
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    let source = Source::json("result.json", text);
    source.read().map_err(|faults| {
        let fault = faults.into_iter().next();
        let place = fault.as_ref().filter(|fault| fault.code == "syntax");
        let place = place.and_then(|fault| source.places(&[&fault.site]).into_iter().next().flatten());
        let mut message = fault.map_or_else(|| "it is not JSON".to_owned(), |fault| fault.message);
        if let Some(place) = place {
            let at = format!(" on line {}, column {}", place.line, place.column);
            message = format!("{message}{at}; it begins with `{}`", beginning(source.text()));
        }
        Unreadable::contract(message, source.into_text().into_bytes())
    })
}

/// The text that bytes are; the first byte that is not UTF-8 is named with its place.
pub fn utf8(bytes: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let byte = bytes.get(at).copied().unwrap_or_default();
        let after = ending(&bytes[..at]);
        let message = format!("this is not UTF-8: byte {at} (line {line}) is 0x{byte:02x}, after `{after}`");
        Unreadable::contract(message, error.into_bytes())
    })
}

/// The first characters of a text, escaped.
fn beginning(text: &str) -> String {
    let shown = &text[..text.floor_char_boundary(SHOWN)];
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{}{more}", escaped(shown))
}

/// The last characters of the line that valid bytes end with, escaped.
fn ending(bytes: &[u8]) -> String {
    let line = bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    escaped(&line[line.ceil_char_boundary(line.len().saturating_sub(SHOWN))..])
}

/// A text with escapes for what a terminal would obey or hide.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\'' | '\\') {
            shown.push(c);
        } else {
            shown.extend(c.escape_debug());
        }
    }
    shown
}

/// An upper estimate of the memory that parsed JSON takes, besides the bytes of its text. The text may be invalid.
pub fn parsed_size(text: &[u8]) -> usize {
    let mut size = 0_usize;
    let (mut at, mut is_first_member) = (0, false);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let start = at + 1;
                at = end_of_text(text, start);
                // a key and a text alike: its bytes, rounded up as an allocator does
                size += TEXT_BYTES + (at - start).next_multiple_of(16);
            }
            b'{' => is_first_member = true,
            b':' => {
                size += if is_first_member { MAP_BYTES } else { MEMBER_BYTES };
                is_first_member = false;
            }
            b'[' => {
                size += 2 * ITEM_BYTES;
                is_first_member = false;
            }
            b',' => size += ITEM_BYTES,
            _ => {}
        }
        at += 1;
    }
    size
}

/// Position of the quote that ends a JSON text, or of the end of the bytes.
fn end_of_text(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f24_what_cannot_be_kept_as_it_is_is_refused() {
        for (text, why) in [
            (r#"{"a": 1, "b": {"a": 1, "a": 2}}"#, "the key `a` stands twice in one map"),
            (
                "[1, 123456789012345678901]",
                "the number 123456789012345678901 has more digits than can be kept",
            ),
            ("-9223372036854775809", "the number -9223372036854775809 has more digits than can be kept"),
            (
                "{\"w\": 1,}",
                "this is not JSON: trailing comma on line 1, column 9; it begins with `{\"w\": 1,}`",
            ),
            ("1 2", "this is not JSON: trailing characters on line 1, column 3; it begins with `1 2`"),
        ] {
            assert_eq!(read_json(text.as_bytes()), Err(why.to_owned()));
        }
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert_eq!(read_json(&deep), Err("lists and maps are nested deeper than 127".to_owned()));
        let kept = r#"[18446744073709551615,-9223372036854775808,1.5e300,"123456789012345678901\\\""]"#;
        assert_eq!(read_json(kept.as_bytes()).unwrap().to_string(), kept.replace("e300", "e+300"));
    }

    #[test]
    fn fr_b4_a_byte_that_is_not_utf8_is_named() {
        let error = read_value(b"[\n\"caf\xe9\"]".to_vec()).unwrap_err();
        assert_eq!(error.message, "this is not UTF-8: byte 6 (line 2) is 0xe9, after `\"caf`");
    }

    #[test]
    fn fr_b1_a_syntax_error_shows_its_place_and_the_first_bytes() {
        let error = read_json(b"npm WARN \x1b[31mold\n{\"a\": 1}").unwrap_err();
        assert!(error.contains("on line 1, column 2"), "{error}");
        assert!(error.contains(r"begins with `npm WARN \u{1b}[31mold\n"), "{error}");
    }

    #[test]
    fn fr_h15_many_tiny_parts_are_refused_before_they_are_built() {
        let list = |item: &str, bytes: usize| {
            let count = bytes / (item.len() + 1);
            format!("[{}{item}]", format!("{item},").repeat(count - 1)).into_bytes()
        };
        for item in ["{}", "0", "[]", r#"{"a":1}"#, r#""""#] {
            let error = read_value(list(item, 15 << 20)).unwrap_err();
            assert_eq!(error.code, TOO_LARGE, "{item}");
        }
        assert_eq!(read_value(vec![b' '; VALUE_LIMIT + 1]).unwrap_err().code, TOO_LARGE);
        let text = format!("\"{}\"", "x".repeat(VALUE_LIMIT - 2));
        assert_eq!(read_value(text.into_bytes()).unwrap().as_str().unwrap().len(), VALUE_LIMIT - 2);
        let long = list(&format!("\"{}\"", "x".repeat(1_000)), 15 << 20);
        assert!(read_value(long).is_ok());
    }
}
