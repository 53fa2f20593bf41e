//! Sizes on the command line: a whole number and a unit, for example `500M` or `10G`.

/// Units and their powers of 1024.
const UNITS: [(char, u32); 4] = [('K', 1), ('M', 2), ('G', 3), ('T', 4)];

/// Parses a size in bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, power) =
        match UNITS.iter().find(|(unit, _)| text.ends_with([*unit, unit.to_ascii_lowercase()])) {
            Some((_, power)) => (&text[..text.len() - 1], *power),
            None => (text, 0),
        };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << (10 * power)));
    bytes.ok_or_else(|| {
        "write a number of bytes, or a whole number and K, M, G or T, for example `10G`".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_a_number_with_a_unit() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("2k", 2_048), ("3M", 3 << 20), ("10G", 10 << 30), ("1T", 1 << 40)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "1.5G", "-1", "10 G", "10GiB", "99999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
