//! Scalars that print differently from how they are written: `3.10`, `0o644`, `True`.
//!
//! A value stores the number, not its text. Where the text matters (a program argument, the value of a variable), such a
//! scalar must be quoted. This module finds the unquoted ones.

use crate::{Fault, Pointer};
use serde_json::Value;

/// A number or boolean whose text in the document differs from its printed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelling {
    /// Pointer of the scalar.
    pub pointer: Pointer,
    /// Text in the document, such as `3.10`.
    pub written: String,
    /// Printed text of the value, such as `3.1`.
    pub printed: String,
}

impl Spelling {
    /// The spelling of a scalar; none if both texts are the same.
    pub(crate) fn of(pointer: &Pointer, written: &str, value: &Value) -> Option<Self> {
        if !matches!(value, Value::Number(_) | Value::Bool(_)) {
            return None;
        }
        let printed = value.to_string();
        (printed != written).then(|| Self { pointer: pointer.clone(), written: written.to_owned(), printed })
    }

    /// The fault of a scalar used as text; `role` names its use, such as "an argument".
    pub fn fault(&self, role: &str) -> Fault {
        let Self { pointer, written, printed } = self;
        let message = format!("`{written}` would become `{printed}` as {role}");
        Fault::value("unquoted", pointer.clone(), message)
            .hint(format!("quote it to keep its text: \"{written}\""))
    }
}

/// Whether a word of a text may be a scalar that prints differently. A false positive costs only a second pass over
/// the text.
pub(crate) fn may_differ(word: &str) -> bool {
    match word.as_bytes().first() {
        Some(b'0'..=b'9' | b'-' | b'+' | b'.') => !prints_itself(word) && word.bytes().all(is_numeric),
        Some(b'T' | b't' | b'F' | b'f') => {
            let is_boolean = word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false");
            is_boolean && word != "true" && word != "false"
        }
        _ => false,
    }
}

/// Whether a byte may be part of a number in any notation, including `0xFF`, `1e3`, `.inf` and `.NaN`.
fn is_numeric(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
        || matches!(byte, b'x' | b'X' | b'o' | b'O' | b'+' | b'-' | b'.' | b'_')
        || matches!(byte, b'i' | b'I' | b'n' | b'N')
}

fn prints_itself(word: &str) -> bool {
    // fast path: most numbers are short integers, which need no parsing
    let digits = word.strip_prefix('-').unwrap_or(word);
    let is_plain = digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain && !digits.is_empty() {
        return !digits.starts_with('0') || word == "0";
    }
    serde_json::from_str::<serde_json::Number>(word).is_ok_and(|number| number.to_string() == word)
}

#[cfg(test)]
mod tests {
    use crate::Source;

    fn spelled(name: &str, text: &str) -> Vec<(String, String, String)> {
        let source = Source::new(name, text.as_bytes()).unwrap();
        let value = source.read().unwrap();
        let found = source.spellings(&value);
        found.into_iter().map(|s| (s.pointer.to_string(), s.written, s.printed)).collect()
    }

    #[test]
    fn fr_c1_yaml_numbers_that_print_differently_are_found() {
        for (written, printed) in [
            ("3.10", "3.1"),
            ("1234e56", "1.234e+59"),
            ("0o644", "420"),
            ("0x1F", "31"),
            ("+5", "5"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("1e3", "1000.0"),
            ("-0", "0"),
            ("0.12345678901234567890", "0.12345678901234568"),
            ("True", "true"),
            ("FALSE", "false"),
        ] {
            let texts = [
                (format!("a: {written}\n"), "/a"),
                (format!("a: {written} # why\nb: 1\n"), "/a"),
                (format!("a: [echo, {written}, x]\n"), "/a/1"),
                (format!("a:\n  - b: {{c: {written}}}\n"), "/a/0/b/c"),
                (format!("- {written}"), "/0"),
                (format!("a: \"{written}\"\nb: &b {written}\nc: *b\n"), "/b"),
            ];
            for (text, pointer) in texts {
                let found = spelled("a.yaml", &text);
                let expected = (pointer.to_owned(), written.to_owned(), printed.to_owned());
                assert_eq!(found.first(), Some(&expected), "{text}");
                assert_eq!(found.len(), if text.contains("*b") { 2 } else { 1 }, "{text}");
            }
        }
    }

    #[test]
    fn fr_c1_json_numbers_that_print_differently_are_found() {
        for (written, printed) in [("3.10", "3.1"), ("1E5", "100000.0"), ("-0", "-0.0"), ("1e400", "")] {
            let text = format!("{{\"a\": [\"{written}\\\"\", {written}, 1.5, {{\"b\": {written}}}]}}");
            if printed.is_empty() {
                assert!(Source::new("a.json", text.as_bytes()).unwrap().read().is_err());
                continue;
            }
            let found = |at: &str| (at.to_owned(), written.to_owned(), printed.to_owned());
            assert_eq!(spelled("a.json", &text), [found("/a/1"), found("/a/3/b")]);
        }
    }

    #[test]
    fn fr_c1_texts_and_plain_numbers_are_not_found() {
        let yaml =
            "a: [0, 1, -7, 1.5, 1.0, 1e+16, true, false, \"3.10\", '0o644', 1.2.3, 2024-01-02, 1_000, 0755]";
        assert_eq!(spelled("a.yaml", yaml), []);
        assert_eq!(spelled("a.yaml", "a: |\n  3.10 0o644\nb: !!str 3.10\nc: 1e+16\n"), []);
        assert_eq!(spelled("a.json", "{\"3.10\": [0, 1.5, 18446744073709551615, \"3.10\"]}"), []);
    }

    #[test]
    fn fr_c1_a_yaml_integer_of_too_many_digits_is_a_fault() {
        let digits = "123456789012345678901234567890";
        for (written, message) in [
            (digits.to_owned(), "has more digits than a 64-bit integer"),
            (format!("-{digits}"), "has more digits than a 64-bit integer"),
            (".inf".to_owned(), "non-finite"),
            ("-.INF".to_owned(), "non-finite"),
            (".nan".to_owned(), "non-finite"),
            ("1e999".to_owned(), "non-finite"),
        ] {
            let text = format!("a:\n  - x\n  - {written}\n");
            let source = Source::new("a.yaml", text.as_bytes()).unwrap();
            let faults = source.read().unwrap_err();
            assert!(faults[0].message.contains(message), "{written}: {}", faults[0].message);
            let place = source.places(&[&faults[0].site])[0].clone().unwrap();
            assert_eq!((place.line, place.column), (3, 5), "{written}");
        }
    }
}
