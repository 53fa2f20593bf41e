//! A parser of Java .properties files that preserves order, line numbers and duplicates.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::field::{Found, Origin};
use crate::file::{FileError, read_bytes};

/// The largest properties file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// A key with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// Unescaped key.
    pub key: String,
    /// Unescaped value.
    pub value: String,
    /// Line of the key, from 1.
    pub line: u32,
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on line {}", self.key, self.line)
    }
}

/// The properties of one file. The last of equal keys wins.
///
/// `Debug` prints only keys, because values may be secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    file: PathBuf,
    entries: Vec<Property>,
    places: BTreeMap<String, usize>,
    warnings: Vec<PropertyWarning>,
}

/// A warning about a properties file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyWarning {
    /// A duplicate key; the later line wins.
    Replaced {
        /// Path of the file, as the user named it.
        file: PathBuf,
        /// The duplicate key.
        key: String,
        /// Line without effect, from 1.
        line: u32,
        /// Line that replaces it, from 1.
        by: u32,
    },
}

impl fmt::Display for PropertyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Replaced { file, key, line, by } = self;
        write!(f, "property `{key}` ({}:{line}) is replaced by line {by}", file.display())
    }
}

/// Error in a properties file.
#[derive(Debug, Error)]
pub enum PropertiesError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// An escape is not four hexadecimal digits, or half of a surrogate pair.
    #[error("{}:{line}: `\\u{found}` is not a character", .file.display())]
    Escape {
        /// Path of the file, as the user named it.
        file: PathBuf,
        /// Line of the escape, from 1.
        line: u32,
        /// Text after the `\u`.
        found: String,
    },
}

impl PropertiesError {
    /// How to fix the error.
    pub fn hint(&self) -> String {
        match self {
            Self::File(_) => "name a readable file".to_owned(),
            Self::Escape { .. } => {
                "write `\\u` and four hexadecimal digits, or `\\\\u` for a backslash before a u".to_owned()
            }
        }
    }
}

impl Properties {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, PropertiesError> {
        Self::parse(file, &read_bytes(file, MAX_FILE_BYTES)?)
    }

    /// Parses the content of a file. If any byte is not UTF-8, the whole file is read as Latin-1.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, PropertiesError> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
            Err(_) => bytes.iter().copied().map(char::from).collect(),
        };
        let mut properties = Self { file: file.to_owned(), ..Self::default() };
        for line in LogicalLines::new(&text) {
            properties.add(line.split(file)?);
        }
        Ok(properties)
    }

    /// Finds the value of a key.
    pub fn find(&self, key: &str) -> Option<Found<String>> {
        let Property { key, value, line } = self.entries.get(*self.places.get(key)?)?;
        let origin = Origin::Property { file: self.file.clone(), line: *line, key: key.clone() };
        Some(Found::new(value.clone(), origin))
    }

    /// The effective properties, in file order.
    pub fn iter(&self) -> impl Iterator<Item = &Property> {
        self.entries.iter().enumerate().filter_map(|(place, property)| {
            (self.places.get(&property.key) == Some(&place)).then_some(property)
        })
    }

    /// Path of the file, as the user named it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Warnings about the file.
    pub fn warnings(&self) -> &[PropertyWarning] {
        &self.warnings
    }

    fn add(&mut self, property: Property) {
        let place = self.entries.len();
        if let Some(earlier) = self.places.insert(property.key.clone(), place) {
            self.warnings.push(PropertyWarning::Replaced {
                file: self.file.clone(),
                key: property.key.clone(),
                line: self.entries.get(earlier).map_or(property.line, |earlier| earlier.line),
                by: property.line,
            });
        }
        self.entries.push(property);
    }
}

/// The escaped characters of one key and value, each with its line.
struct LogicalLine {
    characters: Vec<(char, u32)>,
}

impl LogicalLine {
    /// Splits at the first `=`, `:` or white space that no backslash precedes.
    fn split(&self, file: &Path) -> Result<Property, PropertiesError> {
        let characters = &self.characters;
        let mut end = 0;
        while let Some((character, _)) = characters.get(end) {
            match character {
                '\\' => end += 2,
                '=' | ':' => break,
                character if is_blank(*character) => break,
                _ => end += 1,
            }
        }
        let end = end.min(characters.len());
        let mut start = skip_blanks(characters, end);
        if matches!(characters.get(start), Some(('=' | ':', _))) {
            start = skip_blanks(characters, start + 1);
        }
        Ok(Property {
            key: unescape(file, characters.get(..end).unwrap_or_default())?,
            value: unescape(file, characters.get(start..).unwrap_or_default())?,
            line: characters.first().map_or(0, |(_, line)| *line),
        })
    }
}

/// Joins lines that end in a backslash, and skips blank lines and comments.
struct LogicalLines<'a> {
    lines: std::vec::IntoIter<(u32, &'a str)>,
}

impl<'a> LogicalLines<'a> {
    fn new(text: &'a str) -> Self {
        let mut lines = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            lines.push((lines.len() as u32 + 1, line.trim_start_matches(is_blank)));
            rest = after.strip_prefix("\r\n").or_else(|| after.strip_prefix(['\n', '\r'])).unwrap_or(after);
        }
        Self { lines: lines.into_iter() }
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = LogicalLine;

    fn next(&mut self) -> Option<LogicalLine> {
        let mut characters = Vec::new();
        for (number, line) in self.lines.by_ref() {
            // like java.util.Properties: a line of only a backslash does not start a property
            if characters.is_empty() && (line.is_empty() || line.starts_with(['#', '!'])) {
                continue;
            }
            let backslashes = line.len() - line.trim_end_matches('\\').len();
            let continued = backslashes % 2 == 1;
            let content = if continued { &line[..line.len() - 1] } else { line };
            characters.extend(content.chars().map(|character| (character, number)));
            if !continued && !characters.is_empty() {
                break;
            }
        }
        (!characters.is_empty()).then_some(LogicalLine { characters })
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0c')
}

fn skip_blanks(characters: &[(char, u32)], start: usize) -> usize {
    start + characters.iter().skip(start).take_while(|(character, _)| is_blank(*character)).count()
}

fn unescape(file: &Path, characters: &[(char, u32)]) -> Result<String, PropertiesError> {
    let mut text = String::with_capacity(characters.len());
    let mut rest = characters.iter();
    while let Some((character, _)) = rest.next() {
        if *character != '\\' {
            text.push(*character);
            continue;
        }
        match rest.next() {
            None => {}
            Some(('t', _)) => text.push('\t'),
            Some(('n', _)) => text.push('\n'),
            Some(('r', _)) => text.push('\r'),
            Some(('f', _)) => text.push('\x0c'),
            Some(('u', line)) => {
                let escape = rest.as_slice();
                let (character, used) = unicode(escape).ok_or_else(|| PropertiesError::Escape {
                    file: file.to_owned(),
                    line: *line,
                    found: escape.iter().take(4).map(|(character, _)| character).collect(),
                })?;
                text.push(character);
                rest = escape.get(used..).unwrap_or_default().iter();
            }
            Some((other, _)) => text.push(*other),
        }
    }
    Ok(text)
}

/// Decodes the digits after `\u`: one unit, or a high surrogate followed by an escaped low one.
fn unicode(escape: &[(char, u32)]) -> Option<(char, usize)> {
    let first = unit(escape.get(..4)?)?;
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Some((character, 4));
    }
    let [('\\', _), ('u', _), digits @ ..] = escape.get(4..10)? else { return None };
    let character = char::decode_utf16([first, unit(digits)?]).next()?.ok()?;
    Some((character, 10))
}

fn unit(digits: &[(char, u32)]) -> Option<u16> {
    digits.iter().try_fold(0, |unit: u16, (digit, _)| Some((unit << 4) | digit.to_digit(16)? as u16))
}

#[cfg(test)]
mod tests;
