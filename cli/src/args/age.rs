//! Ages on the command line: a whole number and a unit, for example `10m` or `7d`.

use std::time::Duration;

/// Units and their lengths in seconds.
const UNITS: [(&str, u64); 5] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800)];

/// Parses an age.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let parsed = UNITS.iter().find_map(|(unit, seconds)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(*seconds)
    });
    parsed.map(Duration::from_secs).ok_or_else(|| {
        "write a whole number and a unit: s, m, h, d or w (weeks), for example `10m` or `7d`".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_a_number_with_a_unit() {
        for (text, seconds) in
            [("0s", 0), ("90s", 90), ("10m", 600), ("36h", 129_600), ("7d", 604_800), ("2w", 1_209_600)]
        {
            assert_eq!(age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "10", "m", "1.5h", "-1d", "10 m", "10min", "99999999999999999999d", "30500568904944w"]
        {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
