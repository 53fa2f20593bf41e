//! What a mask hides, what it lets through, and that no cut changes it.

use super::*;

fn mask(values: &[&str]) -> Mask {
    Mask::new(values.iter().map(|value| (*value).to_owned()))
}

#[test]
fn f45_a_value_is_hidden_in_every_spelling() {
    let mask = mask(&["s3cr/t wörd"]);
    for (written, seen) in [
        ("a s3cr/t wörd b", "a *** b"),
        ("s3cr%2Ft%20w%C3%B6rd", "***"),
        ("s3cr%2ft+w%c3%b6rd", "***"),
        (r#"{"a": "s3cr\/t w\u00f6rd"}"#, r#"{"a": "***"}"#),
        ("733363722F742077C3B67264", "***"),
        ("s3cr/t word", "s3cr/t word"),
    ] {
        assert_eq!(mask.text(written), seen);
    }
}
