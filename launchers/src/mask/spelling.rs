//! The spellings of a value: plain, and in the encodings in which programs print it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::fmt::Write as _;

/// Characters besides letters and digits that percent encoders leave unchanged: none, RFC 3986, HTML forms, and
/// `encodeURIComponent` and `encodeURI` of browsers.
const LEFT: [&str; 5] = ["", "-._~", "-._*", "-._~!*'()", "-._~!*'();/?:@&=+$,#"];

/// Adds every spelling of a value, possibly with duplicates.
pub(super) fn spellings(value: &str, into: &mut Vec<Vec<u8>>) {
    into.push(value.as_bytes().to_vec());
    for left in 0..3 {
        into.extend(base64(value.as_bytes(), left).map(String::into_bytes));
    }
    let mut add = |text: String| into.push(text.into_bytes());
    for is_upper in [false, true] {
        add(value.bytes().map(|byte| hex(byte, is_upper)).collect());
        add(percent(value, None, "%20", is_upper));
        for left in LEFT {
            for space in ["%20", "+"] {
                add(percent(value, Some(left), space, is_upper));
            }
        }
        for is_ascii in [false, true] {
            let text = json(value, is_ascii, is_upper);
            let slashed = text.replace('/', "\\/");
            // JSON whose strings contain JSON, as in a message that quotes a request
            for text in [text, slashed] {
                add(json(&text, is_ascii, is_upper));
                add(json(&text, is_ascii, is_upper).replace('/', "\\/"));
                add(text);
            }
        }
    }
    for [quote, apostrophe] in QUOTES {
        add(html(value, quote, apostrophe));
    }
    for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        into.push(value.encode_utf16().flat_map(to_bytes).collect());
    }
}

/// The ways in which HTML encoders write the two kinds of quotes.
const QUOTES: [[&str; 2]; 6] = [
    ["&quot;", "&#39;"],
    ["&quot;", "&#x27;"],
    ["&quot;", "&apos;"],
    ["&quot;", "'"],
    ["&#34;", "&#39;"],
    ["\"", "'"],
];

/// A value as HTML or XML text.
fn html(value: &str, quote: &str, apostrophe: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str(quote),
            '\'' => text.push_str(apostrophe),
            c => text.push(c),
        }
    }
    text
}

/// The base64 characters that depend on `bytes` alone, when `before` bytes (modulo three) precede them.
fn base64(bytes: &[u8], before: usize) -> [String; 2] {
    let mut all = vec![0; before];
    all.extend_from_slice(bytes);
    // six bits per character: the first that begins in the value, the last that ends in it
    let (first, end) = ((8 * before).div_ceil(6), 8 * all.len() / 6);
    [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| engine.encode(&all)[first..end].to_owned())
}

fn hex(byte: u8, is_upper: bool) -> String {
    if is_upper { format!("{byte:02X}") } else { format!("{byte:02x}") }
}

/// `left` are the characters left unchanged besides letters and digits; `None`: not even those are.
fn percent(value: &str, left: Option<&str>, space: &str, is_upper: bool) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match char::from(byte) {
            ' ' => text.push_str(space),
            c if left.is_some_and(|left| c.is_ascii_alphanumeric() || left.contains(c)) => text.push(c),
            _ => text.extend(["%".to_owned(), hex(byte, is_upper)]),
        }
    }
    text
}

/// A value inside a JSON string; non-ASCII characters plain or as escapes.
fn json(value: &str, is_ascii: bool, is_upper: bool) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            c if u32::from(c) < 0x20 || is_ascii && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // writing to a String cannot fail
                    let written =
                        if is_upper { write!(text, "\\u{unit:04X}") } else { write!(text, "\\u{unit:04x}") };
                    written.ok();
                }
            }
            c => text.push(c),
        }
    }
    text
}
