//! Encoding and decoding of payloads: segment counts, limits and errors.

use std::error::Error;

use super::*;

const LIMIT: u64 = 1 << 20;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::from_pairs(pairs.iter().copied())
}

fn text_of(environment: &Environment) -> String {
    decode(environment, LIMIT).unwrap().unwrap().value
}

fn noise(characters: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + ((state >> 33) % 95) as u8)
    };
    std::iter::repeat_with(next).take(characters).collect()
}

fn deflated(chunk: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    for _ in 0..times {
        encoder.write_all(chunk).unwrap();
    }
    encoder.finish().unwrap()
}

fn compressed(bytes: &[u8]) -> Environment {
    let encoded = BASE64.encode(bytes);
    let segments = segments(&encoded, SEGMENT_CHARACTERS).enumerate();
    let segments = segments.map(|(number, segment)| pair(&segment_name(number), segment));
    Environment::from_pairs(segments.chain([pair(variable::PAYLOAD_TYPE, "COMPRESSEDENVVAR")]))
}

#[test]
fn the_payload_type_selects_the_source() {
    for payload_type in ["envVar", "ENVVAR", "", "carrier pigeon"] {
        let environment = environment(&[("POP_PAYLOAD_TYPE", payload_type), ("PAYLOAD", "{}")]);
        let found = decode(&environment, LIMIT).unwrap().unwrap();
        assert_eq!(found.value, "{}", "{payload_type}");
        assert_eq!(found.origin, Origin::Environment { name: "PAYLOAD".into() });
    }
    for payload_type in ["compressedEnvVar", "COMPRESSEDENVVAR", " compressedenvvar"] {
        let mut pairs = encode(r#"{"a":"ä"}"#, PayloadRule::Compressed).unwrap();
        pairs.extend([pair("POP_PAYLOAD_TYPE", payload_type), pair("PAYLOAD", "plain")]);
        let found = decode(&Environment::from_pairs(pairs), LIMIT).unwrap().unwrap();
        assert_eq!(found.value, r#"{"a":"ä"}"#, "{payload_type}");
        assert_eq!(found.origin, Origin::Environment { name: "POP_COMPRESSED_PAYLOAD_0".into() });
    }
    assert_eq!(decode(&Environment::default(), LIMIT).unwrap(), None);
}

#[test]
fn a_payload_can_be_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payload.json");
    std::fs::write(&path, "{\"big\":true}").unwrap();
    let pairs = encode_file(path.to_str().unwrap());
    let found = decode(&Environment::from_pairs(pairs.clone()), LIMIT).unwrap().unwrap();
    assert_eq!(found.value, "{\"big\":true}");
    assert_eq!(found.origin, Origin::Environment { name: "POP_PAYLOAD_FILE".into() });
    assert!(matches!(
        decode(&Environment::from_pairs(pairs.clone()), 11),
        Err(PayloadError::File(FileError::TooLarge { limit: 11, .. }))
    ));
    std::fs::remove_file(&path).unwrap();
    let error = decode(&Environment::from_pairs(pairs), LIMIT).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("payload.json"));
    let error = decode(&environment(&[("POP_PAYLOAD_TYPE", "file"), ("PAYLOAD", "x")]), LIMIT).unwrap_err();
    assert!(matches!(error, PayloadError::NoFile));
}

#[test]
fn the_payload_rule_is_a_setting() {
    let rule = |text: &str| Found::defaulted(text.to_owned()).parse::<PayloadRule>();
    assert_eq!(rule("envvar").unwrap().value, PayloadRule::Plain);
    assert_eq!(rule("CompressedEnvVar").unwrap().value, PayloadRule::Compressed);
    assert!(rule("gzip").is_err());
}

#[test]
fn segments_have_the_length_of_the_contract() {
    for (characters, count) in [(1, 1), (100_000, 1), (100_001, 2), (500_000, 5), (500_001, 6)] {
        let encoded = "A".repeat(characters);
        let cut: Vec<&str> = segments(&encoded, SEGMENT_CHARACTERS).collect();
        assert_eq!(cut.len(), count, "{characters}");
        assert_eq!(cut.concat(), encoded);
    }
}

#[test]
fn random_text_survives_the_round_trip() {
    for text in ["", "x", "ключ 😀", "\0 is fine here", &noise(512_875)] {
        let pairs = encode(text, PayloadRule::Compressed).unwrap();
        assert!(pairs.iter().all(|(_, value)| value.len() <= 100_000));
        assert_eq!(text_of(&Environment::from_pairs(pairs)), text);
    }
    let pairs = encode(&noise(512_875), PayloadRule::Compressed).unwrap();
    assert!(pairs.len() > 5, "{} variables", pairs.len());
    let small = encode_in_segments("{\"a\":1}", PayloadRule::Compressed, NonZeroUsize::MIN).unwrap();
    assert!(small.len() > 10);
    assert_eq!(text_of(&Environment::from_pairs(small)), "{\"a\":1}");
}

#[test]
fn output_of_another_zlib_writer_is_decoded() {
    for padding in ["==", ""] {
        let value = format!("eJyrVkpUsjKs5QIACj0CEw{padding}");
        let pairs = [("POP_PAYLOAD_TYPE", "compressedEnvVar"), ("POP_COMPRESSED_PAYLOAD_0", value.as_str())];
        assert_eq!(text_of(&environment(&pairs)), "{\"a\":1}\n");
    }
}

#[test]
fn plain_text_is_limited_to_one_variable() {
    let longest = "x".repeat(MAX_PLAIN_BYTES);
    assert!(fits_plain(&longest));
    let pairs = encode(&longest, PayloadRule::Plain).unwrap();
    assert_eq!(text_of(&Environment::from_pairs(pairs)), longest);
    let longer = longest + "x";
    assert!(!fits_plain(&longer));
    assert!(matches!(encode(&longer, PayloadRule::Plain), Err(PayloadError::TooLong { length: 131_064 })));
    assert!(matches!(encode("a\0b", PayloadRule::Plain), Err(PayloadError::ZeroByte)));
}

#[test]
fn f37_a_zip_bomb_is_rejected_before_allocation() {
    let bomb = deflated(&vec![b' '; 1 << 20], 300);
    assert!(bomb.len() < 400_000, "{} bytes", bomb.len());
    let environment = compressed(&bomb);
    for limit in [0, 1000, LIMIT, MAX_PAYLOAD_BYTES] {
        let error = decode(&environment, limit).unwrap_err();
        assert_eq!(error.to_string(), format!("compressed payload inflates to more than {limit} bytes"));
    }
}

#[test]
fn f37_the_limit_is_exact() {
    let environment = compressed(&deflated(b"0123456789", 1));
    assert_eq!(decode(&environment, 10).unwrap().unwrap().value, "0123456789");
    assert!(matches!(decode(&environment, 9), Err(PayloadError::TooLarge { limit: 9 })));
}

#[test]
fn broken_segments_are_refused() {
    let announced = environment(&[("POP_PAYLOAD_TYPE", "compressedEnvVar"), ("PAYLOAD", "{}")]);
    assert!(matches!(decode(&announced, LIMIT), Err(PayloadError::NoSegment)));

    let mut pairs = encode(&noise(300_000), PayloadRule::Compressed).unwrap();
    pairs.remove(2);
    let error = decode(&Environment::from_pairs(pairs), LIMIT).unwrap_err();
    assert_eq!(error.to_string(), "compressed payload cannot be inflated (segments read: 1)");
    assert!(error.hint().contains("gap"));

    for (value, message) in [
        ("!!!!", "compressed payload is not base64 (segments read: 1)"),
        ("AAAA", "compressed payload cannot be inflated (segments read: 1)"),
        ("eJyrVkpUsjKs5QIACj0C", "compressed payload cannot be inflated (segments read: 1)"),
    ] {
        let pairs = [("POP_PAYLOAD_TYPE", "compressedEnvVar"), ("POP_COMPRESSED_PAYLOAD_0", value)];
        assert_eq!(decode(&environment(&pairs), LIMIT).unwrap_err().to_string(), message, "{value}");
    }
    let binary = compressed(&deflated(b"\xff", 1));
    assert!(matches!(decode(&binary, LIMIT), Err(PayloadError::NotText(_))));
}
