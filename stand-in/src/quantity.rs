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

/// The quantity as a real server stores it: `0.1` is `100m`, `1024Ki` is `1Mi`. None for texts that it cannot express in
/// thousandths; those stay as they are.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let thousandths = parse(text)?;
    let decimals = text.split_once('.').map_or("", |(_, part)| part);
    let is_fine =
        text.ends_with(['n', 'u']) || (decimals.len() > 3 && decimals.bytes().all(|it| it.is_ascii_digit()));
    if is_fine {
        return None;
    }
    if thousandths == 0 {
        return Some("0".to_owned());
    }
    let whole = thousandths / 1_000;
    if text.ends_with('i') && thousandths % 1_000 == 0 && whole.abs() >= 1_024 {
        let (number, power) = reduced(whole, 1_024, 6);
        return Some(format!("{number}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]));
    }
    let (number, power) = reduced(thousandths, 1_000, 7);
    let has_exponent = text.find(['e', 'E']).is_some_and(|at| text[at + 1..].parse::<i8>().is_ok());
    if has_exponent {
        return Some(format!("{number}{}", ["e-3", "", "e3", "e6", "e9", "e12", "e15", "e18"][power]));
    }
    Some(format!("{number}{}", ["m", "", "k", "M", "G", "T", "P", "E"][power]))
}

/// Divides by the factor as long as nothing is lost, at most `most` times. Returns the number and the count.
fn reduced(mut number: i128, factor: i128, most: usize) -> (i128, usize) {
    let mut power = 0;
    while power < most && number % factor == 0 {
        number /= factor;
        power += 1;
    }
    (number, power)
}

#[cfg(test)]
mod tests {
    use super::{canonical, parse};

    #[test]
    fn a_quantity_has_one_canonical_text() {
        for (text, expected) in [
            ("0.1", "100m"),
            ("1024Ki", "1Mi"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("128000", "128k"),
            ("1e3", "1e3"),
            ("0", "0"),
            ("64Gi", "64Gi"),
            ("-2000", "-2k"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["x", "5n", "0.0001"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

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
