//! Launch data of a process: properties files, and payloads in the environment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pop_field_retriever::payload::{decode, encode_in_segments};
use pop_field_retriever::{Environment, PayloadError, PayloadRule, Properties};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;

/// A properties file is read, or refused with one of its line numbers. Written again, it reads the same.
pub fn properties(bytes: &[u8]) {
    let file = Path::new("p");
    let lines = 1 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let read = match Properties::parse(file, bytes) {
        Ok(read) => read,
        Err(error) => {
            let message = error.to_string();
            let line = message.split(':').nth(1).and_then(|line| line.parse::<usize>().ok());
            return assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{message}");
        }
    };
    let mut written = String::new();
    for property in read.iter() {
        assert!((1..=lines).contains(&(property.line as usize)), "{property:?}");
        assert_eq!(read.find(&property.key).map(|found| found.value).as_ref(), Some(&property.value));
        writeln!(written, "{}={}", escaped(&property.key), escaped(&property.value)).unwrap();
    }
    let again = Properties::parse(file, written.as_bytes()).unwrap();
    let pairs = |properties: &Properties| -> Vec<(String, String)> {
        properties.iter().map(|property| (property.key.clone(), property.value.clone())).collect()
    };
    assert_eq!(pairs(&again), pairs(&read), "{written}");
}

/// The text with everything except letters and digits escaped.
fn escaped(text: &str) -> String {
    let unit = |unit: u16| match char::from_u32(u32::from(unit)) {
        Some(plain) if plain.is_ascii_alphanumeric() => plain.to_string(),
        _ => format!("\\u{unit:04x}"),
    };
    text.encode_utf16().map(unit).collect()
}

/// The largest inflated payload, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Compressed segments inflate within the limit or are refused. A compressed text comes back unchanged.
pub fn payload(bytes: &[u8]) {
    let Some(([kind, size], rest)) = bytes.split_first_chunk() else { return };
    let size = NonZeroUsize::new(usize::from(*size)).unwrap_or(NonZeroUsize::MIN);
    match kind % 3 {
        0 => drop(inflated(&segments(&String::from_utf8_lossy(rest), size), LIMIT)),
        1 => drop(inflated(&segments(&STANDARD.encode(rest), size), LIMIT)),
        _ => {
            let text = String::from_utf8_lossy(rest);
            let variables = encode_in_segments(&text, PayloadRule::Compressed, size).unwrap();
            let length = text.len() as u64;
            assert_eq!(inflated(&variables, length).unwrap(), text);
            if let Some(less) = length.checked_sub(1) {
                assert!(matches!(inflated(&variables, less), Err(PayloadError::TooLarge { .. })));
            }
        }
    }
}

fn segments(encoded: &str, size: NonZeroUsize) -> Vec<(String, String)> {
    let characters: Vec<char> = encoded.chars().collect();
    let segments = characters.chunks(size.get()).enumerate();
    let named =
        segments.map(|(n, segment)| (format!("POP_COMPRESSED_PAYLOAD_{n}"), segment.iter().collect()));
    named.chain([("POP_PAYLOAD_TYPE".to_owned(), "compressedEnvVar".to_owned())]).collect()
}

fn inflated(variables: &[(String, String)], limit: u64) -> Result<String, PayloadError> {
    let text = decode(&Environment::from_pairs(variables.to_vec()), limit)?.unwrap().value;
    assert!(text.len() as u64 <= limit);
    Ok(text)
}
