//! Memory use of a zip bomb, measured in its own process.
#![cfg(target_os = "linux")]

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use pop_field_retriever::{Environment, MAX_PAYLOAD_BYTES, PayloadError, payload};

/// Peak memory of this process, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn f37_a_zip_bomb_allocates_no_memory() {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..300 {
        zlib.write_all(&blanks).unwrap();
    }
    let encoded = STANDARD.encode(zlib.finish().unwrap());
    let environment = Environment::from_pairs([
        ("POP_PAYLOAD_TYPE", "compressedEnvVar"),
        ("POP_COMPRESSED_PAYLOAD_0", encoded.as_str()),
    ]);
    let before = peak().unwrap();
    let error = payload::decode(&environment, MAX_PAYLOAD_BYTES).unwrap_err();
    assert!(matches!(error, PayloadError::TooLarge { limit: MAX_PAYLOAD_BYTES }));
    let grown = peak().unwrap() - before;
    assert!(grown < 8 << 10, "{grown} KiB");
}
