//! One line of a journal: a checksum in eight hexadecimal digits, a space, text, a line feed.
//!
//! The first line is the header, in JSON. docs/formats/journal.md describes the format; every change of it changes its
//! number.

use super::JournalError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::Path;

/// Number of the format that this version writes.
pub(crate) const FORMAT: u32 = 3;

/// The format before: every event is a line of JSON, as many are in [`FORMAT`].
pub(crate) const JSON_FORMAT: u32 = 2;

/// The first line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    /// Format number.
    pub(crate) format: u32,
    /// The digest of the run's frozen inputs.
    pub(crate) inputs: String,
}

const CHECKSUM: usize = 8;

/// Appends the line of a value in JSON.
pub(crate) fn encode(value: &impl Serialize, into: &mut Vec<u8>) -> io::Result<()> {
    encode_line(into, |line| Ok(serde_json::to_writer(line, value)?))
}

/// Appends the line of a text, which `write` appends.
pub(crate) fn encode_line(
    into: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let start = into.len();
    into.extend_from_slice(b"00000000 ");
    write(into)?;
    let checksum = checksum(&into[start + CHECKSUM + 1..]);
    into[start..start + CHECKSUM].copy_from_slice(&checksum);
    into.push(b'\n');
    Ok(())
}

/// The checksum of bytes in hexadecimal digits.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let checksum = crc32fast::hash(bytes);
    std::array::from_fn(|index| DIGITS[(checksum >> (4 * (CHECKSUM - 1 - index)) & 15) as usize])
}

/// The checksum that a line says it has; 0 if it says none.
pub(crate) fn checksum_of(line: &[u8]) -> u32 {
    let digits = line.get(..CHECKSUM).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

/// The text of a line, if its checksum is correct. `line` has no line feed.
pub(crate) fn decode(line: &[u8]) -> Option<&[u8]> {
    let (written, rest) = line.split_at_checked(CHECKSUM)?;
    let text = rest.strip_prefix(b" ")?;
    (checksum(text) == written).then_some(text)
}

/// The header in a line. `line` has no line feed. `path` is the journal in messages.
pub(crate) fn header(line: &[u8], path: &Path) -> Result<Header, JournalError> {
    let header = any_header(line).ok_or_else(|| JournalError::NoJournal { path: path.to_owned() })?;
    match header.format {
        FORMAT | JSON_FORMAT => Ok(header),
        found => Err(JournalError::Format { path: path.to_owned(), found, known: FORMAT }),
    }
}

fn any_header(line: &[u8]) -> Option<Header> {
    let json = decode(line)?;
    // a header of another format may have other fields; then only its number is read
    serde_json::from_slice(json).ok().or_else(|| {
        let value: Value = serde_json::from_slice(json).ok()?;
        let format = u32::try_from(value.get("format")?.as_u64()?).ok()?;
        Some(Header { format, inputs: String::new() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_back_exactly() {
        for number in [0.1 + 0.2, 1.175_214_425_203_763_5e214, 1.184_467_440_737_095_5e20, f64::MIN_POSITIVE]
        {
            let mut line = Vec::new();
            encode(&number, &mut line).unwrap();
            let json = decode(line.strip_suffix(b"\n").unwrap()).unwrap();
            assert_eq!(serde_json::from_slice::<f64>(json).unwrap(), number);
        }
    }
}
