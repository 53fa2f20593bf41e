//! Kubernetes quantities: `500m`, `1.5`, `64Mi`, `1e3`.

/// The quantity in thousandths; none if the text is not a quantity.
pub(crate) fn parse(text: &str) -> Option<i128> {
    let number = text.trim_end_matches(|sign: char| sign.is_ascii_alphabetic());
    let (number, suffix) = match text.find(['e', 'E']).filter(|at| text[at + 1..].parse::<i8>().is_ok()) {
        Some(at) => (&text[..at], &text[at..]),
        None => (number, &text[number.len()..]),
    };
    let (numerator, denominator): (i128, i128) = match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "" => (1, 1),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = 10_i128.checked_pow(power.unsigned_abs()).filter(|size| *size <= 10_i128.pow(18))?;
            if power < 0 { (1, size) } else { (size, 1) }
        }
    };
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !is_number(whole) || !is_number(part) {
        return None;
    }
    let part = &part[..part.len().min(9)];
    let units: i128 = format!("{whole}{part}").parse().ok()?;
    let scale = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let amount = units.checked_mul(numerator)?.checked_mul(1_000)?;
    // rounded up to a whole thousandth, as in Kubernetes
    let divisor = scale * denominator;
    let thousandths = (amount + divisor - 1) / divisor;
    Some(if number.starts_with('-') { -thousandths } else { thousandths })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_are_parsed_in_thousandths() {
        for (text, expected) in [
            ("1", Some(1_000)),
            ("500m", Some(500)),
            ("1.5", Some(1_500)),
            ("0.0001", Some(1)),
            ("1Ki", Some(1_024_000)),
            ("2M", Some(2_000_000_000)),
            ("1e3", Some(1_000_000)),
            ("5E", Some(5_000_000_000_000_000_000_000)),
            ("-1", Some(-1_000)),
            ("", None),
            ("abc", None),
            ("1Kb", None),
            ("1 Mi", None),
            ("m", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
