//! Reading JSON values of programs in bounded memory, without silent loss or change.

use super::{PARSED_LIMIT, TOO_LARGE, VALUE_LIMIT};
use pop_document::Source;
use serde_json::Value;
use std::fmt;

/// Bytes of an unreadable text that its message shows.
const SHOWN: usize = 60;
/// Memory of one list item, in bytes. A growing list briefly holds its old and its new items.
const ITEM_BYTES: usize = 2 * size_of::<Value>();
/// Memory of a map with one member, in bytes. A tree node has room for eleven members.
const MAP_BYTES: usize = 640;
/// Memory of each further map member, in bytes.
const MEMBER_BYTES: usize = 110;
/// Memory of a text besides its content, in bytes.
const TEXT_BYTES: usize = 16;

/// The error of bytes that are not a valid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// Failure code: `contract` or [`TOO_LARGE`].
    pub code: &'static str,
    /// Message for people: one sentence fragment with escaped control characters.
    pub message: String,
    /// The rejected bytes.
    pub bytes: Vec<u8>,
}

impl ValueError {
    fn contract(message: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { code: "contract", message: message.into(), bytes }
    }

    /// A value of more than [`VALUE_LIMIT`] bytes.
    pub fn too_long(bytes: Vec<u8>) -> Self {
        Self { code: TOO_LARGE, message: format!("it has more than {VALUE_LIMIT} bytes"), bytes }
    }

    /// A value whose parsed parts take more than [`PARSED_LIMIT`].
    pub fn too_many_parts(bytes: Vec<u8>) -> Self {
        let message = format!("its parts would take more than {PARSED_LIMIT} bytes of memory");
        Self { code: TOO_LARGE, message, bytes }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Parses JSON. Duplicate keys and numbers that cannot be stored exactly are errors.
pub fn read_json(bytes: &[u8]) -> Result<Value, String> {
    read_value(bytes.to_vec()).map_err(|error| error.message)
}

/// Parses JSON without copying its text. A value beyond the limits is rejected before it is built.
pub fn read_value(bytes: Vec<u8>) -> Result<Value, ValueError> {
    if bytes.len() > VALUE_LIMIT {
        return Err(ValueError::too_long(bytes));
    }
    let mut text = utf8(bytes)?;
    if parsed_size(text.as_bytes()) > PARSED_LIMIT {
        return Err(ValueError::too_many_parts(text.into_bytes()));
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
        ValueError::contract(message, source.into_text().into_bytes())
    })
}

/// Decodes UTF-8. The error names the first invalid byte and its place.
pub fn utf8(bytes: Vec<u8>) -> Result<String, ValueError> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = bytes[..at].split(|byte| *byte == b'\n').count();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let after = ending(&bytes[..at]);
        let message = format!("this is not UTF-8: byte {at} (line {line}) is 0x{byte:02x}, after `{after}`");
        ValueError::contract(message, error.into_bytes())
    })
}

/// The first characters of a text, escaped.
fn beginning(text: &str) -> String {
    let shown = &text[..text.floor_char_boundary(SHOWN)];
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{}{more}", escaped(shown))
}

/// The end of the last line of valid bytes, escaped.
fn ending(bytes: &[u8]) -> String {
    let line = bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    escaped(&line[line.ceil_char_boundary(line.len().saturating_sub(SHOWN))..])
}

/// Escapes characters that a terminal would interpret or hide.
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

/// Upper estimate of the memory of parsed JSON, in bytes, besides its text. The text may be invalid.
pub fn parsed_size(text: &[u8]) -> usize {
    let mut size = 0_usize;
    let (mut at, mut is_first_member) = (0, false);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let start = at + 1;
                at = end_of_text(text, start);
                // keys and texts: their bytes, rounded up like an allocator does
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
    fn f24_values_that_cannot_be_stored_exactly_are_errors() {
        for (text, why) in [
            (r#"{"a": 1, "b": {"a": 1, "a": 2}}"#, "duplicate key `a`"),
            (
                "[1, 123456789012345678901]",
                "the number 123456789012345678901 has more digits than a 64-bit integer",
            ),
            ("-9223372036854775809", "the number -9223372036854775809 has more digits than a 64-bit integer"),
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
        let exact = r#"[18446744073709551615,-9223372036854775808,1.5e300,"123456789012345678901\\\""]"#;
        assert_eq!(read_json(exact.as_bytes()).unwrap().to_string(), exact.replace("e300", "e+300"));
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
    fn fr_h15_many_tiny_parts_are_rejected_before_building() {
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
