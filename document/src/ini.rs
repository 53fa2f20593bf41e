//! INI: sections of keys with texts, parsed into a map of maps, and walked again to find places.

use crate::place::Spans;
use crate::{Fault, Pointer, Site};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ops::Range;

/// A line that is neither blank nor a comment, as byte ranges of its parts.
enum Line {
    Section(Range<usize>),
    Pair { key: Range<usize>, value: Range<usize> },
}

/// Parses INI. Each invalid line and each duplicate section or key is a fault.
pub(crate) fn read(text: &str) -> Result<Value, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut firsts: HashMap<Pointer, usize> = HashMap::new();
    let mut root = Map::new();
    let mut section = None;
    let mut at = Pointer::root();
    for (number, line) in lines(text) {
        let (name, own, value) = match line {
            Err(fault) => {
                faults.push(fault);
                continue;
            }
            Ok(Line::Section(name)) => {
                at = Pointer::root().join(&text[name.clone()]);
                (name, at.clone(), None)
            }
            Ok(Line::Pair { key, value }) => (key.clone(), at.join(&text[key]), Some(value)),
        };
        let word = &text[name.clone()];
        if let Some(first) = firsts.insert(own, number) {
            let kind = if value.is_some() { "key" } else { "section" };
            let message = format!("duplicate {kind} `{word}`");
            let fault = Fault::new("duplicate-key", Site::Bytes(name.clone()), message);
            faults.push(fault.label(format!("first on line {first}")));
        }
        match (value, section) {
            (None, _) => {
                root.entry(word).or_insert_with(|| Value::Object(Map::new()));
                section = Some(word);
            }
            (Some(value), Some(section)) => root[section][word] = Value::String(text[value].to_owned()),
            (Some(_), None) => {
                let message = format!("the key `{word}` is before the first section");
                faults.push(Fault::new("syntax", Site::Bytes(name), message));
            }
        }
    }
    if faults.is_empty() { Ok(Value::Object(root)) } else { Err(faults) }
}

/// Finds the spans of values and keys in a valid text. The span of a section is its name.
pub(crate) fn find(text: &str, wanted: &mut HashMap<&str, Spans>) {
    let mut note = |pointer: &Pointer, key: Range<usize>, value: Range<usize>| {
        if let Some(spans) = wanted.get_mut(pointer.as_str()) {
            *spans = Spans { key: Some(key), value: Some(value) };
        }
    };
    note(&Pointer::root(), 0..text.len(), 0..text.len());
    let mut at = Pointer::root();
    for (_, line) in lines(text) {
        match line {
            Ok(Line::Section(name)) => {
                at = Pointer::root().join(&text[name.clone()]);
                note(&at, name.clone(), name);
            }
            Ok(Line::Pair { key, value }) => {
                // an empty value is shown by its key
                let shown = if value.is_empty() { key.clone() } else { value };
                note(&at.join(&text[key.clone()]), key, shown);
            }
            Err(_) => {}
        }
    }
}

/// The lines that are neither blank nor comments, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, Result<Line, Fault>)> {
    let mut start = 0;
    // indentation of the previous key in the same section
    let mut indent = None;
    let numbered = text.split_inclusive('\n').enumerate();
    numbered.filter_map(move |(index, line)| {
        let content = line.trim();
        let begin = start + (line.len() - line.trim_start().len());
        let blanks = &text[start..begin.min(start + line.len())];
        start += line.len();
        if content.is_empty() || content.starts_with(['#', ';']) {
            return None;
        }
        let bytes = begin..begin + content.len();
        let is_section = content.starts_with('[');
        let line = if indent.is_some_and(|above| blanks.chars().count() > above) {
            // other parsers read this as a continuation of the value above
            Err("this line is indented deeper than the key above it")
        } else if content.contains(|c: char| c.is_control() && c != '\t') {
            // parsers disagree whether a lone carriage return ends a line
            Err("this line has a control character")
        } else {
            parse_line(content, begin)
        };
        indent = (!is_section).then(|| blanks.chars().count());
        let fault = |why: &str| {
            let fault = Fault::new("syntax", Site::Bytes(bytes), why);
            fault.hint("write `[section]`, `key=value`, or a comment after `#`; a value ends with its line")
        };
        Some((index + 1, line.map_err(fault)))
    })
}

/// Parses one line that begins at byte `begin`.
fn parse_line(content: &str, begin: usize) -> Result<Line, &'static str> {
    let within = |part: &str, offset: usize| {
        let start = begin + offset + (part.len() - part.trim_start().len());
        start..start + part.trim().len()
    };
    if let Some(rest) = content.strip_prefix('[') {
        let (name, after) = rest.rsplit_once(']').ok_or("the section has no closing `]`")?;
        if !(after.trim().is_empty() || after.trim_start().starts_with(['#', ';'])) {
            return Err("there is text after the `]` of this section");
        }
        return match name.trim() {
            "" => Err("the section has no name"),
            _ => Ok(Line::Section(within(name, 1))),
        };
    }
    let at = content.find(['=', ':']).ok_or("this is neither a section nor a key with a value")?;
    if at == 0 {
        return Err("the key before `=` is missing");
    }
    Ok(Line::Pair { key: within(&content[..at], 0), value: within(&content[at + 1..], at + 1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use serde_json::json;

    #[test]
    fn sections_keys_comments_and_blank_lines_are_parsed() {
        let text = "# a comment\n\n [main]\n enabled = 1\n ;enabled=0\n [ a b ]\n url: http://x/?a=b#c \r\n empty=\n[main]x=1\n";
        let (good, _) = text.rsplit_once("[main]").unwrap();
        let wanted = json!({"main": {"enabled": "1"}, "a b": {"url": "http://x/?a=b#c", "empty": ""}});
        assert_eq!(read(good), Ok(wanted));
        assert_eq!(read(""), Ok(json!({})));
    }

    #[test]
    fn fr_l12_keys_may_be_indented_below_their_section() {
        let text = "[main]\n    enabled = 1\n    override = 0\n  a = 1\n# comment\n\n  [types] ; what it serves\n\tcontent = x\n[a]b] # y\nk=v\n";
        let wanted = json!({"main": {"enabled": "1", "override": "0", "a": "1"}, "types": {"content": "x"}, "a]b": {"k": "v"}});
        assert_eq!(read(text), Ok(wanted));
        for (text, why) in [
            ("[main]\na=1\n  b=2\n", "this line is indented deeper than the key above it"),
            ("[main]x=1\n", "there is text after the `]` of this section"),
            ("[main] x\n", "there is text after the `]` of this section"),
        ] {
            assert_eq!(read(text).unwrap_err()[0].message, why);
        }
    }

    #[test]
    fn each_invalid_line_is_a_fault_with_its_place() {
        let text = "first=1\n[main]\na=1\n a=2\nb\n=c\n[open\n[ ]\na=3\n[main]\nb=\rc=\n";
        let source = Source::ini("x.conf", text.as_bytes()).unwrap();
        let faults = source.read().unwrap_err();
        let found: Vec<_> = faults
            .iter()
            .map(|fault| {
                let place = source.places(&[&fault.site])[0].clone().unwrap();
                (place.line, place.column, fault.code, fault.message.as_str())
            })
            .collect();
        assert_eq!(
            found,
            [
                (1, 1, "syntax", "the key `first` is before the first section"),
                (4, 2, "syntax", "this line is indented deeper than the key above it"),
                (5, 1, "syntax", "this is neither a section nor a key with a value"),
                (6, 1, "syntax", "the key before `=` is missing"),
                (7, 1, "syntax", "the section has no closing `]`"),
                (8, 1, "syntax", "the section has no name"),
                (9, 1, "duplicate-key", "duplicate key `a`"),
                (10, 2, "duplicate-key", "duplicate section `main`"),
                (11, 1, "syntax", "this line has a control character"),
            ]
        );
        assert_eq!(faults[6].label.as_deref(), Some("first on line 3"));
    }

    #[test]
    fn keys_values_and_sections_have_places() {
        let text = "\u{feff}[ä]\r\n  ; x\r\nkey = one, two\r\nnone =\r\n";
        let source = Source::ini("x.conf", text.as_bytes()).unwrap();
        let placed = |site: Site| {
            let place = source.places(&[&site])[0].clone().unwrap();
            (place.line, place.column, source.text()[place.bytes].to_owned())
        };
        assert_eq!(placed(Site::Key("/ä/key".into())), (3, 1, "key".to_owned()));
        assert_eq!(placed(Site::Value("/ä/key".into())), (3, 7, "one, two".to_owned()));
        assert_eq!(placed(Site::Within("/ä/key".into(), "two".into())), (3, 12, "two".to_owned()));
        assert_eq!(placed(Site::Value("/ä/none".into())), (4, 1, "none".to_owned()));
        assert_eq!(placed(Site::Value("/ä/missing".into())), (1, 2, "ä".to_owned()));
        assert_eq!(placed(Site::Value("/missing".into())).0, 1);
    }
}
