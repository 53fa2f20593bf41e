//! Durations as people read them.

/// Formats a duration in milliseconds: `0.3 s`, `2 m 05 s`, `3 h 07 m`.
pub fn how_long(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::how_long;

    #[test]
    fn durations_are_short() {
        let table = [
            (0, "0.0 s"),
            (340, "0.3 s"),
            (59_999, "59.9 s"),
            (125_000, "2 m 05 s"),
            (11_220_000, "3 h 07 m"),
        ];
        for (ms, text) in table {
            assert_eq!(how_long(ms), text);
        }
    }
}
