//! JSON: parsed into a value without duplicate keys, and walked again to find places.

mod values;
mod walk;

use self::values::{ElementList, ValueReader, ValueSeed};
use self::walk::Walk;
use crate::limits::MAX_DEPTH;
use crate::place::Spans;
use crate::spelling::{Spelling, may_differ};
use crate::{Element, Fault, Pointer, Site};
use serde::de::DeserializeSeed as _;
use serde_json::Value;
use std::collections::HashMap;
use std::ops::Range;

/// Parses JSON. A syntax error is one fault; each duplicate key is a fault.
pub(crate) fn read(text: &str) -> Result<Value, Vec<Fault>> {
    read_with(text, &ValueReader::default())
}

/// Parses JSON, and gives each element of the list `list` of the root to `each` instead of storing it, with its `member`
/// apart. Also returns the [`spellings`].
pub(crate) fn read_elements<'t>(
    text: &'t str,
    list: &'t str,
    member: &'t str,
    each: &'t mut dyn FnMut(Element),
) -> Result<(Value, Vec<Spelling>), Vec<Fault>> {
    let reader = ValueReader::of_list(ElementList::new(list, Some(member), each));
    let root = read_with(text, &reader).map_err(|faults| {
        // the place of an error in a member is that in the member's own text
        let mut ignore = |_| ();
        let whole = ValueReader::of_list(ElementList::new(list, None, &mut ignore));
        read_with(text, &whole).err().unwrap_or(faults)
    })?;
    let spellings = if reader.has_floats.get() { spellings(text) } else { Vec::new() };
    Ok((root, spellings))
}

fn read_with<'t>(text: &'t str, reader: &ValueReader<'t>) -> Result<Value, Vec<Fault>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = ValueSeed::root(reader)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::sync::Arc;

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

    /// The elements of the list `o` with their member `p`, as text, or the faults.
    fn elements(text: &str) -> Result<String, Vec<String>> {
        let mut all = String::new();
        let mut each = |element: Element| {
            let member = element.member.map_or_else(|| "none".to_owned(), |member| member.to_string());
            write!(all, "{} {member}; ", element.value).unwrap();
        };
        let read = read_elements(text, "o", "p", &mut each);
        let messages = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.message).collect();
        read.map_err(messages).map(|(root, _)| all + &root.to_string())
    }

    #[test]
    fn a_member_that_repeats_is_the_same_value() {
        let text = r#"{"o": [{"p": {"a": 1}, "n": 1}, {"n": {"p": 2}, "p": {"a": 1}}, {"p": {"a":1}}, {}, 7, {"p": null}]}"#;
        let all = r#"{"n":1} {"a":1}; {"n":{"p":2}} {"a":1}; {} {"a":1}; {} none; 7 none; {} null; {"o":[]}"#;
        assert_eq!(elements(text).unwrap(), all);
        let mut members = Vec::new();
        read_elements(text, "o", "p", &mut |element| members.extend(element.member)).unwrap();
        assert!(Arc::ptr_eq(&members[0], &members[1]) && !Arc::ptr_eq(&members[1], &members[2]));
    }

    #[test]
    fn faults_in_a_member_have_their_place_in_the_whole_text() {
        let deep =
            |levels: usize| format!(r#"{{"o": [{{"p": {}{}}}]}}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(elements(&deep(MAX_DEPTH - 3)).is_ok());
        for text in [
            deep(MAX_DEPTH - 2),
            deep(100_000),
            r#"{"o": [{"p": {"a": 1}}, {"p": {"a": tru}}]}"#.to_owned(),
            r#"{"o": [{"p": "\ud800"}]}"#.to_owned(),
            r#"{"o": [{"p": {"a": 1, "a": 2}}]}"#.to_owned(),
            r#"{"o": [{"p": 1, "p": 2}]}"#.to_owned(),
            r#"{"o": [{"p": 123456789012345678901234567890}]}"#.to_owned(),
        ] {
            let faults = read(&text).unwrap_err();
            let found = read_elements(&text, "o", "p", &mut |_| ()).unwrap_err();
            assert_eq!(found, faults, "{text:.60}");
        }
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
