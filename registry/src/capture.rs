//! The capture of standard output: how printed bytes become the `stdout` of a result.

use pop_contract::{PARSED_LIMIT, VALUE_LIMIT, ValueError, read_value, utf8};
use pop_document::{Fault, Fields, nearest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Memory of one captured line besides its text, in bytes: the list item and the allocator's overhead.
const LINE_BYTES: usize = 2 * size_of::<Value>() + 16;

/// How the standard output of a program is captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Capture {
    /// Not at all: standard output is log.
    #[default]
    Nothing,
    /// The result's `stdout` is the parsed JSON value.
    Json,
    /// The result's `stdout` is the text without one trailing line end.
    Text,
    /// The result's `stdout` is the exact text.
    Raw,
    /// The result's `stdout` is a list of lines.
    Lines,
}

impl Capture {
    const WORDS: [(&'static str, Self); 6] = [
        ("none", Self::Nothing),
        ("nothing", Self::Nothing),
        ("json", Self::Json),
        ("text", Self::Text),
        ("raw", Self::Raw),
        ("lines", Self::Lines),
    ];

    /// Converts captured output into the value of the result's `stdout`; none if nothing is captured.
    ///
    /// Bytes that are not UTF-8 and values beyond the limits are errors.
    pub fn value(self, output: Vec<u8>) -> Result<Option<Value>, ValueError> {
        if output.len() > VALUE_LIMIT {
            return Err(ValueError::too_long(output));
        }
        Ok(match self {
            Self::Nothing => None,
            Self::Text => Some(Value::String(without_line_end(utf8(output)?))),
            Self::Raw => Some(Value::String(utf8(output)?)),
            Self::Lines => Some(lines(utf8(output)?)?),
            Self::Json => Some(read_value(output)?),
        })
    }
}

/// Removes one trailing line end.
fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

fn lines(text: String) -> Result<Value, ValueError> {
    let size: usize = text.lines().map(|line| LINE_BYTES + line.len().next_multiple_of(16)).sum();
    if size > PARSED_LIMIT {
        return Err(ValueError::too_many_parts(text.into_bytes()));
    }
    Ok(text.lines().collect())
}

/// Reads the field `capture`.
pub(crate) fn capture(fields: &mut Fields<'_, '_>) -> Capture {
    let Some(word) = fields.text("capture") else { return Capture::Nothing };
    if let Some((_, capture)) = Capture::WORDS.iter().find(|(name, _)| *name == word) {
        return *capture;
    }
    let message = format!("`capture` must be json, text, raw, lines or none, not `{word}`");
    let near = nearest(word, Capture::WORDS.iter().map(|(name, _)| *name));
    let at = fields.at("capture");
    fields.faults().push(Fault::value("wrong-value", at, message).did_you_mean(near));
    Capture::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fr_b7_captured_text_loses_one_line_end_raw_text_none() {
        let value = |capture: Capture, text: &str| capture.value(text.as_bytes().to_vec()).ok().flatten();
        for (printed, text) in
            [("4f2a91c\n", "4f2a91c"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\n", ""), ("", "")]
        {
            assert_eq!(value(Capture::Text, printed), Some(json!(text)), "{printed:?}");
            assert_eq!(value(Capture::Raw, printed), Some(json!(printed)));
        }
    }

    #[test]
    fn captured_output_becomes_a_value() {
        let value = |capture: Capture, output: &[u8]| capture.value(output.to_vec());
        assert_eq!(value(Capture::Lines, b"a\nb\n"), Ok(Some(json!(["a", "b"]))));
        assert_eq!(value(Capture::Json, b"{\"w\": 1}\n"), Ok(Some(json!({"w": 1}))));
        assert_eq!(value(Capture::Json, b"w").unwrap_err().code, "contract");
        assert_eq!(value(Capture::Text, "é".as_bytes()), Ok(Some(json!("é"))));
        assert_eq!(value(Capture::Nothing, b"\xff"), Ok(None));
    }

    #[test]
    fn fr_b4_captured_bytes_that_are_not_utf8_are_an_error() {
        for capture in [Capture::Lines, Capture::Text, Capture::Json] {
            let error = capture.value(b"a.txt\ncaf\xe9.txt\n".to_vec()).unwrap_err();
            assert_eq!(error.message, "this is not UTF-8: byte 9 (line 2) is 0xe9, after `caf`");
        }
    }

    #[test]
    fn fr_h15_captured_lines_are_bounded_in_size_and_number() {
        let code = |output: Vec<u8>| Capture::Lines.value(output).map(drop).map_err(|error| error.code);
        assert_eq!(code(vec![b'\n'; 16 << 20]), Err("too-large"));
        assert_eq!(code(vec![b'x'; (16 << 20) + 1]), Err("too-large"));
        assert_eq!(code([b"x".repeat(79).as_slice(), b"\n"].concat().repeat(200_000)), Ok(()));
    }
}
