//! One line of a journal: a checksum in eight hexadecimal digits, a space, JSON, a line feed.
//!
//! The first line is the header, every other line an event. docs/formats/journal.md describes the format; every change of
//! it changes its number.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::Write as _;

/// Number of the format that this version writes.
pub(crate) const FORMAT: u32 = 2;

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

/// Appends the line of a value.
pub(crate) fn encode(value: &impl Serialize, into: &mut Vec<u8>) -> serde_json::Result<()> {
    let start = into.len();
    into.extend_from_slice(b"00000000 ");
    serde_json::to_writer(&mut *into, value)?;
    let checksum = checksum(&into[start + CHECKSUM + 1..]);
    into[start..start + CHECKSUM].copy_from_slice(&checksum);
    into.push(b'\n');
    Ok(())
}

/// The checksum of bytes in hexadecimal digits.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut digits = [0; CHECKSUM];
    // eight digits always fit in eight bytes
    write!(digits.as_mut_slice(), "{:08x}", crc32fast::hash(bytes)).ok();
    digits
}

/// The checksum that a line says it has; 0 if it says none.
pub(crate) fn checksum_of(line: &[u8]) -> u32 {
    let digits = line.get(..CHECKSUM).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

/// The JSON of a line, if its checksum is correct. `line` has no line feed.
pub(crate) fn decode(line: &[u8]) -> Option<&[u8]> {
    let (written, rest) = line.split_at_checked(CHECKSUM)?;
    let json = rest.strip_prefix(b" ")?;
    (checksum(json) == written).then_some(json)
}

/// The header in a line. `line` has no line feed.
pub(crate) fn header(line: &[u8]) -> Option<Header> {
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
