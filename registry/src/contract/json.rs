//! JSON that a program gives, read so that nothing of it is lost or changed in silence.

use pop_document::Source;
use serde_json::Value;

/// Reads JSON. A key that stands twice in one map, and a number that cannot be kept exactly, are refused.
pub fn read_json(bytes: &[u8]) -> Result<Value, String> {
    let source = Source::new("result.json", bytes).map_err(|fault| fault.message)?;
    source.read().map_err(|faults| faults.into_iter().map(|fault| fault.message).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f24_what_cannot_be_kept_as_it_is_is_refused() {
        for (text, why) in [
            (r#"{"a": 1, "b": {"a": 1, "a": 2}}"#, "the key `a` stands twice in one map"),
            (
                "[1, 123456789012345678901]",
                "the number 123456789012345678901 has more digits than can be kept",
            ),
            ("-9223372036854775809", "the number -9223372036854775809 has more digits than can be kept"),
            ("{\"w\": 1,}", "this is not JSON: trailing comma"),
            ("1 2", "this is not JSON: trailing characters"),
        ] {
            assert_eq!(read_json(text.as_bytes()), Err(why.to_owned()));
        }
        assert!(read_json(&[b'"', 0xff, b'"']).is_err());
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert_eq!(read_json(&deep), Err("lists and maps are nested deeper than 127".to_owned()));
        let kept = r#"[18446744073709551615,-9223372036854775808,1.5e300,"123456789012345678901\\\""]"#;
        assert_eq!(read_json(kept.as_bytes()).unwrap().to_string(), kept.replace("e300", "e+300"));
    }
}
