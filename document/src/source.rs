//! A named text: parsing it into a value, and finding the places of faults.

use crate::limits::{MAX_BYTES, too_large};
use crate::place::{Place, Spans};
use crate::{Element, Fault, SECRET_LITERAL, Site, Spelling, ini, json, yaml};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// Format of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON (RFC 8259).
    Json,
    /// YAML 1.2, core schema: `no` is text, `0755` is text.
    Yaml,
    /// INI: sections of keys; every value is a text.
    Ini,
}

/// A text and its name in messages.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: String,
    format: Format,
}

impl Source {
    /// A text named `name`. Its format follows from the name's extension, else from its first character.
    ///
    /// Bytes that are not text, or too many bytes, are a fault.
    pub fn new(name: impl Into<String>, bytes: &[u8]) -> Result<Self, Fault> {
        let (name, text) = (name.into(), text_of(bytes)?);
        let format = format_of(&name, &text);
        Ok(Self { name, text, format })
    }

    /// A JSON text. Unlike [`new`](Self::new) this makes no copy.
    pub fn json(name: impl Into<String>, text: String) -> Self {
        Self { name: name.into(), text, format: Format::Json }
    }

    /// An INI text, whatever its name is.
    pub fn ini(name: impl Into<String>, bytes: &[u8]) -> Result<Self, Fault> {
        Ok(Self { name: name.into(), text: text_of(bytes)?, format: Format::Ini })
    }

    /// An empty text, for a file that cannot be read.
    pub fn empty(name: impl Into<String>) -> Self {
        let name = name.into();
        let format = format_of(&name, "");
        Self { name, text: String::new(), format }
    }

    /// The name of the text in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Consumes the source and returns its text.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The format of the text.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Parses the text. Syntax errors and duplicate keys are faults.
    pub fn read(&self) -> Result<Value, Vec<Fault>> {
        match self.format {
            Format::Json => json::read(&self.text),
            Format::Yaml => yaml::read(&self.text),
            Format::Ini => ini::read(&self.text),
        }
    }

    /// Parses the text like [`read`](Self::read), but gives each element of the list `list` of the root to `each`, with its
    /// `member` apart, and leaves the list empty. So a long list of a JSON text is never in memory as a whole, and a member
    /// whose text repeats that of the element before is not parsed again. Also returns the [spellings](Self::spellings).
    ///
    /// If the text has faults, `each` may have received some elements.
    pub fn read_elements(
        &self,
        list: &str,
        member: &str,
        each: &mut dyn FnMut(Element),
    ) -> Result<(Value, Vec<Spelling>), Vec<Fault>> {
        if self.format == Format::Json {
            return json::read_elements(&self.text, list, member, each);
        }
        let mut root = self.read()?;
        let spellings = self.spellings(&root);
        if let Some(Value::Array(items)) = root.get_mut(list) {
            std::mem::take(items).into_iter().map(|item| Element::of(item, member)).for_each(each);
        }
        Ok((root, spellings))
    }

    /// The numbers and booleans that print differently from how they are written; `value` is the parsed text.
    pub fn spellings(&self, value: &Value) -> Vec<Spelling> {
        match self.format {
            Format::Json => json::spellings(&self.text),
            Format::Yaml => yaml::spellings(&self.text, value),
            Format::Ini => Vec::new(),
        }
    }

    /// The text with secrets found by `faults` replaced by stars, for output that shows its lines.
    pub fn masked(&self, faults: &[Fault]) -> Cow<'_, Self> {
        let secrets = || faults.iter().filter(|fault| fault.code == SECRET_LITERAL).map(|fault| &fault.site);
        if secrets().next().is_none() {
            return Cow::Borrowed(self);
        }
        let sites: Vec<&Site> = secrets().collect();
        let mut text = String::with_capacity(self.text.len());
        let mut bytes: Vec<Range<usize>> = self.bytes_of(&sites).into_iter().flatten().collect();
        bytes.sort_by_key(|bytes| bytes.start);
        for bytes in bytes {
            text.push_str(self.text.get(text.len()..bytes.start).unwrap_or_default());
            // keep the number of bytes and lines, so that every place stays the same
            let hidden = self.text.get(text.len()..bytes.end).unwrap_or_default();
            text.extend(hidden.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }));
        }
        text.push_str(self.text.get(text.len()..).unwrap_or_default());
        Cow::Owned(Self { text, name: self.name.clone(), format: self.format })
    }

    /// The place of each site, in the order of `sites`; none for [`Site::Whole`].
    ///
    /// One walk over the text serves all sites.
    pub fn places(&self, sites: &[&Site]) -> Vec<Option<Place>> {
        let mut bytes: Vec<(usize, Range<usize>)> = self
            .bytes_of(sites)
            .into_iter()
            .enumerate()
            .filter_map(|(index, bytes)| Some((index, bytes?)))
            .collect();
        bytes.sort_by_key(|(_, bytes)| bytes.start);
        let mut places = vec![None; sites.len()];
        let mut last = Place { line: 1, column: 1, bytes: 0..0 };
        for (index, bytes) in bytes {
            last = self.place_after(&last, bytes);
            places[index] = Some(last.clone());
        }
        places
    }

    /// The byte range of each site, in the order of `sites`.
    fn bytes_of(&self, sites: &[&Site]) -> Vec<Option<Range<usize>>> {
        let mut wanted: HashMap<&str, Spans> = sites
            .iter()
            .filter(|site| !matches!(site, Site::Bytes(_) | Site::Whole))
            .flat_map(|site| with_ancestors(site.pointer()))
            .map(|pointer| (pointer, Spans::default()))
            .collect();
        if !wanted.is_empty() {
            match self.format {
                Format::Json => json::find(&self.text, &mut wanted),
                Format::Yaml => yaml::find(&self.text, &mut wanted),
                Format::Ini => ini::find(&self.text, &mut wanted),
            }
        }
        sites.iter().map(|site| self.site_bytes(site, &wanted)).collect()
    }

    fn site_bytes(&self, site: &Site, found: &HashMap<&str, Spans>) -> Option<Range<usize>> {
        match site {
            Site::Whole => None,
            Site::Bytes(bytes) => Some(bytes.clone()),
            Site::Key(pointer) => {
                let own = found.get(pointer.as_str()).and_then(|spans| spans.key.clone());
                own.or_else(|| value_bytes(pointer.as_str(), found))
            }
            Site::Value(pointer) => value_bytes(pointer.as_str(), found),
            Site::Within(pointer, part) => {
                let value = value_bytes(pointer.as_str(), found)?;
                // search only this value: a part written with escapes is not found, and may occur in a later value
                let inside = self.text.get(value.clone()).and_then(|written| written.find(part.as_str()));
                match inside {
                    Some(offset) => Some(value.start + offset..value.start + offset + part.len()),
                    None => Some(value),
                }
            }
        }
    }

    /// The place of a byte range.
    pub fn place(&self, bytes: Range<usize>) -> Place {
        self.place_after(&Place { line: 1, column: 1, bytes: 0..0 }, bytes)
    }

    /// The place of a byte range that does not begin before `earlier`; counting continues from there.
    fn place_after(&self, earlier: &Place, bytes: Range<usize>) -> Place {
        let start = floor_boundary(&self.text, bytes.start);
        let between = &self.text[earlier.bytes.start.min(start)..start];
        let end = floor_boundary(&self.text, bytes.end).max(start);
        // a caret covers only its first line
        let end = self.text[start..end].find(['\n', '\r']).map_or(end, |at| start + at);
        let (line, column) = match between.rfind('\n') {
            None => (earlier.line, earlier.column + between.chars().count()),
            Some(at) => (earlier.line + between.matches('\n').count(), between[at + 1..].chars().count() + 1),
        };
        Place { line, column, bytes: start..end }
    }
}

/// Decodes UTF-8 and drops a byte order mark.
fn text_of(bytes: &[u8]) -> Result<String, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(too_large());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        Ok(text) => Err(not_text(text.find('\0').unwrap_or_default(), "NUL")),
        Err(error) => Err(not_text(error.valid_up_to(), "not valid UTF-8")),
    }
}

/// A pointer and its ancestors, nearest first.
fn with_ancestors(pointer: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(pointer), |pointer| pointer.rfind('/').map(|at| &pointer[..at]))
}

/// The byte range of a value, or of its nearest existing ancestor.
fn value_bytes(pointer: &str, found: &HashMap<&str, Spans>) -> Option<Range<usize>> {
    with_ancestors(pointer).find_map(|pointer| found.get(pointer)?.value.clone())
}

fn floor_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

fn not_text(at: usize, what: &str) -> Fault {
    let message = format!("the text is not readable: byte {at} is {what}");
    Fault::new("not-text", Site::Whole, message)
        .hint("agendas, registries and descriptors must be UTF-8 text")
}

fn format_of(name: &str, text: &str) -> Format {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("json") => Format::Json,
        Some("yaml" | "yml") => Format::Yaml,
        _ if text.trim_start().starts_with(['{', '[']) => Format::Json,
        _ => Format::Yaml,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn placed(name: &str, text: &str, fault: &Fault) -> (usize, usize, String) {
        let source = Source::new(name, text.as_bytes()).unwrap();
        let place = source.places(&[&fault.site])[0].clone().unwrap();
        (place.line, place.column, source.text()[place.bytes].to_owned())
    }

    #[test]
    fn json_and_yaml_have_places_of_values_keys_and_parts() {
        let json = "{\n \"operations\": [\n  {\"näme\": \"a\\n\", \"payload\": \"x @<b.out> y\"}\n ]\n}";
        let yaml = "operations:\n  - näme: a\n    payload: x @<b.out> y\n";
        for (name, text, lines) in [("a.json", json, [3, 3]), ("a.yaml", yaml, [2, 3])] {
            let key = placed(name, text, &Fault::key("c", "/operations/0/näme", ""));
            assert_eq!((key.0, key.2.trim_matches('"')), (lines[0], "näme"), "{name}");
            let part = Site::Within("/operations/0/payload".into(), "@<b.out>".into());
            let part = placed(name, text, &Fault::new("c", part, ""));
            assert_eq!((part.0, part.2.as_str()), (lines[1], "@<b.out>"), "{name}");
        }
    }

    #[test]
    fn an_escaped_part_is_not_found_in_another_value() {
        let part = Site::Within("/a".into(), "@<b.out>".into());
        for (name, text, whole) in [
            ("a.json", "{\"a\": \"x @<\\u0062.out>\", \"c\": \"@<b.out>\"}", "\"x @<\\u0062.out>\""),
            ("a.yaml", "a: \"x @<\\x62.out>\"\nc: \"@<b.out>\"\n", "\"x @<\\x62.out>\""),
        ] {
            assert_eq!(placed(name, text, &Fault::new("c", part.clone(), "")).2, whole);
        }
    }

    #[test]
    fn a_part_is_found_in_every_yaml_string_style() {
        let part = Site::Within("/a".into(), "@<b.out>".into());
        for text in [
            "a: x\n  y @<b.out>\n",
            "a: 'x\n  y @<b.out>'\n",
            "a: \"x\n  y @<b.out>\"\n",
            "a: |\n  x\n  y @<b.out>\n",
            "a: >-\n  x\n  y @<b.out>\n",
            "b: &b\n  x\n  @<b.out>\na: *b\n",
        ] {
            let (_, _, found) = placed("a.yaml", text, &Fault::new("c", part.clone(), ""));
            assert_eq!(found, if text.ends_with("*b\n") { "*b" } else { "@<b.out>" }, "{text}");
        }
    }

    #[test]
    fn elements_of_a_list_are_handed_over_and_the_rest_is_read() {
        for (name, text) in [
            ("a.json", "{\"x\": {\"list\": [7]}, \"list\": [1, {\"list\": [2], \"part\": 3}], \"n\": 1.50}"),
            ("a.yaml", "x: {list: [7]}\nlist:\n- 1\n- list: [2]\n  part: 3\nn: 1.50\n"),
        ] {
            let source = Source::new(name, text.as_bytes()).unwrap();
            let mut elements = Vec::new();
            let read = source.read_elements("list", "part", &mut |element| elements.push(element));
            let (root, spellings) = read.unwrap();
            assert_eq!(root, json!({"x": {"list": [7]}, "list": [], "n": 1.5}));
            let whole = [json!(1), json!({"list": [2], "part": 3})];
            assert_eq!(elements, whole.map(|element| Element::of(element, "part")));
            assert_eq!(spellings, source.spellings(&source.read().unwrap()));
        }
    }

    #[test]
    fn a_member_that_is_no_list_is_read_as_it_is() {
        for text in ["{\"list\": {\"list\": [1]}}", "{\"list\": null}", "[{\"list\": [1]}]", "7"] {
            let source = Source::new("a.json", text.as_bytes()).unwrap();
            let read = source.read_elements("list", "part", &mut |element| panic!("{element:?}"));
            assert_eq!(read.unwrap().0, source.read().unwrap());
        }
    }

    #[test]
    fn places_have_the_order_of_their_sites() {
        let source = Source::new("a.json", "{\"é\": 1,\n \"b\": [2, 3]}".as_bytes()).unwrap();
        let sites = ["/b/1", "/é", "/b", "/é"].map(|pointer| Site::Value(pointer.into()));
        let places = source.places(&[&sites[0], &sites[1], &Site::Whole, &sites[2], &sites[3]]);
        let places: Vec<_> = places.into_iter().map(|place| place.map(|p| (p.line, p.column))).collect();
        assert_eq!(places, [Some((2, 11)), Some((1, 7)), None, Some((2, 7)), Some((1, 7))]);
    }

    #[test]
    fn f46_masking_a_secret_keeps_every_place() {
        let text = "{\"a\": \"x é\\n\", \"b\": \"y\",\n \"c\": \"l\u{f6}ng\"}";
        for (name, text) in [("a.json", text), ("a.yaml", "a: |\n  x é\nb: y\nc: löng\n")] {
            let source = Source::new(name, text.as_bytes()).unwrap();
            let secret = |at: &str, part: &str| {
                Fault::new(SECRET_LITERAL, Site::Within(at.into(), part.into()), "").warning()
            };
            let faults = [secret("/c", "ön"), Fault::value("c", "/b", ""), secret("/a", "x é\n")];
            let masked = source.masked(&faults);
            assert!(
                !masked.text().contains(['x', 'é', 'ö']) && masked.text().contains('y'),
                "{}",
                masked.text()
            );
            let lines = |source: &Source| -> Vec<usize> { source.text().lines().map(str::len).collect() };
            assert_eq!(lines(&masked), lines(&source));
            assert!(matches!(source.masked(&faults[1..2]), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn format_follows_extension_then_first_character() {
        assert_eq!(format_of("a.yml", "{}"), Format::Yaml);
        assert_eq!(format_of("-", " {}"), Format::Json);
        assert_eq!(format_of("-", "a: 1"), Format::Yaml);
    }

    #[test]
    fn bytes_that_are_not_text_are_a_fault() {
        assert_eq!(Source::new("a", &[0x7f, b'E', 0xff]).unwrap_err().code, "not-text");
        assert_eq!(Source::new("a", b"a\0b").unwrap_err().code, "not-text");
    }

    #[test]
    fn byte_order_mark_and_carriage_returns_are_ignored() {
        let source = Source::new("a.yaml", b"\xef\xbb\xbfa: 1\r\nb: [x]\r\n").unwrap();
        assert_eq!(source.read().unwrap()["b"][0], "x");
        let place = source.places(&[&Site::Value("/b/0".into())])[0].clone().unwrap();
        assert_eq!((place.line, place.column), (2, 5));
    }
}
