//! Payloads in the environment: plain, compressed in segments, or as a file.
//!
//! A compressed payload is UTF-8 in zlib in standard base64, cut into segments short enough for one variable.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD_INDIFFERENT};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use thiserror::Error;

use crate::environment::Environment;
use crate::field::{FieldValue, Found, Origin};
use crate::file::{FileError, read_text};
use crate::names::environment as variable;

/// Default limit of a payload, in bytes.
pub const MAX_PAYLOAD_BYTES: u64 = 256 << 20;
/// Default length of a compressed segment, in characters.
pub const SEGMENT_CHARACTERS: NonZeroUsize = match NonZeroUsize::new(100_000) {
    Some(characters) => characters,
    None => NonZeroUsize::MIN,
};
/// The longest value of the variable `PAYLOAD` on Linux, in bytes.
pub const MAX_PLAIN_BYTES: usize = (128 << 10) - variable::PAYLOAD.len() - "=\0".len();

const ENV_VAR: &str = "envVar";
const COMPRESSED_ENV_VAR: &str = "compressedEnvVar";
const FILE: &str = "file";
/// Decoding accepts missing padding, which some writers omit.
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PAD_INDIFFERENT);

/// How a payload is encoded in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PayloadRule {
    /// Uncompressed, in one variable.
    #[default]
    Plain,
    /// Compressed, in one or more variables.
    Compressed,
}

impl FieldValue for PayloadRule {
    fn parse_field(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.eq_ignore_ascii_case(ENV_VAR) {
            Ok(Self::Plain)
        } else if text.eq_ignore_ascii_case(COMPRESSED_ENV_VAR) {
            Ok(Self::Compressed)
        } else {
            Err("one of `envVar`, `compressedEnvVar`")
        }
    }
}

/// Error when decoding or encoding a payload in the environment.
#[derive(Debug, Error)]
pub enum PayloadError {
    /// The payload type is `compressedEnvVar`, but there is no first segment.
    #[error("`POP_PAYLOAD_TYPE` is `compressedEnvVar` but `POP_COMPRESSED_PAYLOAD_0` is not set")]
    NoSegment,
    /// The payload type is `file`, but there is no path.
    #[error("`POP_PAYLOAD_TYPE` is `file` but `POP_PAYLOAD_FILE` is not set")]
    NoFile,
    /// The payload file cannot be used.
    #[error("payload file of `POP_PAYLOAD_FILE` is not usable")]
    File(#[source] FileError),
    /// The segments are not base64.
    #[error("compressed payload is not base64 (segments read: {segments})")]
    Base64 {
        /// Number of segments read.
        segments: usize,
        /// Error of the decoder.
        #[source]
        source: base64::DecodeError,
    },
    /// The decoded segments are not a complete zlib stream.
    #[error("compressed payload cannot be inflated (segments read: {segments})")]
    Zlib {
        /// Number of segments read.
        segments: usize,
        /// Error of the decoder.
        #[source]
        source: io::Error,
    },
    /// The inflated payload is longer than the limit.
    #[error("compressed payload inflates to more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The inflated payload is not UTF-8.
    #[error("compressed payload is not UTF-8 text")]
    NotText(#[source] std::string::FromUtf8Error),
    /// The payload is too long for one variable.
    #[error("payload of {length} bytes does not fit in the environment variable `PAYLOAD`")]
    TooLong {
        /// Length of the payload, in bytes.
        length: usize,
    },
    /// The payload has a zero byte, which a variable cannot contain.
    #[error("payload has a zero byte and cannot be an environment variable")]
    ZeroByte,
    /// Compression failed.
    #[error("payload cannot be compressed")]
    Deflate(#[source] io::Error),
}

impl PayloadError {
    /// How to fix the error.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSegment | Self::NoFile => "set it, or unset `POP_PAYLOAD_TYPE` and set `PAYLOAD`",
            Self::File(_) => "name a readable file of UTF-8 text within the size limit",
            Self::Base64 { .. } | Self::Zlib { .. } => {
                "look for a gap in `POP_COMPRESSED_PAYLOAD_0`, `_1`, … or one left by another payload"
            }
            Self::NotText(_) => "compress UTF-8 text",
            Self::TooLarge { .. } => "pass a smaller payload, or raise the limit",
            Self::TooLong { .. } | Self::ZeroByte => "pass it compressed or as a file",
            Self::Deflate(_) => "pass it plain or as a file",
        }
    }
}

/// Reads the payload from the environment; inflated or from a file it has at most `limit` bytes.
///
/// `POP_PAYLOAD_TYPE` selects the source, in any letter case. If it is unset or unknown, the source is `PAYLOAD`.
/// The inflated size is counted before memory is allocated.
pub fn decode(environment: &Environment, limit: u64) -> Result<Option<Found<String>>, PayloadError> {
    let payload_type = environment.value(variable::PAYLOAD_TYPE).map(str::trim).unwrap_or_default();
    if payload_type.eq_ignore_ascii_case(COMPRESSED_ENV_VAR) {
        decode_segments(environment, limit).map(Some)
    } else if payload_type.eq_ignore_ascii_case(FILE) {
        let found = environment.find(&[variable::PAYLOAD_FILE]).ok_or(PayloadError::NoFile)?;
        let text = read_text(Path::new(&found.value), limit).map_err(PayloadError::File)?;
        Ok(Some(Found::new(text, found.origin)))
    } else {
        Ok(environment.find(&[variable::PAYLOAD]))
    }
}

/// The variables for a payload.
pub fn encode(text: &str, rule: PayloadRule) -> Result<Vec<(String, String)>, PayloadError> {
    encode_in_segments(text, rule, SEGMENT_CHARACTERS)
}

/// The variables for a payload, with compressed segments of the given length.
pub fn encode_in_segments(
    text: &str,
    rule: PayloadRule,
    characters: NonZeroUsize,
) -> Result<Vec<(String, String)>, PayloadError> {
    match rule {
        PayloadRule::Plain if text.contains('\0') => Err(PayloadError::ZeroByte),
        PayloadRule::Plain if text.len() > MAX_PLAIN_BYTES => {
            Err(PayloadError::TooLong { length: text.len() })
        }
        PayloadRule::Plain => Ok(vec![pair(variable::PAYLOAD_TYPE, ENV_VAR), pair(variable::PAYLOAD, text)]),
        PayloadRule::Compressed => {
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
            zlib.write_all(text.as_bytes()).map_err(PayloadError::Deflate)?;
            let encoded = BASE64.encode(zlib.finish().map_err(PayloadError::Deflate)?);
            let segments = segments(&encoded, characters).enumerate();
            let segments = segments.map(|(number, segment)| pair(&segment_name(number), segment));
            Ok(std::iter::once(pair(variable::PAYLOAD_TYPE, COMPRESSED_ENV_VAR)).chain(segments).collect())
        }
    }
}

/// The variables for a payload in a file that the caller wrote.
pub fn encode_file(path: &str) -> Vec<(String, String)> {
    vec![pair(variable::PAYLOAD_TYPE, FILE), pair(variable::PAYLOAD_FILE, path)]
}

/// Whether a payload fits into `PAYLOAD`.
pub fn fits_plain(text: &str) -> bool {
    text.len() <= MAX_PLAIN_BYTES && !text.contains('\0')
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn segment_name(number: usize) -> String {
    format!("{}{number}", variable::COMPRESSED_PAYLOAD_PREFIX)
}

/// Cuts ASCII text into segments.
fn segments(encoded: &str, characters: NonZeroUsize) -> impl Iterator<Item = &str> {
    let characters = characters.get();
    (0..encoded.len())
        .step_by(characters)
        .filter_map(move |start| encoded.get(start..encoded.len().min(start.saturating_add(characters))))
}

fn decode_segments(environment: &Environment, limit: u64) -> Result<Found<String>, PayloadError> {
    let mut encoded = String::new();
    let mut segments = 0;
    while let Some(segment) = environment.value(&segment_name(segments)) {
        encoded.push_str(segment);
        segments += 1;
    }
    if segments == 0 {
        return Err(PayloadError::NoSegment);
    }
    let deflated = BASE64.decode(&encoded).map_err(|source| PayloadError::Base64 { segments, source })?;
    let zlib = |source| PayloadError::Zlib { segments, source };
    let inflate = || ZlibDecoder::new(deflated.as_slice()).take(limit.saturating_add(1));
    let length = io::copy(&mut inflate(), &mut io::sink()).map_err(zlib)?;
    if length > limit {
        return Err(PayloadError::TooLarge { limit });
    }
    let mut bytes = Vec::with_capacity(length as usize);
    inflate().read_to_end(&mut bytes).map_err(zlib)?;
    let text = String::from_utf8(bytes).map_err(PayloadError::NotText)?;
    Ok(Found::new(text, Origin::Environment { name: segment_name(0) }))
}

#[cfg(test)]
mod tests;
