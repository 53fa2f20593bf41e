//! One line of a journal: a checksum in eight hexadecimal digits, a space, JSON, a line end.
//!
//! The first line is the header, every other an event. The format is described in docs/formats/journal.md; its
//! number changes with it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::Write as _;

/// The number of the format written here.
pub(crate) const FORMAT: u32 = 2;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    /// The number of the format.
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
    let checksum = digits(&into[start + CHECKSUM + 1..]);
    into[start..start + CHECKSUM].copy_from_slice(&checksum);
    into.push(b'\n');
    Ok(())
}

/// The checksum of some bytes as it is written.
fn digits(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut digits = [0; CHECKSUM];
    // eight digits always fit in eight bytes
    write!(digits.as_mut_slice(), "{:08x}", crc32fast::hash(bytes)).ok();
    digits
}

/// The JSON of a line without its end, if its checksum is right.
pub(crate) fn decode(line: &[u8]) -> Option<&[u8]> {
    let (checksum, rest) = line.split_at_checked(CHECKSUM)?;
    let json = rest.strip_prefix(b" ")?;
    (digits(json) == checksum).then_some(json)
}

/// The header in a line without its end.
pub(crate) fn header(line: &[u8]) -> Option<Header> {
    let json = decode(line)?;
    // a header of another format may have other fields; its number is what is wanted then
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
    fn numbers_are_read_back_as_they_were_written() {
        for number in [0.1 + 0.2, 1.175_214_425_203_763_5e214, 1.184_467_440_737_095_5e20, f64::MIN_POSITIVE]
        {
            let mut line = Vec::new();
            encode(&number, &mut line).unwrap();
            let json = decode(line.strip_suffix(b"\n").unwrap()).unwrap();
            assert_eq!(serde_json::from_slice::<f64>(json).unwrap(), number);
        }
    }
}
